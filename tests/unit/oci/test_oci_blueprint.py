"""What an environment on OCI consists of: as it was read, as OCI takes it, and closed.

After a change that is meant: `PGHERD_GOLDEN=write pytest tests/unit/oci/test_oci_blueprint.py`,
then read the difference.
"""

import functools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci_shop import KEY as OWN_KEY_OCID
from oci_shop import OWN, OWN_KEY, PARENT, SHOP, fleet

from pgherd.engines.oci import blueprint
from pgherd.engines.oci.blueprint import ANYWHERE, RULES, Kind, Reference, Rule, Thing
from pgherd.engines.oci.bodies import CLIENTS, body
from pgherd.engines.oci.kinds import CALLS
from pgherd.engines.oci.names import KEY, SERVICE, Owner
from pgherd.engines.oci.shapes import Shape, choose
from pgherd.engines.oci.values import OciValues
from pgherd.fleet.desired import Backup, Database, Environment, Replicas
from pgherd.testing.oci import strict

GOLDEN = Path(__file__).parents[2] / "golden/oci/blueprint.json"
TEXT = SHOP.replace("replicas: 3..5", "replicas: 2..5")
ENVIRONMENTS = ("production", "development")
SHAPES = (Shape("VM.Standard.E5.Flex", 1, 64), Shape("VM.Standard.E6.Flex", 1, 126))
DOMAIN = "Uocm:IAD-AD-1"
IMAGE = "ocid1.image.oc1.iad.oraclelinux9"
NETWORKS = st.integers(8, 28).flatmap(
    lambda length: st.integers(0, 2**length - 1).map(
        lambda number: IPv4Network((number << (32 - length), length))
    )
)


load = functools.cache(fleet)


def environment(name: str = "production", text: str = TEXT) -> Environment:
    return load(text).environment(name)


def database(name: str = "production") -> Database:
    (found,) = load(TEXT).in_environment(name)
    return found


def owner(name: str = "production") -> Owner:
    return Owner("shop", name)


def things(name: str = "production", text: str = TEXT) -> dict[str, Thing]:
    found = list(blueprint.things(environment(name, text), owner(name)))
    assert len({t.key for t in found}) == len(found)
    return {t.key: t for t in found}


def system(wanted: Database, **options: Any) -> Thing:
    shape = choose(SHAPES, wanted.ocpus.max)
    assert shape is not None
    found = {"domain": None, "secret_version": "3"} | options
    return blueprint.system(wanted, owner(wanted.environment.name), shape, **found)


def poolers(name: str) -> Iterator[Thing]:
    where = environment(name)
    for number in range(1, len(blueprint.pooler_addresses(where)) + 1):
        yield blueprint.pooler(where, owner(name), number, IMAGE, f"Uocm:IAD-AD-{number}", "BASE64")


def references(value: Any) -> Iterator[str]:
    if isinstance(value, Reference):
        yield value.key
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


# As it was read


def plain(value: Any) -> Any:
    if isinstance(value, Reference):
        return f"OCID of {value.key}"
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def written(thing: Thing) -> dict[str, Any]:
    rest = {"name": thing.name, "properties": plain(thing.properties), "tags": dict(thing.tags)}
    return {"kind": str(thing.kind), "key": thing.key, **rest}


def line(rule: Rule) -> str:
    peer = rule.peer.key if isinstance(rule.peer, Reference) else str(rule.peer)
    return f"{'from' if rule.is_ingress else 'to'} {peer} port {rule.port}"


def document() -> dict[str, Any]:
    return {
        name: {
            "things": [written(t) for t in things(name).values()],
            "rules": {g: [line(r) for r in blueprint.rules(environment(name), g)] for g in RULES},
            "poolers": [written(t) for t in poolers(name)],
            "systems": [
                written(system(database(name), domain=None if name == "production" else DOMAIN))
            ],
        }
        for name in ENVIRONMENTS
    }


