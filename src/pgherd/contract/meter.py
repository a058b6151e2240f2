"""What databases use, as a place measures it: an ability that an engine may lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pgherd.fleet.desired import DatabaseId


@dataclass(frozen=True, slots=True)
class InstanceUsage:
    """What one instance used and how it fared; each value None where it is unknown.

    `throttled_percent` is the share of the time in which its quota was used up, `waited_percent`
    that in which some process of it waited for a CPU. `transaction_age` is that of the oldest one
    that some row still names: 2,000 million are the end. Lag is a replica's.
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


@dataclass(frozen=True, slots=True)
class Usage:
    """What a database used in the time before `at`; each value None where it is unknown.

    Percents are of what an instance has, those of the busiest one; without `instances`, those of
    the primary. They are means of the last `seconds`, where those are known. `ocpus` is the size
    that it had. `at` is aware.
    """

    at: datetime
    cpu_percent: float | None = None
    memory_percent: float | None = None
    storage_bytes: int | None = None
    ocpus: int | None = None
    seconds: float | None = None
    transactions_per_second: float | None = None
    clients: int | None = None
    waiting_clients: int | None = None
    longest_wait_seconds: float | None = None
    instances: Mapping[str, InstanceUsage] = field(default_factory=dict)


class Meter(Protocol):
    """What measures databases."""

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """What the databases used from `since` ago until now, the oldest first.

        A place that keeps nothing has one value for each, of the time since it was last asked. A
        database without an answer is not in it.
        """
        ...
