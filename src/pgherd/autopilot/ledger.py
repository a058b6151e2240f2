"""What the helper remembers of messages to receivers: none goes twice, and not too many go.

Whoever has the controller's rights may ask for messages without end, and a controller that was
ended while one was on its way asks for the same again.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable

import msgspec

from pgherd.autopilot.requests import Answered, Failure, Notify
from pgherd.decide.notifications import HOUR, MOST_AN_HOUR

MOST_TRIES = 2 * MOST_AN_HOUR
"""To send to one receiver, within an hour: some are not taken."""
MOST_TRIES_OF_ALL = 500
MOST_AT_ONCE = 4
REMEMBERED = 1000


class Ledger:
    """Of one helper, in memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: deque[tuple[float, str]] = deque()
        self._taken: dict[str, float] = {}
        self._under_way: set[str] = set()

    def answer(self, number: int, request: Notify) -> Answered | None:
        """What is answered at once: it was taken already, or cannot be sent now."""
        self._forget()
        mark = _mark(request)
        if mark in self._taken:
            return Answered(number)
        if mark in self._under_way:
            return _refused(number, "it is on its way")
        if len(self._under_way) >= MOST_AT_ONCE:
            return _refused(number, "enough messages are on their way")
        tries = sum(receiver == request.receiver for _, receiver in self._tries)
        if tries >= MOST_TRIES or len(self._tries) >= MOST_TRIES_OF_ALL:
            return _refused(number, "enough was sent within an hour")
        return None

    def begin(self, request: Notify) -> None:
        """It is on its way."""
        self._under_way.add(_mark(request))
        self._tries.append((self._clock(), request.receiver))

    def end(self, request: Notify, *, is_taken: bool) -> None:
        """It is not any more."""
        mark = _mark(request)
        self._under_way.discard(mark)
        if is_taken:
            self._taken[mark] = self._clock()

    def _forget(self) -> None:
        before = self._clock() - HOUR
        while self._tries and self._tries[0][0] < before:
            self._tries.popleft()
        while len(self._taken) > REMEMBERED:
            del self._taken[next(iter(self._taken))]


def _mark(request: Notify) -> str:
    return hashlib.sha256(msgspec.json.encode(request)).hexdigest()


def _refused(number: int, why: str) -> Answered:
    return Answered(number, failure=Failure("TryLater", why, ""))
