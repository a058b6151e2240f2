"""The parts of the local OCI that need no server: queries, rules, addresses, faults, rows, time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgherd.testing.oci import addresses, signatures
from pgherd.testing.oci.faults import Faults
from pgherd.testing.oci.metric_queries import parse
from pgherd.testing.oci.monitoring import DIMENSIONS
from pgherd.testing.oci.network_rules import check_rules
from pgherd.testing.oci.refusals import Refused
from pgherd.testing.oci.rows import Rows
from pgherd.testing.oci.shapes import DEFAULTS, Shape
from pgherd.testing.oci.world import World

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_query_is_read() -> None:
    found = parse(
        'CpuUtilization[5m]{dbInstanceRole = "PRIMARY", resourceName="a, b"}'
        ".groupBy(resourceId).mean()".replace(', resourceName="a, b"', ""),
        DIMENSIONS,
    )
    assert found.name == "CpuUtilization"
    assert found.interval == timedelta(minutes=5)
    assert found.filters == {"dbInstanceRole": "PRIMARY"}
    assert found.groups == ("resourceId",)
    assert found.statistic == "mean"


@pytest.mark.parametrize(
    "text",
    [
        "CpuUtilization",
        "CpuUtilization.mean()",
        "CpuUtilization[5m]",
        "CpuUtilization[5s].mean()",
        "CpuUtilization[2d].mean()",
        "CpuUtilization[5m].average()",
        "CpuUtilization[5m].grouping().mean()",
        "CpuUtilization[5m].groupBy(database).mean()",
        'CpuUtilization[5m]{database = "x"}.mean()',
        "CpuUtilization[5m]{resourceId = x}.mean()",
        "CpuUtilization[5m].mean() > 80",
        "CpuUtilization[5m].mean().groupBy(resourceId)",
    ],
)
def test_a_query_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="InvalidParameter"):
        parse(text, DIMENSIONS)


RULE: dict[str, Any] = {
    "direction": "INGRESS",
    "protocol": "6",
    "source": "10.0.1.0/24",
    "tcpOptions": {"destinationPortRange": {"min": 5432, "max": 5432}},
}


def test_a_rule_passes() -> None:
    check_rules([RULE])


@pytest.mark.parametrize(
    "change",
    [
        {"source": None},
        {"destination": "0.0.0.0/0"},
        {"direction": "EGRESS"},
        {"source": "10.0.1.1/24"},
        {"protocol": "TCP"},
        {"protocol": "17"},
        {"tcpOptions": {"destinationPortRange": {"min": 5432, "max": 5431}}},
        {"tcpOptions": {"destinationPortRange": {"min": 1, "max": 65536}}},
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        check_rules([RULE | change])


@pytest.mark.parametrize(
    ("blocks", "right"),
    [
        (["10.0.0.0/16"], True),
        (["10.0.0.0/16", "10.1.0.0/16"], True),
        ([], False),
        (["10.0.0.0/15"], False),
        (["10.0.0.0/31"], False),
        (["10.0.0.1/16"], False),
        (["10.0.0.0/16", "10.0.128.0/17"], False),
    ],
)
def test_the_blocks_of_a_vcn(blocks: list[str], right: bool) -> None:
    if right:
        addresses.of_vcn(blocks)
        return
    with pytest.raises(Refused):
        addresses.of_vcn(blocks)


def test_a_subnet_lies_in_its_vcn_beside_others() -> None:
    addresses.of_subnet("10.0.2.0/24", ["10.0.0.0/16"], ["10.0.1.0/24"])
    with pytest.raises(Refused, match="not contained"):
        addresses.of_subnet("10.1.2.0/24", ["10.0.0.0/16"], [])
    with pytest.raises(Refused, match="overlaps"):
        addresses.of_subnet("10.0.1.128/25", ["10.0.0.0/16"], ["10.0.1.0/24"])


def test_addresses_are_given_once_and_the_first_two_and_the_last_never() -> None:
    used: set[str] = set()
    for _ in range(5):
        used.add(addresses.take("10.0.0.0/29", used, None))
    assert used == {f"10.0.0.{n}" for n in range(2, 7)}
    with pytest.raises(Refused, match="no free address"):
        addresses.take("10.0.0.0/29", used, None)
    for wanted in ("10.0.0.0", "10.0.0.1", "10.0.0.7", "10.0.1.2", "10.0.0.2", "x"):
        with pytest.raises(Refused):
            addresses.take("10.0.0.0/29", used, wanted)


def test_faults_are_used_up_in_order() -> None:
    faults = Faults()
    faults.plan("create_vcn", "throttled", times=2, skip=1)
    faults.plan(None, "error", times=1, skip=0)
    assert faults.left == 3
    taken = [faults.take("create_vcn") for _ in range(4)]
    assert taken == ["error", "throttled", "throttled", None]
    assert faults.left == 0


def test_a_fault_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        Faults().plan(None, "explode", times=1, skip=0)


def test_work_fails_by_operation_or_by_type() -> None:
    faults = Faults()
    faults.plan_failed_work("create_db_system")
    assert not faults.take_failed_work("update_db_system", "UPDATE")
    assert faults.take_failed_work("create_db_system", "CREATE")
    assert not faults.take_failed_work("create_db_system", "CREATE")


def test_rows_go_back_to_a_time() -> None:
    now = [START]
    rows = Rows(lambda: now[0])
    rows.append("a")
    now[0] += timedelta(seconds=10)
    rows.extend(["b", "c"])
    assert rows.until(START) == ["a"]
    later = rows.until()
    rows.clear()
    assert rows == [] == rows.until()
    assert later == ["a", "b", "c"]
    assert later.until(START) == ["a"]


def test_a_size_is_held_to_the_shape() -> None:
    shape = Shape("VM.Standard.E6.Flex", 126, 1454)
    assert shape.size(2, None) == 32
    assert shape.size(126, None) == 1454
    assert shape.series == "E6"
    for ocpus, memory in ((0, None), (127, None), (2, 1), (2, 129), (126, 1455)):
        with pytest.raises(Refused):
            shape.size(ocpus, memory)
    assert max(each.ocpus for each in DEFAULTS) == 126


def test_a_change_is_done_by_the_look_after_the_one_that_saw_it() -> None:
    world = World(["us-ashburn-1"], 3, delay=0)
    made = world.add("vcn", "us-ashburn-1", {"lifecycleState": "PROVISIONING"})
    etag = made.etag
    world.start([made], lambda: world.touch(made, lifecycleState="AVAILABLE"))
    world.settle()
    assert world.look(made).state == "PROVISIONING"
    world.settle()
    assert world.look(made).state == "AVAILABLE"
    assert made.etag != etag


def test_a_change_with_a_delay_is_done_when_the_time_is_over() -> None:
    world = World(["us-ashburn-1"], 3, delay=60)
    made = world.add("vcn", "us-ashburn-1", {"lifecycleState": "PROVISIONING"})
    world.start([made], lambda: world.touch(made, lifecycleState="AVAILABLE"))
    world.look(made)
    world.settle()
    assert made.state == "PROVISIONING"
    world.offset = timedelta(seconds=61)
    world.settle()
    assert made.state == "AVAILABLE"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer token",
        'Signature algorithm="hmac-sha256",version="1"',
        'Signature algorithm="rsa-sha256",version="1",keyId="nobody"',
        'Signature algorithm="rsa-sha256",version="1",keyId="k",headers="date"',
    ],
)
def test_a_call_without_a_full_signature_is_refused(authorization: str) -> None:
    _, _, public = signatures.new_key()
    with pytest.raises(Refused) as refused:
        headers = {"authorization": authorization}
        signatures.verify("GET", "/", headers, b"", {"k": public}, START)
    assert refused.value.status == 401