def test_it_is_as_it_was_read() -> None:
    text = json.dumps(document(), indent=2) + "\n"
    if os.environ.get("PGHERD_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "it has changed: see this file's docstring"


# Things


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("text", [TEXT, OWN, OWN_KEY])
def test_each_thing_comes_after_what_it_refers_to(name: str, text: str) -> None:
    oci = environment(name, text).values_of(OciValues)
    given = {"vcn": oci.vcn, "vault": oci.vault, "key": oci.key}
    known = {key for key, ocid in given.items() if ocid}
    for key, thing in things(name, text).items():
        assert set(references(thing.properties)) <= known, key
        known.add(key)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_everything_bears_the_owners_tags_and_its_key(name: str) -> None:
    for thing in [*things(name).values(), *poolers(name)]:
        assert thing.tags == owner(name).tags | {KEY: thing.key}
        assert thing.name == f"shop-{name}-{thing.key}"


def test_what_the_user_brings_is_not_made() -> None:
    own, own_key = things(text=OWN), things(text=OWN_KEY)
    assert set(things()) - set(own) == {"vcn", "vault"}
    assert set(things()) - set(own_key) == {"vault", "key"}


def ocids(keys: Iterator[str]) -> dict[str, str]:
    return {key: f"ocid1.thing.oc1.iad.a{number}" for number, key in enumerate(keys)}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_oci_takes_everything_as_it_is(name: str) -> None:
    """No field is missing, unknown, or of another type, by the SDK's own models."""
    for thing in [*things(name).values(), *poolers(name)]:
        calls = CALLS[thing.kind]
        values = blueprint.resolved(thing.properties, ocids(references(thing.properties)))
        details = body(
            calls.service,
            calls.model,
            {
                "compartment_id": PARENT,
                calls.name: thing.name,
                "freeform_tags": dict(thing.tags),
                **values,
            },
        )
        strict.check(CLIENTS[calls.service][0], calls.model, details, thing.key)


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("version", ["3", None])
def test_oci_takes_every_system_as_it_is(name: str, version: str | None) -> None:
    thing = system(database(name), secret_version=version)
    values = blueprint.resolved(thing.properties, ocids(references(thing.properties)))
    details = {"compartment_id": PARENT, "display_name": thing.name, **values}
    wire = body("psql", "CreateDbSystemDetails", details)
    strict.check("psql", "CreateDbSystemDetails", wire, "body")


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("group", RULES)
def test_oci_takes_every_rule_as_it_is(name: str, group: str) -> None:
    for rule in blueprint.rules(environment(name), group):
        found = blueprint.rule_properties(rule)
        values = blueprint.resolved(found, ocids(references(found)))
        details = body("network", "AddSecurityRuleDetails", values)
        strict.check("core", "AddSecurityRuleDetails", details, group)


# Closed to the world


def test_databases_have_no_route_and_no_door_but_the_poolers() -> None:
    found = things()
    subnet = found["databases"].properties
    assert subnet["route_table_id"] == Reference("no-routes")
    assert found["no-routes"].properties["route_rules"] == []
    nothing = found["nothing"].properties
    assert nothing["ingress_security_rules"] == nothing["egress_security_rules"] == []
    assert subnet["security_list_ids"] == [Reference("nothing")]
    doors = blueprint.rules(environment(), "database-door")
    assert doors == (Rule(True, Reference("pooler-door"), 5432),)


def test_poolers_are_reached_from_their_own_network_alone() -> None:
    doors = [r for r in blueprint.rules(environment(), "pooler-door") if r.is_ingress]
    assert doors == [Rule(True, IPv4Network("10.0.0.0/16"), 6432)]
    other = blueprint.rules(environment("development"), "pooler-door")
    assert [r.peer for r in other if r.is_ingress] == [IPv4Network("10.2.0.0/16")]


def test_poolers_reach_databases_and_the_web_alone() -> None:
    ways = [r for r in blueprint.rules(environment(), "pooler-door") if not r.is_ingress]
    assert {(r.peer, r.port) for r in ways} == {
        (Reference("database-door"), 5432),
        (ANYWHERE, 443),
        (ANYWHERE, 80),
    }


def test_no_address_is_public() -> None:
    found = things()
    assert all(t.properties["prohibit_public_ip_on_vnic"] for t in _of(found, Kind.SUBNET))
    for thing in poolers("production"):
        assert thing.properties["create_vnic_details"]["assign_public_ip"] is False


def _of(found: Mapping[str, Thing], kind: Kind) -> list[Thing]:
    return [thing for thing in found.values() if thing.kind is kind]


def test_a_rule_names_the_side_of_its_peer() -> None:
    inward = blueprint.rule_properties(Rule(True, Reference("pooler-door"), 5432))
    assert (inward["direction"], inward["source"]) == ("INGRESS", Reference("pooler-door"))
    assert inward["source_type"] == "NETWORK_SECURITY_GROUP"
    assert "destination" not in inward
    outward = blueprint.rule_properties(Rule(False, ANYWHERE, 443))
    assert (outward["direction"], outward["destination"]) == ("EGRESS", "0.0.0.0/0")
    assert outward["destination_type"] == "CIDR_BLOCK"
    assert "source" not in outward
    assert outward["tcp_options"] == {"destination_port_range": {"min": 443, "max": 443}}


# Addresses


@given(NETWORKS)
def test_subnets_lie_in_the_network_and_never_overlap(network: IPv4Network) -> None:
    databases, poolers = blueprint.subnets(network)
    assert databases.subnet_of(network)
    assert poolers.subnet_of(network)
    assert not databases.overlaps(poolers)
    assert databases.prefixlen == poolers.prefixlen == network.prefixlen + 4


@pytest.mark.parametrize("network", ["10.0.0.0/29", "10.0.0.0/32"])
def test_a_network_may_be_too_small_to_be_split(network: str) -> None:
    with pytest.raises(ValueError, match=r"prefix|unpack"):
        blueprint.subnets(IPv4Network(network))


@given(NETWORKS.filter(lambda n: n.prefixlen <= 24), st.integers(1, 3))
def test_poolers_have_addresses_of_their_own_subnet(network: IPv4Network, domains: int) -> None:
    where = replace(environment(), network=network, availability_domains=domains)
    found = blueprint.pooler_addresses(where)
    subnet = blueprint.subnets(network)[1]
    assert len(set(found)) == len(found) == (2 if domains > 1 else 1)
    # OCI keeps the first two and the last.
    assert all(subnet[2] <= address < subnet[-1] for address in found)


def test_each_pooler_has_its_own_address() -> None:
    first, second = poolers("production")
    vnics = [t.properties["create_vnic_details"] for t in (first, second)]
    assert [v["private_ip"] for v in vnics] == ["10.0.16.2", "10.0.16.3"]
    assert [t.key for t in (first, second)] == ["pooler-1", "pooler-2"]
    assert [t.key for t in poolers("development")] == ["pooler-1"]


def test_addresses_are_counted_with_all_replicas_and_both_endpoints() -> None:
    one = database()
    alone = replace(one, replicas=Replicas(0, 0))
    assert blueprint.addresses_needed(iter([])) == 0
    assert blueprint.addresses_needed(iter([one])) == 1 + 5 + 2
    assert blueprint.addresses_needed(iter([one, alone])) == 8 + 3
    assert blueprint.addresses_in(IPv4Network("10.0.0.0/28")) == 13


@given(st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True))
def test_labels_are_as_dns_takes_them(name: str) -> None:
    where = replace(environment(), name=name)
    found = {t.key: t for t in blueprint.things(where, Owner("shop", name))}
    labels = [found[key].properties["dns_label"] for key in ("vcn", "databases", "poolers")]
    assert labels[1] != labels[2]
    assert all(label.isalnum() and label[0].isalpha() and len(label) <= 15 for label in labels)


