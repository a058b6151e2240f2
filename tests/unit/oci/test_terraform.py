"""An environment for Terraform: as it was read, as the providers take it, as the engine makes it.

After a change that is meant: `PGHERD_GOLDEN=write pytest tests/unit/oci/test_terraform.py`, then
read the difference.
"""

import base64
import copy
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from oci_shop import KEY as OWN_KEY_OCID
from oci_shop import OWN, OWN_KEY, PARENT, SHOP, VAULT, VCN, document, fleet

from pgherd.engines.oci import blueprint, terraform
from pgherd.engines.oci.blueprint import RULES
from pgherd.engines.oci.cloud_init import LARGEST, Tier, cloud_init
from pgherd.engines.oci.names import KEY, REGIONS, SERVICE, Owner
from pgherd.engines.oci.routes import METADATA_KEY, read
from pgherd.engines.oci.secrets import ADMIN_PASSWORD, AUTHORITY, POOLER
from pgherd.engines.oci.terraform import configuration, is_ours, text
from pgherd.engines.oci.terraform_resources import escaped
from pgherd.engines.oci.terraform_schema_check import expressions, problems
from pgherd.errors import InputError

GOLDEN = Path(__file__).parents[2] / "golden/oci"
ROOT = SHOP.replace(f"parent: {PARENT}, ", "")
EXAMPLES = [
    (environment, shop)
    for environment in ("production", "development")
    for shop in (SHOP, OWN, OWN_KEY, ROOT)
]
SYSTEM = "oci_psql_db_system"


