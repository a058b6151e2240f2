"""What databases use, from two of the agent's measurements and the sizes that they have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from pgherd.contract.happenings import Happenings
from pgherd.contract.meter import DatabaseCounters, InstanceUsage, Usage
from pgherd.decide.parameters import readers_pool_size, session_pool_size
from pgherd.engines.local import door, patroni, rpc
from pgherd.engines.local.counters import counters
from pgherd.engines.local.happened import AllHappened, happenings, joined
from pgherd.engines.local.manifest import DatabaseManifest, read_databases
from pgherd.engines.local.measured import (
    Measured,
    MeasuredDatabase,
    MeasuredInstance,
    MeasuredPooler,
    SaidByServer,
    UsedByServer,
)
from pgherd.engines.local.place import Place
from pgherd.fleet.desired import DatabaseId

T = TypeVar("T", int, float)
K = TypeVar("K", UsedByServer, SaidByServer)
LONGEST_SECONDS = 60.0
"""Two measurements that are farther apart are not of one load."""


class LocalMeter:
    """Asks the agent, and remembers its last answer."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._before: Measured | None = None
        self._counters: Mapping[DatabaseId, DatabaseCounters] = {}
        self._happened = AllHappened()
        self._known: frozenset[DatabaseId] = frozenset()

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """One value for each database, of the time since this was last asked."""
        place = self._place
        self._counters = {}
        place.claim.require()
        try:
            after = await place.agent.ask(self._question())
        except rpc.NoAgent:
            return {}
        before, self._before = self._before, after
        self._happened = joined(self._happened, after.happened)
        at = place.now()
        found, counted = {}, {}
        manifests = list(read_databases(place.layout))
        self._known = frozenset(manifest.id for manifest in manifests)
        for manifest in manifests:
            if (measured := after.databases.get(str(manifest.id))) is not None:
                earlier = before.databases.get(str(manifest.id)) if before else None
                found[manifest.id] = (usage(manifest, earlier, measured, at),)
                counted[manifest.id] = counters(manifest, measured)
        self._counters = counted
        return found

    def counters(self) -> Mapping[DatabaseId, DatabaseCounters]:
        """Those of the agent's last answer."""
        return self._counters

    def happenings(self) -> Happenings | None:
        """The last things that the agent did, as it has told them."""
        return happenings(self._happened, self._known) if self._happened.source else None

    def _question(self) -> door.Measure:
        """What is known already is not told again."""
        found = self._happened.found
        return door.Measure(self._happened.source, found[-1].number if found else 0)


def usage(
    manifest: DatabaseManifest,
    before: MeasuredDatabase | None,
    after: MeasuredDatabase,
    at: datetime,
) -> Usage:
    """What a database used between two measurements. Pure."""
    earlier = before.instances if before else {}
    instances = {
        name: _instance(manifest, earlier.get(name), measured)
        for name, measured in after.instances.items()
    }
    said = [measured.said for measured in after.instances.values()]
    primary = instances.get(after.serving or "")
    pooler = after.pooler
    readers, readers_each = _readers(manifest, pooler)
    return Usage(
        at=at,
        ocpus=manifest.ocpus,
        cpu_percent=_largest(i.cpu_percent for i in instances.values()),
        memory_percent=_largest(i.memory_percent for i in instances.values()),
        storage_bytes=_largest(s.database_bytes for s in said if s),
        seconds=_largest(
            _seconds(earlier[name].used, measured.used)
            for name, measured in after.instances.items()
            if name in earlier
        ),
        transactions_per_second=primary.transactions_per_second if primary else None,
        clients=pooler.clients if pooler else None,
        waiting_clients=pooler.waiting if pooler else None,
        longest_wait_seconds=pooler.longest_wait_seconds if pooler else None,
        readers=readers,
        readers_each=readers_each,
        unarchived_seconds=after.unarchived_seconds if manifest.archive else None,
        instances=instances,
    )


def _readers(
    manifest: DatabaseManifest, pooler: MeasuredPooler | None
) -> tuple[int | None, int | None]:
    """Who reads, and how many a server takes of them: the role or the service, by what is left.

    Each of them has connections of its own.
    """
    if pooler is None:
        return None, None
    size = patroni.size(manifest)
    both = (
        (pooler.readers, readers_pool_size(size)),
        (pooler.service_readers, session_pool_size(size, read_only=True)),
    )
    return max(both, key=lambda one: one[0] / one[1])


def _instance(
    manifest: DatabaseManifest, before: MeasuredInstance | None, after: MeasuredInstance
) -> InstanceUsage:
    earlier, used = (before.used if before else None), after.used
    said_before, said = (before.said if before else None), after.said
    cpu = _rate(earlier, used, lambda u: u.cpu_seconds)
    waited = _rate(earlier, used, lambda u: u.waited_seconds)
    memory = used.memory_bytes if used else None
    found = InstanceUsage(
        cpu_percent=100 * cpu / manifest.cores if cpu is not None and manifest.cores else None,
        memory_percent=None if memory is None else 100 * memory / manifest.memory_bytes,
        throttled_percent=_throttled(earlier, used),
        waited_percent=None if waited is None else 100 * waited,
        disk=after.disk.name if after.disk else None,
        disk_bytes=after.disk.size if after.disk else None,
        disk_free_bytes=after.disk.free if after.disk else None,
        unarchived_bytes=after.waiting_bytes if manifest.archive else None,
    )
    if said is None:
        return found
    return replace(
        found,
        is_primary=said.is_primary,
        connections=said.connections,
        active=said.active,
        blocked=said.blocked,
        oldest_transaction_seconds=said.oldest_transaction_seconds,
        transactions_per_second=_rate(said_before, said, lambda s: s.transactions),
        cache_hit_percent=_cache_hits(said_before, said),
        temporary_bytes_per_second=_rate(said_before, said, lambda s: s.temporary_bytes),
        deadlocks=said.deadlocks,
        transaction_age=said.transaction_age,
        lag_bytes=said.lag_bytes,
        lag_seconds=said.lag_seconds,
    )


def _rate(before: K | None, after: K | None, count: Callable[[K], float | None]) -> float | None:
    """How much of it a second; None where it is unknown, or was counted anew in between."""
    seconds = _seconds(before, after)
    if seconds is None or before is None or after is None:
        return None
    old, new = count(before), count(after)
    if old is None or new is None or new < old:
        return None
    return (new - old) / seconds


def _seconds(before: K | None, after: K | None) -> float | None:
    """Between two measurements of one server; None where they say nothing of each other."""
    if before is None or after is None or before.server != after.server:
        return None
    seconds = after.taken - before.taken
    return seconds if 0 < seconds <= LONGEST_SECONDS else None


def _throttled(before: UsedByServer | None, after: UsedByServer | None) -> float | None:
    """The share of periods in which the quota was used up; 0 where there was none to count."""
    throttled = _rate(before, after, lambda u: u.throttled_periods)
    periods = _rate(before, after, lambda u: u.periods)
    if throttled is None or periods is None:
        return None
    return 100 * throttled / periods if periods else 0.0


def _cache_hits(before: SaidByServer | None, after: SaidByServer | None) -> float | None:
    """None where nothing was read."""
    hits = _rate(before, after, lambda s: s.blocks_hit)
    reads = _rate(before, after, lambda s: s.blocks_read)
    if hits is None or reads is None or not hits + reads:
        return None
    return 100 * hits / (hits + reads)


def _largest(values: Iterable[T | None]) -> T | None:
    return max((value for value in values if value is not None), default=None)
