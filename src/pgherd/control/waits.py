"""Saying what a run waits for: where nothing has happened for a while, the world is looked at.

A look for this alone decides nothing, and where it fails nobody is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pgherd.contract.observed import Observation, ObservedDatabase, Unknown
from pgherd.control.clock import Clock
from pgherd.control.events import Event, OnEvent, Waiting
from pgherd.control.lookout import Lookout
from pgherd.decide.actions import Action, subject, summary
from pgherd.errors import PgherdError

FIRST_SECONDS = 15.0
"""So long after the last that happened it is told; then after twice as long each time ..."""
LONGEST_SECONDS = 60.0
"""... and no longer than that."""


class Waits:
    """Those of one run. All that happens in it goes through `emit`."""

    def __init__(self, lookout: Lookout, clock: Clock, emit: OnEvent) -> None:
        self._lookout = lookout
        self._clock = clock
        self._tell = emit
        self._under_way: dict[object, tuple[Action, str]] = {}
        self._pause = FIRST_SECONDS
        self._silence: Callable[[], None] = _nothing
        self._look: asyncio.Task[None] | None = None

    def emit(self, event: Event) -> None:
        """Something happened."""
        self._tell(event)
        self._pause = FIRST_SECONDS
        self._wait()

    @contextmanager
    def on(self, action: Action, engine: str) -> Iterator[None]:
        """It is under way meanwhile."""
        key = object()  # several databases may have one environment ensured
        self._under_way[key] = action, engine
        self._wait()
        try:
            yield
        finally:
            del self._under_way[key]
            self._wait()

    def _wait(self) -> None:
        """From now on, where there is anything to wait for."""
        self._silence()
        self._silence = _nothing
        if self._under_way:
            self._silence = self._clock.call_later(self._pause, self._begin)
        elif self._look:
            self._look.cancel()

    def _begin(self) -> None:
        self._pause = min(LONGEST_SECONDS, 2 * self._pause)
        self._wait()
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._say())

    async def _say(self) -> None:
        """What is under way for longest."""
        key, (action, engine) = next(iter(self._under_way.items()))
        with suppress(PgherdError):
            seen = await self._lookout.look(engine)
            if key in self._under_way:
                self._tell(Waiting(subject(action), why(action, seen), self._clock.now()))


def why(action: Action, seen: Observation | Unknown) -> str:
    """What shows of it."""
    goes_on = f"{summary(action)} goes on"
    if isinstance(seen, Unknown):
        return f"{goes_on}; it is not seen: {seen.reason}"
    id = getattr(action, "id", None)
    one = seen.databases.get(id) if id else None
    if isinstance(one, Unknown):
        return f"{goes_on}; it is not seen: {one.reason}"
    if not isinstance(one, ObservedDatabase):
        trouble = seen.impaired.get(subject(action))
        return f"{goes_on}; {trouble}" if trouble else goes_on
    ill = ", ".join(f"{i.name} is {i.state}" for i in one.instances if not i.serves)
    return f"{goes_on}; {one.detail or ill or f'it is {one.state}'}"


def _nothing() -> None:
    pass