@pytest.fixture(autouse=True, scope="module")
def packed_once() -> Iterator[None]:
    """The same user data need not be packed again for each document that has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terraform, "cloud_init", cache(cloud_init))
        yield


def resources(found: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for kind, things in found["resource"].items():
        for name, content in things.items():
            yield kind, name, content


def program(user_data: str) -> str:
    files = yaml.safe_load(user_data)["write_files"]
    (packed,) = [f["content"] for f in files if f.get("encoding") == "gz+b64"]
    return str(packed)


@pytest.mark.parametrize("name", ["production", "development"])
def test_it_is_as_it_was_read(name: str) -> None:
    found = document(name)
    packed = program(found["locals"]["pooler_user_data"])
    content = text(found).replace(packed, "PROGRAM")
    path = GOLDEN / f"{name}.tf.json"
    if os.environ.get("PGHERD_GOLDEN") == "write":
        path.write_text(content)
    assert content == path.read_text(), f"{name} has changed: see this file's docstring"


@pytest.mark.parametrize(("name", "shop"), EXAMPLES)
def test_the_providers_take_it(name: str, shop: str) -> None:
    assert [str(p) for p in problems(document(name, shop))] == []


def test_it_is_json_of_ours() -> None:
    content = text(document())
    assert json.loads(content) == document()
    assert is_ours(content)
    assert not is_ours("{}")


def test_nothing_of_the_sdk_is_imported() -> None:
    code = "import sys, pgherd.engines.oci.terraform, pgherd.engines.oci.policy as p; "
    subprocess.run([sys.executable, "-c", code + "assert 'oci' not in sys.modules"], check=True)


# The same as the engine's


@pytest.mark.parametrize("name", ["production", "development"])
def test_pgherd_finds_all_that_it_looks_for(name: str) -> None:
    found = document(name)
    owner = Owner("shop", name)
    parts = set()
    for kind, label, content in resources(found):
        if kind.startswith("oci_") and not kind.endswith("_rule"):
            tags = content["freeform_tags"]
            assert owner.tags.items() <= tags.items(), f"{kind}.{label}"
            parts.add(tags.get(KEY))
    environment = fleet().environment(name)
    things = {thing.key for thing in blueprint.things(environment, owner)}
    addresses = blueprint.pooler_addresses(environment)
    poolers = {f"pooler-{n + 1}" for n in range(len(addresses))}
    assert things | poolers | {ADMIN_PASSWORD, AUTHORITY, POOLER} | {None} == parts
    compartment = found["resource"]["oci_identity_compartment"]["environment"]
    assert compartment["freeform_tags"][REGIONS] == "us-ashburn-1"
    assert compartment["name"] == environment.compartment
    assert compartment["compartment_id"] == PARENT
    system = found["resource"][SYSTEM]["order_items"]
    assert system["freeform_tags"] == owner.tags | {SERVICE: "order-items"}
    assert system["display_name"] == f"shop-{name}-order-items-db"


def test_a_database_is_the_engines() -> None:
    system = document()["resource"][SYSTEM]["order_items"]
    assert (system["instance_ocpu_count"], system["instance_memory_size_in_gbs"]) == (2, 32)
    assert system["instance_count"] == len(system["instances_details"]) == 4
    assert system["storage_details"]["is_regionally_durable"] is True
    assert "availability_domain" not in system["storage_details"]
    assert system["storage_details"]["kms_key_id"] == "${oci_kms_key.key.id}"
    policy = system["management_policy"]
    assert policy["backup_policy"]["copy_policy"]["regions"] == ["us-phoenix-1"]
    assert policy["pitr_policy"] == {"kind": "STANDARD", "restore_days": 30}


def test_storage_in_one_availability_domain_names_it() -> None:
    system = document("development")["resource"][SYSTEM]["order_items"]
    storage = system["storage_details"]
    assert storage["availability_domain"] == "${local.availability_domains[0]}"
    assert storage["is_regionally_durable"] is False
    assert "copy_policy" not in system["management_policy"]["backup_policy"]


def test_there_is_a_rule_for_each_rule() -> None:
    environment = fleet().environment("production")
    rules = document()["resource"]["oci_core_network_security_group_security_rule"]
    assert len(rules) == sum(len(blueprint.rules(environment, group)) for group in RULES)
    door = rules["database_door_from_pooler_door_5432"]
    assert door["source"] == "${oci_core_network_security_group.pooler_door.id}"
    assert door["stateless"] is False


def test_poolers_are_in_different_availability_domains_at_fixed_addresses() -> None:
    poolers = document()["resource"]["oci_core_instance"]
    assert [p["create_vnic_details"]["private_ip"] for p in poolers.values()] == [
        "10.0.16.2",
        "10.0.16.3",
    ]
    assert len({p["availability_domain"] for p in poolers.values()}) == 2
    told = read(poolers["pooler_1"]["metadata"][METADATA_KEY])
    assert told is not None and told.network == "10.0.0.0/16" and told.databases == {}


# What is the user's own


def test_own_network_and_vault_are_used() -> None:
    found = document(text=OWN)
    assert "oci_core_vcn" not in found["resource"] and "oci_kms_vault" not in found["resource"]
    assert found["resource"]["oci_core_subnet"]["databases"]["vcn_id"] == VCN
    key = found["resource"]["oci_kms_key"]["key"]
    assert key["management_endpoint"] == "${data.oci_kms_vault.own.management_endpoint}"
    assert found["data"]["oci_kms_vault"]["own"] == {"vault_id": VAULT}


def test_own_key_and_own_poolers() -> None:
    found = document(text=OWN_KEY)
    assert "oci_kms_key" not in found["resource"] and "oci_core_instance" not in found["resource"]
    assert found["resource"]["oci_vault_secret"]["pooler"]["key_id"] == OWN_KEY_OCID
    system = found["resource"][SYSTEM]["order_items"]
    assert system["storage_details"]["kms_key_id"] == OWN_KEY_OCID
    assert any("pgherd render cloud-init production" in line for line in found["//"])
    assert "oci_core_images" not in found["data"]


# What Terraform leaves alone


def test_what_would_make_a_database_anew_is_left_alone() -> None:
    for name in ("production", "development"):
        lifecycle = document(name)["resource"][SYSTEM]["order_items"]["lifecycle"]
        assert {"credentials", "db_version", "instances_details"} <= {*lifecycle["ignore_changes"]}


def test_what_the_autopilot_changes_is_left_alone() -> None:
    lifecycle = document()["resource"][SYSTEM]["order_items"]["lifecycle"]
    sizes = {"instance_ocpu_count", "instance_memory_size_in_gbs", "instance_count"}
    assert sizes <= {*lifecycle["ignore_changes"]}
    fixed = document("development")["resource"][SYSTEM]["order_items"]["lifecycle"]
    assert not sizes & {*fixed["ignore_changes"]}


def test_a_protected_database_is_not_destroyed() -> None:
    assert document()["resource"][SYSTEM]["order_items"]["lifecycle"]["prevent_destroy"] is True
    open_one = document("development")["resource"][SYSTEM]["order_items"]["lifecycle"]
    assert "prevent_destroy" not in open_one


# What cannot be


def test_what_oci_cannot_give_is_refused() -> None:
    shop = fleet(SHOP.replace("pooler: create, ", "").replace("max-ocpus, storage", "max-ocpus"))
    with pytest.raises(ExceptionGroup) as caught:
        configuration(shop, shop.environment("production"))
    messages = sorted(str(error) for error in caught.value.exceptions)
    assert messages == [
        "production: oci asks no client for a certificate",
        "production: storage on oci ends at 32TB",
    ]
    with pytest.raises(InputError, match="certificate"):
        configuration(shop, shop.environment("development"))


def test_what_is_conceded_is_rendered() -> None:
    long = SHOP.replace("retention: 30d", "retention: 90d").replace("[max-ocpus", "[retention")
    system = document(text=long)["resource"][SYSTEM]["order_items"]
    assert system["management_policy"]["backup_policy"]["retention_days"] == 35


# The check bites


Change = Callable[[dict[str, Any]], Any]


def change(path: str, value: Any) -> Change:
    *folders, last = path.split(".")

    def apply(found: dict[str, Any]) -> None:
        for folder in folders:
            found = found[folder]
        found[last] = value

    return apply


def without(path: str) -> Change:
    *folders, last = path.split(".")

    def apply(found: dict[str, Any]) -> None:
        for folder in folders:
            found = found[folder]
        del found[last]

    return apply


DATABASE = f"resource.{SYSTEM}.order_items"
VCN_HERE = "resource.oci_core_vcn.vcn"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change(f"{VCN_HERE}.cidr", "10.0.0.0/16"), "cidr: not an argument"),
        (without(f"{VCN_HERE}.compartment_id"), "compartment_id: missing"),
        (change(f"{VCN_HERE}.cidr_blocks", "10.0.0.0/16"), "cidr_blocks: not a list of texts"),
        (without(f"{DATABASE}.network_details"), "network_details: missing"),
        (without(f"{DATABASE}.network_details.subnet_id"), "subnet_id: missing"),
        (change(f"{DATABASE}.network_details", "x"), "network_details: a block is an object"),
        (change(f"{DATABASE}.network_details", []), "network_details: missing"),
        (change(f"{DATABASE}.storage_details", [{}, {}]), "2 of a block that is there once"),
        (change(f"{DATABASE}.instance_count", "4"), "instance_count: not a number"),
        (change(f"{DATABASE}.instance_count", True), "instance_count: not a number"),
        (change(f"{DATABASE}.freeform_tags", ["a"]), "freeform_tags: not a map"),
        (
            change(f"{DATABASE}.network_details.is_reader_endpoint_enabled", "yes"),
            "not true or false",
        ),
        (change(f"{DATABASE}.display_name", {"a": 1}), "display_name: not a text"),
        (
            change(f"{DATABASE}.management_policy.backup_policy.days_of_the_month", ["first"]),
            "not a list of numbers",
        ),
        (change(f"{DATABASE}.lifecycle.ignore_changes", ["ocpus"]), "ocpus is not an argument"),
        (change(f"{DATABASE}.lifecycle.ignored", ["shape"]), "not a rule of a lifecycle"),
        (change(f"{DATABASE}.lifecycle.prevent_destroy", "yes"), "prevent_destroy: not a bool"),
        (change("resource.oci_core_vcm", {"vcn": {}}), "not a type of these providers"),
        (change("resource.oci_core_vcn.1st", {}), "1st: not a name"),
        (change("resource.oci_core_vcn.vcn", []), "vcn: not an object"),
        (change("resources", {}), "terraform has no such part"),
        (without("resource.oci_kms_key"), "oci_kms_key.key is not there"),
        (without("data.oci_core_images"), "data.oci_core_images.pooler is not there"),
        (without("variable.shape"), "var.shape is not there"),
        (without("locals.availability_domains"), "local.availability_domains is not there"),
        (
            change(f"{DATABASE}.config_id", "${oci_kms_key.key.ocid}"),
            "oci_kms_key has no attribute ocid",
        ),
    ],
)
def test_the_check_bites(spoil: Change, said: str) -> None:
    found = copy.deepcopy(document())
    spoil(found)
    assert [p for p in problems(found) if said in str(p)], [*map(str, problems(found))]


def test_blocks_may_be_lists() -> None:
    found = document()
    system = found["resource"][SYSTEM]["order_items"]
    system["network_details"] = [system["network_details"]]
    assert list(problems(found)) == []


def test_expressions_are_found() -> None:
    assert list(expressions("a ${b} $${c} ${f({d = 1})}-${e}")) == ["b", "f({d = 1})", "e"]


# What Terraform itself makes of it, where it is installed


@pytest.fixture
def evaluated(tmp_path: Path) -> Callable[[Mapping[str, str]], dict[str, Any]]:
    """What expressions come to, with stand-ins for what would be made. Needs no provider."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")

    def evaluate(values: Mapping[str, str]) -> dict[str, Any]:
        found = {
            "locals": STAND_INS | {"pooler_user_data": values.get("pooler_user_data", "")},
            "output": {name: {"value": stood_in(value)} for name, value in values.items()},
        }
        found["locals"]["pooler_user_data"] = stood_in(found["locals"]["pooler_user_data"])
        (tmp_path / "main.tf.json").write_text(json.dumps(found))
        variables = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
        for call in (["apply", "-auto-approve", "-no-color"], ["output", "-json"]):
            done = subprocess.run(
                ["terraform", *call],
                cwd=tmp_path,
                capture_output=True,
                check=False,
                text=True,
                env=variables,
            )
            assert done.returncode == 0, done.stderr
        return {name: each["value"] for name, each in json.loads(done.stdout).items()}

    return evaluate


