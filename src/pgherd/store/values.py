"""What the store holds, as plain values; importing them loads no database library.

Times are aware datetimes in UTC. What is unknown is None, and never counts as zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from pgherd.errors import TryLater


class StoreDamaged(TryLater):
    """The history cannot be read any more. `Store.renew` puts it aside and begins a new one."""


class Lost(Struct, frozen=True):
    """A history that was left, why, and where it lies now; None where it is gone."""

    reason: str
    aside: Path | None = None

    def __str__(self) -> str:
        where = f"kept as {self.aside}" if self.aside else "not kept"
        return f"{self.reason}; a new history was begun, and the former is {where}"


class Whose(Struct, frozen=True):
    """Whose history it is: a fleet's. It is kept in the database of none of its services."""

    fleet: str
    services: tuple[str, ...] = ()


class Event(Struct, frozen=True):
    """Something that happened, and why.

    `kind` is a word such as "scale" or "failover"; `database` is as in "production/cart". What
    concerns a whole environment names no database, and what concerns the fleet names neither.
    """

    id: int
    at: datetime
    kind: str
    reason: str
    environment: str | None = None
    database: str | None = None
    details: Mapping[str, Any] = {}


class NewEvent(Struct, frozen=True):
    """An event that is to be kept."""

    at: datetime
    kind: str
    reason: str
    environment: str | None = None
    database: str | None = None
    details: Mapping[str, Any] = {}


class Sample(Struct, frozen=True):
    """How loaded one database is."""

    ocpus: float | None = None
    cpu: float | None = None
    """OCPUs in use."""
    throttled: float | None = None
    """Share of the time, from 0 to 1, in which it was denied CPU."""
    memory: float | None = None
    """Bytes that cannot be reclaimed."""
    hot: float | None = None
    """Bytes of cache that are read again and again."""
    storage: float | None = None
    """Bytes."""
    transactions: float | None = None
    """Per second."""
    connections: float | None = None
    waiting: float | None = None
    """Clients in the pooler that have no server connection and want one."""
    lag: float | None = None
    """Bytes that the replica furthest behind has still to replay."""


class Tier(IntEnum):
    """How finely samples are kept: the seconds of one slot."""

    TEN_SECONDS = 10
    MINUTE = 60
    TEN_MINUTES = 600

    @property
    def kept(self) -> timedelta:
        """For how long."""
        return _KEPT[self]


_KEPT = {
    Tier.TEN_SECONDS: timedelta(hours=2),
    Tier.MINUTE: timedelta(days=2),
    Tier.TEN_MINUTES: timedelta(days=60),
}


class Slot(Struct, frozen=True):
    """The samples of one database within `seconds` from `at` on.

    `mean` is of the samples in which a value was known, and None where it was in none of them.
    """

    at: datetime
    seconds: int
    count: int
    """Of samples."""
    mean: Sample
    cpu_max: float | None


class Alert(Struct, frozen=True):
    """Something that is wrong, or was: what, with whom, and what to do about it."""

    name: str
    subject: str
    since: datetime
    summary: str
    remedy: str
    ended_at: datetime | None = None
