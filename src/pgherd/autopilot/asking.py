"""What the controller asks of the helper: one thing at a time for each name, never too soon again.

A name is that of an environment or a database.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.requests import (
    HandOver,
    Mend,
    OfBackups,
    Renew,
    Replicas,
    Request,
    Resize,
    Restart,
)
from pgherd.errors import Busy, PgherdError, TryLater

log = logging.getLogger(__name__)

SOON_SECONDS = 5.0
"""Where somebody else is at work, which is no failure, it is asked for again after so long."""
BUSY_SECONDS = 120.0
"""Who is at work for longer than that is told of."""
AGAIN_SECONDS = 30.0
"""What failed is not asked for again before; twice as long each time ..."""
LONGEST_AGAIN = 600.0
"""... and no longer than that."""

KINDS: Mapping[type[Request], str] = {
    Mend: "repair",
    Renew: "renew",
    Replicas: "replicas",
    Restart: "restart",
    HandOver: "switchover",
    Resize: "scale",
}
"""What the history calls them."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended: it took `seconds`, or why not.

    `is_news` is false where the same ended just so the time before, or somebody else has just
    come to work.
    """

    seconds: float = 0.0
    error: PgherdError | None = None
    is_news: bool = True


@dataclass(frozen=True, slots=True)
class _Refused:
    what: Request | OfBackups
    message: str
    pause: float


class Asking:
    """Of one controller."""

    def __init__(self, helper: HelperLink) -> None:
        self._helper = helper
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._refused: dict[str, _Refused] = {}
        self._not_before: dict[str, float] = {}
        self._waiting_since: dict[str, float] = {}
        """Since when somebody else is at work."""
        self._begun: dict[str, float] = {}

    def begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside the rounds; not where something of that name is under way, or too soon."""
        if not self.may_begin(name):
            work.close()
            return
        self._begun[name] = time.monotonic()
        self._start(name, work)

    def may_begin(self, name: str) -> bool:
        """Whether nothing of that name is under way, and it is not too soon."""
        return name not in self._busy and time.monotonic() >= self._not_before.get(name, 0.0)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it beside the rounds, and beside what else is under way."""
        self._start(f"later {id(work)}", work)

    def in_turn(self, names: Iterable[str]) -> list[str]:
        """Those for which nothing was begun for longest come first: who stays ill delays nobody."""
        return sorted(names, key=lambda name: self._begun.get(name, 0.0))

    def busy_in(self, environment: str) -> int:
        """How many of its databases have something under way."""
        return sum(name.startswith(f"{environment}/") for name in self._busy)

    def busy_in_all(self) -> int:
        """How many databases have something under way."""
        return sum("/" in name for name in self._busy)

    async def carry_out(self, name: str, request: Request | OfBackups) -> Ended:
        """Have it carried out."""
        before = self._refused.get(name)
        try:
            seconds = await self._helper.carry_out(request)
        except PgherdError as error:
            if isinstance(error, Busy) and self._waits_briefly(name):
                return Ended(error=error, is_news=False)
            what = replace(request, reason="")
            is_news = before is None or (before.what, before.message) != (what, error.message)
            if is_news:
                log.warning("%s: %s", name, error.message)
            pause = min(LONGEST_AGAIN, 2 * before.pause) if before else AGAIN_SECONDS
            if isinstance(error, TryLater):
                pause = before.pause if before else AGAIN_SECONDS / 2
            wait = SOON_SECONDS if isinstance(error, TryLater) else pause
            self._not_before[name] = time.monotonic() + wait
            self._refused[name] = _Refused(what, error.message, pause)
            return Ended(error=error, is_news=is_news)
        for kept in (self._refused, self._not_before, self._waiting_since):
            kept.pop(name, None)
        return Ended(seconds)

    def _waits_briefly(self, name: str) -> bool:
        """Whether somebody else has been at work for so short a time that nobody is told."""
        now = time.monotonic()
        since = self._waiting_since.setdefault(name, now)
        self._not_before[name] = now + SOON_SECONDS
        return now - since < BUSY_SECONDS

    def forget_all_but(self, names: Collection[str]) -> None:
        """What has left the fleet is asked about no more."""
        for kept in (self._refused, self._not_before, self._waiting_since, self._begun):
            for name in kept.keys() - names:
                del kept[name]

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._busy[name] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._busy.pop(name, None))
