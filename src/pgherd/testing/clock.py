"""A clock that a test owns: waiting takes no time and moves it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class FakeClock:
    """Starts at 0. Those who sleep at once wake at once: their waits overlap, as real ones do."""

    def __init__(self) -> None:
        self._now = 0.0
        self._alarms: dict[int, tuple[float, Callable[[], None]]] = {}
        self._next = 0
        self.sleeps: list[float] = []

    def now(self) -> float:
        """Seconds since the test began."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass, and make the calls that fall due."""
        self._move_to(self._now + seconds)

    async def sleep(self, seconds: float) -> None:
        """Return at once, so many seconds later."""
        self.sleeps.append(seconds)
        wake = self._now + seconds
        await asyncio.sleep(0)
        self._move_to(max(self._now, wake))

    def call_later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call after so many seconds, unless what is returned was called before."""
        key = self._next
        self._next += 1
        self._alarms[key] = (self._now + seconds, call)

        def cancel() -> None:
            self._alarms.pop(key, None)

        return cancel

    def _move_to(self, moment: float) -> None:
        self._now = moment
        for key, (due, call) in sorted(self._alarms.items()):
            # A call may have cancelled another one.
            if due <= moment and key in self._alarms:
                del self._alarms[key]
                call()