# Systems


def test_a_system_starts_at_its_initial_size() -> None:
    found = system(database()).properties
    # E5 ends at 64 OCPUs, and a system never changes its series.
    assert found["shape"] == "PostgreSQL.VM.Standard.E6.Flex"
    assert (found["instance_ocpu_count"], found["instance_memory_size_in_gbs"]) == (2, 32)
    assert found["instance_count"] == 3
    names = [d["display_name"] for d in found["instances_details"]]
    assert names == ["order-items-1", "order-items-2", "order-items-3"]
    assert found["network_details"]["is_reader_endpoint_enabled"] is True


def test_a_system_without_replicas_has_no_reader() -> None:
    wanted = replace(database(), replicas=Replicas(0, 0))
    found = system(wanted).properties
    assert found["instance_count"] == len(found["instances_details"]) == 1
    assert found["network_details"]["is_reader_endpoint_enabled"] is False


def test_a_system_may_get_its_first_replica_later() -> None:
    found = system(replace(database(), replicas=Replicas(0, 1))).properties
    assert found["instance_count"] == 1
    assert found["network_details"]["is_reader_endpoint_enabled"] is True


def test_storage_is_regional_unless_it_is_in_one_domain() -> None:
    regional = system(database()).properties["storage_details"]
    assert (regional["is_regionally_durable"], regional["availability_domain"]) == (True, None)
    local = system(database(), domain=DOMAIN).properties["storage_details"]
    assert (local["is_regionally_durable"], local["availability_domain"]) == (False, DOMAIN)


