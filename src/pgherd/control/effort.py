"""How long to keep trying with one database or environment, and when to give up on it.

A failure that may pass is waited for, longer each time, and only the same failure over and
over ends the trying. Any other failure ends it at once. Giving up is about one subject: it
is parked, and everything else goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pgherd.control.clock import Clock, Patience
from pgherd.control.events import Late, OnEvent, Parked, Retrying
from pgherd.errors import PgherdError, TryLater


class GivenUp(Exception):
    """Leaves the block of an effort that is over."""


class Effort:
    """The trying with one subject. `with effort:` ends quietly where it was given up."""

    def __init__(self, subject: str, clock: Clock, patience: Patience, emit: OnEvent) -> None:
        self.subject = subject
        self.error: PgherdError | None = None
        self._clock = clock
        self._patience = patience
        self._emit = emit
        self._name = ""
        self._failed = ""
        self._failures = 0
        self._times: Counter[str] = Counter()
        self._started: float | None = None
        self._silence: Callable[[], None] = _nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._silence()
        self._started = None
        return isinstance(error, GivenUp)

    def start(self) -> None:
        """The deadline counts from here; waiting for a turn does not."""
        if self._started is None:
            self._started = self._clock.now()
            self._silence = self._clock.call_later(self._patience.deadline, self._late)

    def begin(self, name: str) -> None:
        """What is tried now."""
        self._name = name

    def succeeded(self) -> None:
        """What was tried worked."""
        self._times[self._name] += 1
        if self._failed == self._name:
            self._failed, self._failures = "", 0

    async def begin_again(self, name: str) -> None:
        """Wait before something that was done before in this run and is wanted again."""
        times = self._times[name]
        if times == 0:
            return
        error = TryLater(f"{self.subject}: {name} was done {times} times and is wanted again")
        if times >= self._patience.attempts:
            self._park(error)
        await self._pause(error, times)

    async def recover(self, error: PgherdError) -> None:
        """Wait after a failure, or raise GivenUp."""
        if not isinstance(error, TryLater):
            self._park(error)
        self._failures = self._failures + 1 if self._failed == self._name else 1
        self._failed = self._name
        if self._is_late() or self._failures >= self._patience.attempts:
            self._park(error)
        await self._pause(error, self._failures)

    async def _pause(self, error: PgherdError, failures: int) -> None:
        delay = self._patience.delay(failures)
        self._emit(Retrying(self.subject, error, failures, delay, self._clock.now()))
        await self._clock.sleep(delay)

    def _park(self, error: PgherdError) -> None:
        self.error = error
        self._emit(Parked(self.subject, error, self._clock.now()))
        raise GivenUp

    def _is_late(self) -> bool:
        started = self._started
        return started is not None and self._clock.now() - started >= self._patience.deadline

    def _late(self) -> None:
        self._emit(Late(self.subject, self._patience.deadline, self._clock.now()))


def _nothing() -> None:
    pass
