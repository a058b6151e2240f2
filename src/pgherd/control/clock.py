"""Time, as everything in control gets it: passed in, so that tests own it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Seconds that only ever grow, a way to wait, and a way to be called."""

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...

    def call_later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call after so many seconds, unless what is returned was called before."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call after so many seconds, unless what is returned was called before."""
        return asyncio.get_running_loop().call_later(seconds, call).cancel


@dataclass(frozen=True, slots=True)
class Patience:
    """How TryLater is met: waits that double up to a cap, and an end to them.

    `attempts` counts failures of the same action in a row. After `deadline` seconds of work a
    database is reported as late; what runs then is not aborted, but not tried again either.
    """

    first: float = 0.5
    cap: float = 15.0
    attempts: int = 8
    deadline: float = 600.0

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        # The exponent is bounded since a power of two outgrows a float.
        return float(min(self.cap, self.first * 2 ** min(failures - 1, 32)))