def test_a_password_is_named_and_never_told() -> None:
    found = system(database()).properties["credentials"]
    assert found["username"] == "pgherd"
    assert found["password_details"] == {
        "password_type": "VAULT_SECRET",
        "secret_id": Reference("admin-password"),
        "secret_version": "3",
    }


def test_a_system_made_from_another_keeps_its_credentials() -> None:
    assert "credentials" not in system(database(), secret_version=None).properties


def test_a_system_bears_its_service() -> None:
    found = system(database())
    assert found.name == "shop-production-order-items-db"
    assert found.key == "production/order-items"
    assert found.tags == owner().tags | {SERVICE: "order-items"}


@pytest.mark.parametrize(("version", "expected"), [(None, "16"), (15, "15")])
def test_the_version_is_the_stated_or_the_newest(version: int | None, expected: str) -> None:
    found = system(replace(database(), postgresql=version))
    assert found.properties["db_version"] == expected


@pytest.mark.parametrize("copies", [(), ("us-phoenix-1",), ("us-phoenix-1", "eu-frankfurt-1")])
@pytest.mark.parametrize("days", [1, 30, 35])
def test_backups_recovery_and_copies_are_kept_equally_long(
    days: int, copies: tuple[str, ...]
) -> None:
    wanted = replace(database(), backup=Backup(days, copies))
    found = blueprint.management_policy(wanted)
    backups = found["backup_policy"]
    assert (backups["kind"], backups["retention_days"]) == ("DAILY", days)
    assert found["pitr_policy"] == {"kind": "STANDARD", "restore_days": days}
    if not copies:
        assert backups["copy_policy"] is None
        return
    assert backups["copy_policy"] == {
        "compartment_id": Reference("compartment"),
        "retention_period": days,
        "regions": list(copies),
    }


# References

PROPERTIES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3) | st.sampled_from("abc").map(Reference),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


@given(PROPERTIES)
def test_no_reference_is_left(properties: Any) -> None:
    found = blueprint.resolved(properties, {key: f"ocid of {key}" for key in "abc"})
    assert not list(references(found))
    assert json.dumps(found) == json.dumps(plain(properties)).replace("OCID of", "ocid of")


@given(PROPERTIES.filter(lambda p: any(references(p))))
def test_a_reference_to_what_is_not_known_is_an_error(properties: Any) -> None:
    with pytest.raises(KeyError):
        blueprint.resolved(properties, {})


def test_the_users_own_key_is_referred_to_as_one_of_ours() -> None:
    found = blueprint.resolved(
        system(database()).properties["storage_details"], {"key": OWN_KEY_OCID}
    )
    assert found["kms_key_id"] == OWN_KEY_OCID