SECRETS = {"pooler": {"id": "ocid1.vaultsecret.p"}, "admin_password": {"id": "ocid1.vaultsecret.a"}}
PEM = "-----BEGIN-----\n${not}\n-----END-----\n"
STAND_INS: dict[str, Any] = {
    "oci_vault_secret": SECRETS,
    "random_password": {"admin": {"result": "Pg1_a-b"}},
    "random_bytes": {"seed": {"base64": base64.b64encode(bytes(32)).decode()}},
    "tls_private_key": {
        name: {"private_key_pem": escaped(PEM)} for name in ("authority", "pooler")
    },
    "tls_self_signed_cert": {"authority": {"cert_pem": escaped(PEM)}},
    "tls_locally_signed_cert": {"pooler": {"cert_pem": escaped(PEM)}},
}


def stood_in(value: str) -> str:
    return re.sub(rf"(?<![\w.])({'|'.join(STAND_INS)})\.", r"local.\1.", value)


def test_terraform_fills_in_the_user_data(
    evaluated: Callable[[Mapping[str, str]], dict[str, Any]],
) -> None:
    found = document()
    metadata = found["resource"]["oci_core_instance"]["pooler_1"]["metadata"]
    values = {"pooler_user_data": found["locals"]["pooler_user_data"], **metadata}
    made = evaluated(values)
    tier = Tier("shop", "production", "us-ashburn-1", "ocid1.vaultsecret.p", "ocid1.vaultsecret.a")
    assert made["pooler_user_data"] == cloud_init(tier)
    assert gzip.decompress(base64.b64decode(made["user_data"])).decode() == cloud_init(tier)
    assert read(made[METADATA_KEY]) is not None
    assert len(made["user_data"]) < LARGEST


def test_terraform_fills_in_the_secrets(
    evaluated: Callable[[Mapping[str, str]], dict[str, Any]],
) -> None:
    secrets = document()["resource"]["oci_vault_secret"]
    made = evaluated({name: s["secret_content"]["content"] for name, s in secrets.items()})
    texts = {name: base64.b64decode(content).decode() for name, content in made.items()}
    assert texts["admin_password"] == "Pg1_a-b"
    assert json.loads(texts["authority"]) == {"certificate": PEM, "key": PEM}
    pooler = json.loads(texts["pooler"])
    assert pooler.pop("seed") == base64.b64encode(bytes(32)).decode()
    assert pooler == {"certificate": PEM, "key": PEM, "authority": PEM}
