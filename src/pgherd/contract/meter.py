"""What databases use, as a place measures it: an ability that an engine may lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pgherd.contract.happenings import Happenings
from pgherd.fleet.desired import DatabaseId


@dataclass(frozen=True, slots=True)
class InstanceUsage:
    """What one instance used and how it fared; each value None where it is unknown.

    `throttled_percent` is the share of the time in which its quota was used up, `waited_percent`
    that in which some process of it waited for a CPU. `transaction_age` is that of the oldest one
    that some row still names: 2,000 million are the end. Lag is a replica's. `disk` names the one
    that its data is on, which others may share; `unarchived_bytes` of its WAL have yet to be
    archived.
    """

    is_primary: bool | None = None
    cpu_percent: float | None = None
    memory_percent: float | None = None
    throttled_percent: float | None = None
    waited_percent: float | None = None
    connections: int | None = None
    active: int | None = None
    blocked: int | None = None
    oldest_transaction_seconds: float | None = None
    transactions_per_second: float | None = None
    cache_hit_percent: float | None = None
    temporary_bytes_per_second: float | None = None
    deadlocks: int | None = None
    transaction_age: int | None = None
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    disk: str | None = None
    disk_bytes: int | None = None
    disk_free_bytes: int | None = None
    unarchived_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a database used in the time before `at`; each value None where it is unknown.

    Percents are of what an instance has, those of the busiest one; without `instances`, those of
    the primary. They are means of the last `seconds`, where those are known. `ocpus` is the size
    that it had. With `memory_is_cache`, memory counts a cache that could be smaller, so that only
    `cache_hit_percent` tells whether there is enough. `readers` are clients of one user who
    have a session of the read-only name, or wait for one; each server that it leads to may have
    `readers_each` of that user. All that was committed until `unarchived_seconds` ago was handed
    over to its backups. `at` is aware.
    """

    at: datetime
    cpu_percent: float | None = None
    memory_percent: float | None = None
    memory_is_cache: bool = False
    cache_hit_percent: float | None = None
    storage_bytes: int | None = None
    ocpus: int | None = None
    seconds: float | None = None
    transactions_per_second: float | None = None
    clients: int | None = None
    waiting_clients: int | None = None
    longest_wait_seconds: float | None = None
    readers: int | None = None
    readers_each: int | None = None
    unarchived_seconds: float | None = None
    instances: Mapping[str, InstanceUsage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstanceCounters:
    """What one instance has used, and says of itself; each value None where it is unknown.

    Counts (`cpu_seconds` to `periods`, and `transactions` to `wal_bytes`) only grow, but may begin
    anew with another server. The others are as they are now. `throttled_seconds` is how long its
    processes were kept from running by the quota, together, `waited_seconds` how long at least
    one of them waited for a CPU. `cpu_cores` and `memory_limit_bytes` are what it may use.
    """

    is_primary: bool | None = None
    cpu_seconds: float | None = None
    throttled_seconds: float | None = None
    waited_seconds: float | None = None
    throttled_periods: int | None = None
    periods: int | None = None
    cpu_cores: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    connections: int | None = None
    active: int | None = None
    idle_in_transaction: int | None = None
    blocked: int | None = None
    oldest_transaction_seconds: float | None = None
    transaction_age: int | None = None
    slot_bytes: int | None = None
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    database_bytes: int | None = None
    transactions: int | None = None
    rows_read: int | None = None
    rows_written: int | None = None
    blocks_hit: int | None = None
    blocks_read: int | None = None
    temporary_bytes: int | None = None
    deadlocks: int | None = None
    wal_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class DatabaseCounters:
    """The same of a database and its pooler; each value None where it is unknown.

    `cpu_percent` and `memory_percent` are as in `Usage`, from a place that counts nothing itself.
    """

    ocpus: int | None = None
    cpu_percent: float | None = None
    memory_percent: float | None = None
    storage_bytes: int | None = None
    clients: int | None = None
    waiting_clients: int | None = None
    longest_wait_seconds: float | None = None
    instances: Mapping[str, InstanceCounters] = field(default_factory=dict)


class Meter(Protocol):
    """What measures databases."""

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """What the databases used from `since` ago until now, the oldest first.

        A place that keeps nothing has one value for each, of the time since it was last asked. A
        database without an answer is not in it.
        """
        ...

    def counters(self) -> Mapping[DatabaseId, DatabaseCounters]:
        """What was measured when `usage` was last asked, as it was counted. It asks nobody.

        Empty before, and where `usage` failed. A place that counts nothing may have none.
        """
        ...

    def happenings(self) -> Happenings | None:
        """What the place did by itself, as it was told when `usage` was last asked. It asks nobody.

        The last ones, of which whoever asks may know some. None where nothing is told.
        """
        ...
