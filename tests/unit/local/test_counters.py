"""What the agent measured, as it is told to others: all of it, and nothing for what is unknown."""

from __future__ import annotations

from dataclasses import fields, replace

from local_fleet import AUTH as MANIFEST

from pgherd.contract.meter import InstanceCounters
from pgherd.engines.local.counters import SAID, USED, counters
from pgherd.engines.local.measured import (
    MeasuredDatabase,
    MeasuredInstance,
    MeasuredPooler,
    SaidByServer,
    UsedByServer,
)

NAME = MANIFEST.instance_name(1)
USED_ALL = UsedByServer(100.0, "7:1", 10.0, 1.0, 30, 400, 2.0, 64 * 2**20)
SAID_ALL = SaidByServer(
    taken=99.0,
    server="7:1",
    **{name: n for n, name in enumerate(SAID, 1)},  # type: ignore[arg-type]
)


def measured(
    used: UsedByServer | None = USED_ALL, said: SaidByServer | None = SAID_ALL
) -> MeasuredDatabase:
    return MeasuredDatabase(NAME, {NAME: MeasuredInstance(used, said)})


def test_all_that_is_measured_is_told() -> None:
    one = counters(MANIFEST, measured()).instances[NAME]
    assert [f.name for f in fields(one) if getattr(one, f.name) is None] == []
    for name in USED:
        assert getattr(one, name) == getattr(USED_ALL, name)
    for name in SAID:
        assert getattr(one, name) == getattr(SAID_ALL, name)
    assert (one.cpu_cores, one.memory_limit_bytes) == (MANIFEST.cores, MANIFEST.memory_bytes)


def test_nothing_is_told_of_what_the_agent_does_not_know() -> None:
    found = counters(MANIFEST, measured(None, None))
    sizes = InstanceCounters(cpu_cores=MANIFEST.cores, memory_limit_bytes=MANIFEST.memory_bytes)
    assert found.instances == {NAME: sizes}
    assert (found.clients, found.waiting_clients, found.longest_wait_seconds) == (None, None, None)
    assert found.storage_bytes is None


def test_an_older_manifest_says_no_cores() -> None:
    found = counters(replace(MANIFEST, cores=0.0), measured())
    assert found.instances[NAME].cpu_cores is None


def test_a_database_has_its_pooler_and_its_largest_instance() -> None:
    other = MANIFEST.instance_name(2)
    large = MeasuredInstance(None, replace(SAID_ALL, database_bytes=10**9))
    whole = replace(
        measured(),
        instances={**measured().instances, other: large},
        pooler=MeasuredPooler(1.0, 20, 5, 0.25, 7, 0),
    )
    found = counters(MANIFEST, whole)
    assert (found.clients, found.waiting_clients, found.longest_wait_seconds) == (20, 5, 0.25)
    assert (found.storage_bytes, found.ocpus) == (10**9, MANIFEST.ocpus)
