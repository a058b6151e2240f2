"""What the agent has measured, as counters: whoever asks twice knows what happened in between.

Times are seconds since the machine was started (CLOCK_BOOTTIME), so that no change of its clock
matters. What is not known is None, and never 0.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from pgherd.engines.local.happened import AllHappened

Count = Annotated[int, Meta(ge=0, le=2**62)]
Seconds = Annotated[float, Meta(ge=0, le=1e12)]


def now() -> float:
    """Seconds since the machine was started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class UsedByServer:
    """What the server of an instance has used, as the kernel counts it.

    `throttled_seconds` is how long its processes were kept from running by the quota, together;
    `waited_seconds` how long at least one of them waited for a CPU. Memory is what cannot be taken
    back. `server` names the server: with another one, counts may begin anew.
    """

    taken: Seconds
    server: str
    cpu_seconds: Seconds | None = None
    throttled_seconds: Seconds | None = None
    throttled_periods: Count | None = None
    periods: Count | None = None
    waited_seconds: Seconds | None = None
    memory_bytes: Count | None = None


@dataclass(frozen=True, slots=True)
class SaidByServer:
    """What the server of an instance says of itself.

    Counts of the service's database since the server's statistics began, ages in seconds and
    transactions, WAL in bytes: `wal_bytes` that were ever written, `lag_bytes` that a replica has
    not replayed, `slot_bytes` that are kept for the slowest replica.
    """

    taken: Seconds
    server: str
    is_primary: bool
    connections: Count
    active: Count
    idle_in_transaction: Count
    blocked: Count
    oldest_transaction_seconds: Seconds | None
    transactions: Count
    rows_read: Count
    rows_written: Count
    blocks_hit: Count
    blocks_read: Count
    temporary_bytes: Count
    deadlocks: Count
    transaction_age: Count
    """Of the oldest transaction that some row still names: 2,000 million are the end."""
    wal_bytes: Count | None
    slot_bytes: Count | None
    lag_bytes: Count | None
    lag_seconds: Seconds | None
    database_bytes: Count | None


@dataclass(frozen=True, slots=True)
class MeasuredDisk:
    """The disk that a folder is on: its device, its bytes, and those that may still be used."""

    name: Annotated[str, Meta(max_length=40)]
    size: Count
    free: Count


@dataclass(frozen=True, slots=True)
class MeasuredInstance:
    """One instance. `waiting_bytes` of its WAL have yet to be archived."""

    used: UsedByServer | None = None
    said: SaidByServer | None = None
    disk: MeasuredDisk | None = None
    waiting_bytes: Count | None = None


@dataclass(frozen=True, slots=True)
class MeasuredPooler:
    """The service's clients in the pooler, and for how long the first one that waits has waited.

    `readers` are those of the read-only name for sessions who are its role, `service_readers` those
    who are the service.
    """

    taken: Seconds
    clients: Count
    waiting: Count
    longest_wait_seconds: Seconds
    readers: Count
    service_readers: Count


@dataclass(frozen=True, slots=True)
class MeasuredDatabase:
    """One database: its instances by name. `serving` is the primary that clients are sent to.

    All that was committed until `unarchived_seconds` ago was handed over to be archived.
    """

    serving: str | None = None
    instances: Mapping[str, MeasuredInstance] = field(default_factory=dict)
    pooler: MeasuredPooler | None = None
    unarchived_seconds: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """All that is known now, and what the agent has done since it was last asked."""

    taken: Seconds
    databases: Mapping[str, MeasuredDatabase]
    happened: AllHappened = field(default_factory=AllHappened)
