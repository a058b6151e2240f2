"""What is said of a database's use, from two measurements of it. Missing is never zero."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from local_fleet import AUTH as MANIFEST

from pgherd.engines.local.measured import (
    MeasuredDatabase,
    MeasuredInstance,
    MeasuredPooler,
    SaidByServer,
    UsedByServer,
)
from pgherd.engines.local.meter import usage

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
FIRST, SECOND = (MANIFEST.instance_name(i.number) for i in MANIFEST.instances[:2])
USED = UsedByServer(100.0, "7:1", 10.0, 1.0, 30, 400, 2.0, 64 * 2**20)
SAID = SaidByServer(
    taken=99.0,
    server="7:1",
    is_primary=True,
    connections=3,
    active=1,
    idle_in_transaction=0,
    blocked=0,
    oldest_transaction_seconds=None,
    transactions=1000,
    rows_read=1,
    rows_written=1,
    blocks_hit=90,
    blocks_read=10,
    temporary_bytes=0,
    deadlocks=0,
    transaction_age=5,
    wal_bytes=1,
    slot_bytes=None,
    lag_bytes=None,
    lag_seconds=None,
    database_bytes=8_000_000,
)


def measured(
    used: UsedByServer | None = USED, said: SaidByServer | None = SAID
) -> MeasuredDatabase:
    return MeasuredDatabase(FIRST, {FIRST: MeasuredInstance(used, said)})


LATER = measured(
    replace(USED, taken=105.0, cpu_seconds=10.9, throttled_periods=55, periods=450),
    replace(SAID, taken=104.0, transactions=3000, blocks_hit=180, blocks_read=20),
)


def test_the_first_measurement_says_no_rates() -> None:
    found = usage(MANIFEST, None, measured(), AT)
    assert (found.cpu_percent, found.transactions_per_second, found.seconds) == (None, None, None)
    assert (found.memory_percent, found.storage_bytes) == (50.0, 8_000_000)


def test_two_measurements_say_what_happened_in_between() -> None:
    found = usage(MANIFEST, measured(), LATER, AT)
    assert found.cpu_percent == pytest.approx(90.0)  # 0.18 of a core, of 0.2
    assert found.seconds == 5.0
    assert found.transactions_per_second == 400.0
    instance = found.instances[FIRST]
    assert instance.throttled_percent == pytest.approx(50.0)
    assert instance.cache_hit_percent == pytest.approx(90.0)


def test_the_busiest_instance_counts() -> None:
    replica = MeasuredInstance(replace(USED, cpu_seconds=1.0), replace(SAID, is_primary=False))
    busy = MeasuredInstance(
        replace(USED, taken=105.0, cpu_seconds=2.0),
        replace(SAID, taken=104.0, is_primary=False, transactions=9000),
    )
    before = replace(measured(), instances={**measured().instances, SECOND: replica})
    after = replace(LATER, instances={**LATER.instances, SECOND: busy})
    found = usage(MANIFEST, before, after, AT)
    assert found.cpu_percent == pytest.approx(100.0)
    assert found.transactions_per_second == 400.0  # the primary's


@pytest.mark.parametrize(
    "after",
    [
        measured(None, None),
        measured(replace(USED, taken=105.0, server="8:2")),
        measured(replace(USED, taken=105.0, cpu_seconds=None)),
        measured(replace(USED, taken=105.0, cpu_seconds=3.0)),
        measured(replace(USED, taken=100.0)),
        measured(replace(USED, taken=500.0)),
        MeasuredDatabase(),
    ],
    ids=["gone", "another server", "unknown", "counted anew", "no time", "long ago", "nothing"],
)
def test_what_cannot_be_known_is_none(after: MeasuredDatabase) -> None:
    assert usage(MANIFEST, measured(), after, AT).cpu_percent is None


def test_an_older_manifest_says_no_cores() -> None:
    assert usage(replace(MANIFEST, cores=0.0), measured(), LATER, AT).cpu_percent is None


def test_no_period_is_no_throttling() -> None:
    idle = measured(replace(USED, taken=105.0))
    assert usage(MANIFEST, measured(), idle, AT).instances[FIRST].throttled_percent == 0.0


def test_the_poolers_clients_are_told() -> None:
    after = replace(LATER, pooler=MeasuredPooler(1.0, 20, 5, 0.25, 7, 0))
    found = usage(MANIFEST, measured(), after, AT)
    assert (found.clients, found.waiting_clients, found.longest_wait_seconds) == (20, 5, 0.25)


@pytest.mark.parametrize(
    ("of_role", "of_service", "told"),
    # The role may have a quarter of the service's 64, the service half of its 128 sessions.
    [(7, 0, (7, 16)), (0, 50, (50, 64)), (4, 12, (4, 16)), (4, 20, (20, 64)), (0, 0, (0, 16))],
)
def test_of_those_who_read_the_user_with_the_least_room_is_told(
    of_role: int, of_service: int, told: tuple[int, int]
) -> None:
    after = replace(LATER, pooler=MeasuredPooler(1.0, 20, 5, 0.25, of_role, of_service))
    found = usage(MANIFEST, measured(), after, AT)
    assert (found.readers, found.readers_each) == told


def test_without_an_answer_of_the_pooler_nobody_knows_who_reads() -> None:
    found = usage(MANIFEST, measured(), replace(LATER, pooler=None), AT)
    assert (found.readers, found.readers_each) == (None, None)
