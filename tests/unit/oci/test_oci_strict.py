"""What the local OCI refuses in a body, before it looks at what it means."""

from copy import deepcopy
from typing import Any

import pytest

pytest.importorskip("oci")

from pgherd.testing.oci import strict
from pgherd.testing.oci.refusals import Refused

OCID = "ocid1.subnet.oc1.iad.aaaaaaaa1"
RIGHT: dict[str, Any] = {
    "displayName": "order",
    "compartmentId": "ocid1.compartment.oc1..aaaaaaaa1",
    "dbVersion": "16",
    "shape": "PostgreSQL.VM.Standard.E5.Flex",
    "instanceOcpuCount": 2,
    "storageDetails": {"systemType": "OCI_OPTIMIZED_STORAGE", "isRegionallyDurable": True},
    "networkDetails": {"subnetId": OCID, "nsgIds": [OCID]},
    "managementPolicy": {
        "backupPolicy": {"kind": "DAILY", "backupStart": "02:00", "retentionDays": 30},
        "pitrPolicy": {"kind": "STANDARD", "restoreDays": 7},
    },
    "source": {
        "sourceType": "POINT_IN_TIME_DB_SYSTEM",
        "dbSystemId": OCID,
        "timeToRestore": "2026-11-22T10:00:00Z",
    },
    "freeformTags": {"pgherd-managed": "true"},
}


def check(body: dict[str, Any]) -> None:
    strict.check("psql", "CreateDbSystemDetails", body, "body")
    strict.tags(body, frozenset({"Operations"}))


def changed(path: str, value: Any) -> dict[str, Any]:
    body = deepcopy(RIGHT)
    place = body
    *above, last = path.split(".")
    for key in above:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return body


def test_what_is_right_passes() -> None:
    check(RIGHT)


@pytest.mark.parametrize(
    ("path", "value", "code", "says"),
    [
        ("displayName", None, "MissingParameter", "body.displayName is required"),
        ("networkDetails.subnetId", None, "MissingParameter", "networkDetails.subnetId"),
        ("storageDetails.isRegionallyDurable", None, "MissingParameter", "isRegionallyDurable"),
        ("source.timeToRestore", None, "MissingParameter", "timeToRestore"),
        ("storageSize", 1, "InvalidParameter", "unknown field 'storageSize'"),
        ("storageDetails.sizeInGBs", 1, "InvalidParameter", "unknown field"),
        ("instanceOcpuCount", 2.0, "InvalidParameter", "must be int"),
        ("instanceOcpuCount", True, "InvalidParameter", "must be int"),
        ("instanceOcpuCount", "2", "InvalidParameter", "must be int"),
        ("storageDetails.isRegionallyDurable", "true", "InvalidParameter", "must be bool"),
        ("storageDetails.systemType", "UNKNOWN_ENUM_VALUE", "InvalidParameter", "systemType"),
        ("source.sourceType", "UNKNOWN_ENUM_VALUE", "InvalidParameter", "sourceType"),
        ("managementPolicy.backupPolicy.kind", None, "InvalidParameter", "kind is None"),
        ("managementPolicy.backupPolicy.daysOfTheMonth", [1], "InvalidParameter", "unknown field"),
        ("managementPolicy.pitrPolicy.restoreDays", None, "MissingParameter", "restoreDays"),
        ("compartmentId", "ecommerce", "InvalidParameter", "no OCID"),
        ("networkDetails.nsgIds", ["group"], "InvalidParameter", "no OCID"),
        ("networkDetails.nsgIds", OCID, "InvalidParameter", "must be list"),
        ("source.timeToRestore", "2026-11-22T10:00:00", "InvalidParameter", "no time zone"),
        ("source.timeToRestore", "yesterday", "InvalidParameter", "no RFC 3339"),
        ("freeformTags", {"a": 1}, "InvalidParameter", "must be str"),
        ("freeformTags", {f"tag{n}": "" for n in range(11)}, "InvalidParameter", "at most 10"),
        ("freeformTags", {"with space": ""}, "InvalidParameter", "printable"),
        ("freeformTags", {"a": "x" * 257}, "InvalidParameter", "256"),
        ("definedTags", {"Nobody": {"a": "b"}}, "InvalidParameter", "does not exist"),
    ],
)
def test_what_is_wrong_is_refused(path: str, value: Any, code: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        check(changed(path, value))
    assert refused.value.status == 400
    assert refused.value.code == code
    assert says in refused.value.message


def test_a_namespace_that_exists_is_taken() -> None:
    check(changed("definedTags", {"Operations": {"CostCenter": "42"}}))


def test_a_summary_shows_less_than_the_whole() -> None:
    whole = {"id": OCID, "shape": "s", "ocpuCount": 1, "memorySizeInGBs": 16, "secret": "x"}
    assert strict.answer("psql", "ShapeSummary", whole) == {
        key: value for key, value in whole.items() if key != "secret"
    }


def test_a_wrong_answer_of_its_own_is_said_plainly() -> None:
    with pytest.raises(AssertionError, match="own answer is wrong"):
        strict.answer("psql", "ShapeSummary", {"shape": "s", "ocpuCount": 1.5})
