"""What `pgherd top` looks at: engines, their meters, the autopilot and its history.

The history is read by a child that has the rights of whoever it belongs to; see `reading`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from pgherd.autopilot.questions import State
from pgherd.autopilot.reading import History, Load, Wanted
from pgherd.cli.surroundings import Surroundings
from pgherd.contract.engine import Engine
from pgherd.contract.meter import Usage
from pgherd.control.lookout import Lookout
from pgherd.errors import PgherdError, TryLater
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.report import sparkline
from pgherd.report.status import Sight, notes, sights
from pgherd.report.top import TopRow, load_of, top_rows

METER_SECONDS = 4.0
SINCE = timedelta(minutes=5)
HISTORY_SECONDS = 10.0
"""The autopilot tells as often what it measures."""
EVENTS = 100
EVENTS_OF_EACH = 10
FIRST_SECONDS = 1.0
"""Between the two measurements of a print: rates are known from the second on."""


@dataclass(frozen=True, slots=True)
class Found:
    """One look. `at` is in seconds since 1970."""

    at: float
    autopilot: State | None
    rows: tuple[TopRow, ...]
    told: History
    notes: tuple[str, ...] = ()

    @property
    def environments(self) -> list[str]:
        """Those that have rows."""
        return list(dict.fromkeys(row.sight.id.environment for row in self.rows))

    def row(self, id: str) -> TopRow | None:
        """That of one database."""
        return next((row for row in self.rows if row.id == id), None)


class Gathering:
    """Of one fleet."""

    def __init__(self, surroundings: Surroundings, fleet: Fleet) -> None:
        self.fleet = fleet
        self._surroundings = surroundings
        self._engines: Mapping[str, Engine] = surroundings.open_engines(fleet)
        self._lookout = Lookout(self._engines)
        self._autopilot = surroundings.autopilot(fleet.name)
        self._told = surroundings.told(fleet.name)
        self._history = History()
        self._is_told = False
        self._own: dict[str, deque[Load]] = {}

    async def look(self) -> Found:
        """All of it as it is now, with what the history said last."""
        found, state, measured = await asyncio.gather(
            self._lookout.look_everywhere(),
            asyncio.to_thread(self._autopilot.state),
            self._measure(),
        )
        at = self._surroundings.now().timestamp()
        self._remember(at, measured)
        seen: tuple[Sight, ...] = tuple(sights(self.fleet, found))
        rows = top_rows(seen, measured, self._history, self._own)
        return Found(at, state, rows, self._history, tuple(notes(found)))

    async def look_once(self) -> Found:
        """The same with the history read, and with rates where servers have them."""
        reading = asyncio.create_task(asyncio.to_thread(self._read))
        await self._measure()
        await self._surroundings.clock().sleep(FIRST_SECONDS)
        self._history = await reading
        return await self.look()

    async def follow(self, on_first: Callable[[], object]) -> None:
        """Keep up with the history, for as long as this is not cancelled.

        `on_first` is called when it is known for the first time.
        """
        wanted = _wanted(every=HISTORY_SECONDS)
        while True:
            with suppress(PgherdError):  # what was known of it stays on the screen
                async for told in self._told.watch(wanted):
                    is_first, self._is_told = not self._is_told, True
                    self._history = told
                    if is_first:
                        on_first()
            await asyncio.sleep(HISTORY_SECONDS)

    async def _measure(self) -> dict[str, Usage]:
        """All engines at once; one without an answer leaves its databases unknown."""
        parts = await asyncio.gather(*(_usage(engine) for engine in self._engines.values()))
        return {str(id): usage for part in parts for id, usage in part.items()}

    def _read(self) -> History:
        try:
            return self._told.read(_wanted())
        except TryLater:
            return History()

    def _remember(self, at: float, usages: Mapping[str, Usage]) -> None:
        for id, usage in usages.items():
            line = self._own.setdefault(id, deque())
            line.append(load_of(at, usage))
            while line[0].at < at - sparkline.SECONDS:
                line.popleft()


async def _usage(engine: Engine) -> Mapping[DatabaseId, Usage]:
    """The newest of one engine; nothing where it has no meter, or that does not answer."""
    if engine.meter is None:
        return {}
    try:
        async with asyncio.timeout(METER_SECONDS):
            found = await engine.meter.usage(SINCE)
    except (PgherdError, TimeoutError):
        return {}
    return {id: of[-1] for id, of in found.items() if of}


def _wanted(every: float = 0.0) -> Wanted:
    return Wanted(
        limit=EVENTS,
        of_each=EVENTS_OF_EACH,
        load_seconds=sparkline.SECONDS,
        every_seconds=every,
    )
