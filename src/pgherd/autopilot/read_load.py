"""The number of replicas, from who reads: what is remembered, what follows. Pure.

The rules are `decide.replicas`.
"""

from __future__ import annotations

from pgherd.contract.meter import InstanceUsage, Usage
from pgherd.decide.replicas import Count, Range, Readers, Reading, follow, judge
from pgherd.fleet.desired import Database


def bounds(database: Database) -> Range | None:
    """How many replicas it may have; None where it is not to be scaled, or has no choice."""
    low, high = database.replicas.min, database.replicas.max
    if database.autoscale is None or low == high:
        return None
    return Range(low, high, database.autoscale.cpu_percent / 100)


def remembered(
    before: Readers | None, database: Database, usage: Usage, seconds: float, now: float
) -> Readers | None:
    """The same with one more sample; `now` is in seconds since the machine was started."""
    if (range := bounds(database)) is None:
        return None
    if before is not None and before.at > now:  # of another boot of the machine
        before = None
    return follow(before, _reading(database, usage, seconds, now), range)


def verdict(readers: Readers | None, database: Database, now: float) -> Count | None:
    """How many it is to have; None where nothing says that it is to be another number."""
    range = bounds(database)
    return judge(readers, range, now) if range else None


def _reading(database: Database, usage: Usage, seconds: float, now: float) -> Reading:
    instances = usage.instances.values()
    replicas = [_share(i) for i in instances if i.is_primary is False]
    count = max(0, len(usage.instances) - 1)
    return Reading(
        at=now,
        seconds=seconds,
        replicas=count,
        cpu=replicas,
        primary_cpu=next((_share(i) for i in instances if i.is_primary), None),
        clients=usage.readers,
        clients_each=usage.readers_each,
        is_largest=usage.ocpus is not None and usage.ocpus >= database.ocpus.max,
        all_stream=len(replicas) == count,
    )


def _share(instance: InstanceUsage) -> float | None:
    return None if instance.cpu_percent is None else instance.cpu_percent / 100
