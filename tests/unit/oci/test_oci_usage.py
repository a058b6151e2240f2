"""What OCI's Monitoring and limits answer, in pgherd's words."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from oci.limits.models import LimitValueSummary, ResourceAvailability
from oci.monitoring.models import AggregatedDatapoint, MetricData
from oci_fakes import Client, answer, cloud, refusal

from pgherd.contract.meter import DatabaseCounters, Usage
from pgherd.engines.oci.limits import systems_left
from pgherd.engines.oci.usage import METRICS, newest, query, samples
from pgherd.errors import TryLater

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


# Monitoring


def test_each_value_is_told_as_it_was_last_said() -> None:
    """OCI's metrics come one by one, so the newest moment may lack some."""
    told = newest(
        [Usage(NOW - MINUTE, 40.0, 50.0, storage_bytes=2**30), Usage(NOW, cpu_percent=0.0)]
    )
    assert told == DatabaseCounters(cpu_percent=0.0, memory_percent=50.0, storage_bytes=2**30)
    assert newest([Usage(NOW)]) == DatabaseCounters()


def stream(system: str, *points: tuple[int, float]) -> MetricData:
    return MetricData(
        dimensions={"resourceId": system},
        aggregated_datapoints=[
            AggregatedDatapoint(timestamp=NOW - minutes * MINUTE, value=value)
            for minutes, value in points
        ],
    )


async def test_each_metric_is_asked_for_once_a_compartment(threads: ThreadPoolExecutor) -> None:
    client = Client(answer([]))
    assert await samples(cloud(threads, client, "monitoring"), "c1", NOW, 5 * MINUTE) == {}
    asked = [arguments for _, arguments, _ in client.calls]
    assert {operation for operation, _, _ in client.calls} == {"summarize_metrics_data"}
    assert [compartment for compartment, _ in asked] == ["c1"] * len(METRICS)
    assert {details["query"] for _, details in asked} == {query(m) for m in METRICS.values()}
    for _, details in asked:
        assert details["namespace"] == "oci_postgresql"
        assert (details["startTime"], details["endTime"]) == (NOW - 5 * MINUTE, NOW)


def usage(minutes: int, **values: Any) -> Usage:
    """A minute's, of a service whose memory is a cache."""
    return Usage(NOW - minutes * MINUTE, seconds=60.0, memory_is_cache=True, **values)


async def test_values_of_one_moment_come_together_the_oldest_first(
    threads: ThreadPoolExecutor,
) -> None:
    client = Client(
        answer([stream("auth", (1, 40.5), (2, 30.5)), stream("cart", (1, 5.0))]),
        answer([stream("auth", (2, 80.0))]),
        answer([stream("auth", (1, 99.0))]),
        answer([stream("auth", (1, 2e9))]),
    )
    found = await samples(cloud(threads, client, "monitoring"), "c1", NOW, 5 * MINUTE)
    assert found == {
        "auth": [
            usage(2, cpu_percent=30.5, memory_percent=80.0),
            usage(1, cpu_percent=40.5, cache_hit_percent=99.0, storage_bytes=2_000_000_000),
        ],
        "cart": [usage(1, cpu_percent=5.0)],
    }


async def test_a_system_without_points_has_no_usage(threads: ThreadPoolExecutor) -> None:
    client = Client(answer([MetricData(dimensions={"resourceId": "auth"})]))
    assert await samples(cloud(threads, client, "monitoring"), "c1", NOW, MINUTE) == {}


async def test_no_answer_of_monitoring_is_an_error(threads: ThreadPoolExecutor) -> None:
    client = Client(refusal(503))
    with pytest.raises(TryLater):
        await samples(cloud(threads, client, "monitoring"), "c1", NOW, MINUTE)


# Limits


def limits(*names: str) -> Any:
    return answer([LimitValueSummary(name=name, value=20) for name in names])


async def left(threads: ThreadPoolExecutor, *answers: Any) -> tuple[int | None, Client]:
    client = Client(*answers)
    return await systems_left(cloud(threads, client, "limits")), client


@pytest.mark.parametrize("available", [12, 0, None])
async def test_how_many_systems_are_left(
    threads: ThreadPoolExecutor, available: int | None
) -> None:
    found, client = await left(
        threads,
        limits("backup-count", "db-system-count"),
        answer(ResourceAvailability(used=8, available=available)),
    )
    assert found == available
    operation, arguments, _ = client.calls[-1]
    assert operation == "get_resource_availability"
    assert arguments == ("postgresql", "db-system-count", "ocid1.tenancy.oc1..own")


@pytest.mark.parametrize("names", [(), ("backup-count",)])
async def test_a_limit_that_is_not_told_is_not_known(
    threads: ThreadPoolExecutor, names: tuple[str, ...]
) -> None:
    found, client = await left(threads, limits(*names))
    assert found is None
    assert len(client.calls) == 1


@pytest.mark.parametrize("error", [refusal(404, "NotAuthorizedOrNotFound"), refusal(400, "x")])
async def test_a_limit_that_may_not_be_seen_is_not_known(
    threads: ThreadPoolExecutor, error: Exception
) -> None:
    assert (await left(threads, error))[0] is None


async def test_no_answer_is_never_no_limit(threads: ThreadPoolExecutor) -> None:
    with pytest.raises(TryLater):
        await left(threads, refusal(503))
