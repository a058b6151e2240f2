"""The databases of a fleet as `pgherd top` shows them: one row each, picked and sorted. Pure.

What is not known is None here and blank on the screen, and is never taken for zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import isfinite

from pgherd.autopilot.now import NowOfDatabase
from pgherd.autopilot.reading import History, Load, ReadEvent
from pgherd.contract.meter import Usage
from pgherd.report.status import Sight

MOST = 1e15
"""No measured number is larger; a larger one is none."""
LONGEST = 1_000
"""Characters of what somebody else wrote: no text holds the screen up."""
MOST_POINTS = 500
MOST_EVENTS = 50
"""Of one database."""


@dataclass(frozen=True, slots=True)
class TopRow:
    """One database, with what it used since the last look and in the last minutes."""

    sight: Sight
    usage: Usage | None = None
    now: NowOfDatabase | None = None
    loads: tuple[Load, ...] = ()
    event: ReadEvent | None = None

    @property
    def id(self) -> str:
        """As in `production/auth`."""
        return str(self.sight.id)

    @property
    def ocpus(self) -> int | None:
        """The size that it has."""
        if self.usage and self.usage.ocpus is not None:
            return self.usage.ocpus
        return self.sight.seen.ocpus if self.sight.seen else None

    @property
    def bounds(self) -> tuple[int, int] | None:
        """Between which sizes it is; None where the fleet file does not want it."""
        wanted = self.sight.wanted
        return (wanted.ocpus.initial, wanted.ocpus.max) if wanted else None

    @property
    def cpu(self) -> float | None:
        """Percent of what its busiest instance has."""
        return known(self.usage.cpu_percent) if self.usage else None

    @property
    def memory(self) -> float | None:
        """The same of memory."""
        return known(self.usage.memory_percent) if self.usage else None

    @property
    def transactions(self) -> float | None:
        """Per second."""
        return known(self.usage.transactions_per_second) if self.usage else None

    @property
    def clients(self) -> int | None:
        """Connected to its pooler."""
        return self.usage.clients if self.usage else None

    @property
    def waiting(self) -> int | None:
        """Those of them that wait for a server connection."""
        return self.usage.waiting_clients if self.usage else None

    @property
    def longest_wait(self) -> float | None:
        """For how many seconds one of them has waited."""
        return known(self.usage.longest_wait_seconds) if self.usage else None

    @property
    def storage(self) -> int | None:
        """Bytes."""
        return self.usage.storage_bytes if self.usage else None

    @property
    def lag(self) -> int | None:
        """Bytes that the replica furthest behind has still to replay."""
        seen = [i.lag_bytes for i in self.sight.seen.instances] if self.sight.seen else []
        measured = [i.lag_bytes for i in self.usage.instances.values()] if self.usage else []
        return max((lag for lag in (*seen, *measured) if lag is not None), default=None)


def top_rows(
    sights: Iterable[Sight],
    usages: Mapping[str, Usage],
    told: History,
    own: Mapping[str, Sequence[Load]],
) -> tuple[TopRow, ...]:
    """Of all that is seen. `own` is what was measured here, beside what the history has."""
    events: dict[str, ReadEvent] = {}
    for event in told.events:  # the newest first
        if event.database:
            events.setdefault(event.database, event)
    now = told.now.databases if told.now else {}
    return tuple(
        TopRow(
            sight,
            usages.get(id),
            now.get(id),
            (*told.loads.get(id, ())[-MOST_POINTS:], *own.get(id, ())),
            events.get(id),
        )
        for sight in sights
        for id in (str(sight.id),)
    )


def load_of(at: float, usage: Usage) -> Load:
    """A measurement as a point of a line."""
    clients = usage.clients
    return Load(
        at,
        known(usage.cpu_percent),
        known(usage.transactions_per_second),
        None if clients is None else float(clients),
    )


class Order(Enum):
    """What rows are sorted by, in the words of the screen."""

    FILE = "fleet file"
    NAME = "name"
    CPU = "CPU"
    MEMORY = "memory"
    TRANSACTIONS = "transactions"
    CLIENTS = "clients"
    WAITING = "waiting clients"
    LAG = "lag"


_LARGEST_FIRST: Mapping[Order, Callable[[TopRow], float | None]] = {
    Order.CPU: lambda row: row.cpu,
    Order.MEMORY: lambda row: row.memory,
    Order.TRANSACTIONS: lambda row: row.transactions,
    Order.CLIENTS: lambda row: row.clients,
    Order.WAITING: lambda row: row.waiting,
    Order.LAG: lambda row: row.lag,
}


@dataclass(frozen=True, slots=True)
class Picked:
    """What of the fleet is shown, and how it is sorted."""

    environment: str | None = None
    words: str = ""
    order: Order = Order.FILE
    is_reversed: bool = False

    def rows(self, rows: Iterable[TopRow]) -> list[TopRow]:
        """Those of the environment in whose name, state or last event all the words are."""
        words = self.words.casefold().split()
        found = [
            row
            for row in rows
            if self.environment in (None, row.sight.id.environment)
            and all(word in _text(row) for word in words)
        ]
        if self.order is Order.NAME:
            found.sort(key=lambda row: row.id)
        elif value := _LARGEST_FIRST.get(self.order):
            known_rows = [(n, row) for row in found if (n := value(row)) is not None]
            known_rows.sort(key=lambda pair: -pair[0])
            unknown = [row for row in found if value(row) is None]
            found = [row for _, row in known_rows]
            # What is not known comes last either way.
            return [*(reversed(found) if self.is_reversed else found), *unknown]
        return found[::-1] if self.is_reversed else found

    def next_environment(self, environments: Sequence[str]) -> Picked:
        """All, then each of them, then all again."""
        steps: list[str | None] = [None, *environments]
        place = steps.index(self.environment) if self.environment in steps else 0
        return replace(self, environment=steps[(place + 1) % len(steps)])

    def by(self, order: Order) -> Picked:
        """Sorted so."""
        return replace(self, order=order, is_reversed=False)


def known(value: float | None) -> float | None:
    """A number that can be shown."""
    return value if value is not None and isfinite(value) and 0 <= value < MOST else None


def _text(row: TopRow) -> str:
    event = f"{row.event.kind} {row.event.reason}"[:LONGEST] if row.event else ""
    return f"{row.id} {row.sight.state} {event}".casefold()
