"""What OCI must allow: as it was read, complete for what the engine calls, and no more.

After a change that is meant: `PGHERD_GOLDEN=write pytest tests/unit/oci/test_policy.py`, then read
the difference.
"""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from oci_shop import KEY, OWN, OWN_KEY, PARENT, SHOP, VAULT, VCN, fleet

import pgherd.engines.oci
from pgherd.engines.oci.bodies import CLIENTS
from pgherd.engines.oci.kinds import CALLS
from pgherd.engines.oci.policy import NOT_VERIFIED, policy
from pgherd.errors import InputError

GOLDEN = Path(__file__).parents[2] / "golden/oci/policy.txt"
SOURCES = Path(pgherd.engines.oci.__file__).parent
STATEMENT = re.compile(
    r"Allow (group pgherd|any-user|service \w+|dynamic-group [\w-]+) "
    r"to (inspect|read|use|manage) ([\w-]+) in (tenancy|compartment (?:id )?\S+)( where .+)?"
)


def written(text: str = SHOP, group: str = "pgherd") -> str:
    shop = fleet(text)
    return policy(shop, shop.environments, group)


def statements(text: str) -> list[re.Match[str]]:
    lines = [line for line in text.splitlines() if line.startswith("Allow")]
    found = [STATEMENT.fullmatch(line) for line in lines]
    assert all(found), lines
    return [match for match in found if match]


def allowed(text: str, environment: str) -> set[tuple[str, str]]:
    """Verbs and resource types that the group has in a compartment or in the tenancy."""
    places = (f"compartment shop-{environment}", "tenancy", f"compartment id {PARENT}")
    return {(m[2], m[3]) for m in statements(text) if m[1] == "group pgherd" and m[4] in places}


def test_it_is_as_it_was_read() -> None:
    if os.environ.get("PGHERD_GOLDEN") == "write":
        GOLDEN.write_text(written())
    assert written() == GOLDEN.read_text(), "it has changed: see this file's docstring"


def test_every_statement_says_why() -> None:
    for paragraph in written().split("\n\n"):
        lines = paragraph.splitlines()
        if any(line.startswith("Allow") for line in lines):
            assert lines[0].startswith("# ") and lines[0] != NOT_VERIFIED, paragraph


def test_what_oracle_does_not_say_is_marked() -> None:
    documented = {"postgres-db-systems", "postgres-backups", "virtual-network-family"}
    documented |= {"postgres-work-requests", "compartments"}
    for paragraph in written().split("\n\n"):
        lines = paragraph.splitlines()
        types = {m[3] for m in statements(paragraph)}
        if types and NOT_VERIFIED not in lines:
            assert types <= documented, paragraph


NEEDED = {
    "identity": {("inspect", "tenancies"), ("read", "compartments"), ("manage", "compartments")},
    "network": {("manage", "virtual-network-family")},
    "compute": {("manage", "instances"), ("read", "instance-images"), ("use", "volume-family")},
    "vaults": {("manage", "vaults")},
    "keys": {("manage", "keys")},
    "secrets": {("manage", "secret-family")},
    "bundles": {("manage", "secret-family")},
    "psql": {
        ("inspect", "postgres-db-systems"),
        ("manage", "postgres-db-systems"),
        ("manage", "postgres-backups"),
        ("read", "postgres-configurations"),
        ("read", "postgres-work-requests"),
    },
    "monitoring": {("read", "metrics")},
    "limits": {("inspect", "limits"), ("read", "resource-availability")},
}


def services_called() -> Iterator[str]:
    """The services that the engine's sources name in a call."""
    for source in SOURCES.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                first = node.args[0] if node.args else None
                if node.func.attr in ("call", "all") and isinstance(first, ast.Constant):
                    yield str(first.value)
    yield from (calls.service for calls in CALLS.values())


def test_every_service_that_is_called_is_allowed_and_no_other() -> None:
    called = {*services_called()}
    assert called == {*CLIENTS} == {*NEEDED}
    wanted = {right for service in called for right in NEEDED[service]}
    for name in ("production", "development"):
        assert allowed(written(), name) == wanted


def test_compartments_are_never_deleted() -> None:
    (right,) = [m for m in statements(written()) if (m[2], m[3]) == ("manage", "compartments")]
    assert right[4] == f"compartment id {PARENT}"
    assert right[5] == " where request.permission != 'COMPARTMENT_DELETE'"


def test_compartments_to_be_made_are_tagged_as_pgherds() -> None:
    command = written().replace("\\\n#", "")
    assert f"--compartment-id {PARENT}" in command
    assert '{"pgherd-fleet": "shop", "pgherd-environment": "production", ' in command
    assert '"pgherd-regions": "us-ashburn-1"}' in command


def test_poolers_read_their_two_secrets_only() -> None:
    (right,) = [m for m in statements(written()) if m[1] == "dynamic-group shop-production-poolers"]
    assert (right[2], right[3], right[4]) == (
        "read",
        "secret-bundles",
        "compartment shop-production",
    )
    assert re.findall(r"'([^']+)'", right[5]) == [
        "shop-production-admin-password",
        "shop-production-pooler",
    ]
    assert "All {instance.compartment.id = '<OCID of shop-production>'}" in written()


def test_own_things_need_less() -> None:
    own = written(OWN)
    assert ("manage", "vaults") not in allowed(own, "production")
    assert f"use vaults in tenancy where target.vault.id = '{VAULT}'" in own
    assert f"virtual-network-family in tenancy where target.vcn.id = '{VCN}'" in own
    own_key = written(OWN_KEY)
    assert ("manage", "keys") not in allowed(own_key, "production")
    assert f"use keys in tenancy where target.key.id = '{KEY}'" in own_key
    assert f"service blockstorage to use keys in tenancy where target.key.id = '{KEY}'" in own_key
    assert ("read", "instance-images") not in allowed(own_key, "production")
    assert ("manage", "instances") in allowed(own_key, "production")


def test_a_tenancy_as_the_parent_is_named_so() -> None:
    text = written(SHOP.replace(PARENT, "ocid1.tenancy.oc1..root"))
    assert "to manage compartments in tenancy where" in text
    assert "compartment id" not in text


def test_the_group_is_named() -> None:
    assert "Allow group 'Default'" not in written()
    assert written(group="Default/dbas").count("Allow group Default/dbas to") > 20
    for bad in ("", "a'b", "a\nb"):
        with pytest.raises(InputError):
            written(group=bad)


def test_the_root_is_one_place_however_it_is_named() -> None:
    one, two = "ocid1.tenancy.oc1..root", f"parent: {PARENT}, "
    mixed = SHOP.replace(two, "").replace(
        "  production:\n", f"  production:\n    oci: {{parent: {one}}}\n"
    )
    text = written(mixed)
    assert text.count("## A policy in the root compartment, for the environments") == 1
    assert f"--compartment-id {one}" in text and "--compartment-id OCID-OF-THE-TENANCY" in text
