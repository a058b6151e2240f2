"""An engine that only the helper may sign in to, as the controller sees it: by what it is told.

The helper looks once a minute, for as long as that takes; in between what it saw last is known.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from pgherd.autopilot.looked import Looked
from pgherd.contract.backups import Backups
from pgherd.contract.meter import DatabaseCounters, Meter, Usage
from pgherd.contract.observed import Observation
from pgherd.errors import PgherdError, TryLater
from pgherd.fleet.desired import DatabaseId

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
OLDEST_SECONDS = 300.0
"""What was seen longer ago is not known any more."""


DEADLINE_SECONDS = 3600.0
"""Who signs in to a cloud may wait for so long until a database has come up there."""


class Watched(Protocol):
    """What the controller sees of an engine; each of them is one."""

    name: str
    deadline: float | None

    @property
    def backups(self) -> Backups | None:
        """Backups of its databases, where somebody has to ask for them."""
        ...

    @property
    def meter(self) -> Meter | None:
        """What its databases use."""
        ...

    async def observe(self, *, roles: bool = True) -> Observation:
        """All that is there. TryLater where it cannot be seen."""
        ...


class Looks(Protocol):
    """Whoever may look."""

    async def look(self, engine: str) -> Looked:
        """How all is on that engine. TryLater, or its error."""
        ...


class DistantEngine:
    """One of them."""

    backups: None = None

    def __init__(self, name: str, looks: Looks) -> None:
        self.name = name
        self.deadline: float | None = DEADLINE_SECONDS
        self.meter: Meter = _Meter(self)
        self._looks = looks
        self._looked: Looked | None = None
        self._looked_at = float("-inf")
        self._begun_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._trouble = "nobody has looked yet"

    async def observe(self, *, roles: bool = True) -> Observation:
        """As it was seen last."""
        return self.last().observation

    def last(self) -> Looked:
        """What was seen last; TryLater where that is too long ago. Looks again where it is time."""
        now = time.monotonic()
        if self._looking is None and now - self._begun_at >= EVERY_SECONDS:
            self._begun_at = now
            self._looking = asyncio.create_task(self._look())
        if self._looked is None or now - self._looked_at > OLDEST_SECONDS:
            raise TryLater(f"{self.name} is not seen: {self._trouble}")
        return self._looked

    async def _look(self) -> None:
        began = time.monotonic()
        try:
            self._looked, self._looked_at = await self._looks.look(self.name), began
        except PgherdError as error:
            if error.message != self._trouble:
                log.warning("%s: %s", self.name, error.message)
            self._trouble = error.message
        except Exception as error:
            log.exception("%s is not seen", self.name)
            self._trouble = f"unexpected: {error!r}"
        finally:
            self._looking = None


class _Meter:
    """The newest measurements of a distant engine."""

    def __init__(self, engine: DistantEngine) -> None:
        self._engine = engine
        self._counters: Mapping[DatabaseId, DatabaseCounters] = {}

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """One of each database, whatever `since` is."""
        self._counters = {}
        last = self._engine.last()
        self._counters = {DatabaseId.parse(id): c for id, c in last.counters.items()}
        return {DatabaseId.parse(id): [usage] for id, usage in last.usages.items()}

    def counters(self) -> Mapping[DatabaseId, DatabaseCounters]:
        """Those of the same look."""
        return self._counters

    def happenings(self) -> None:
        """No distant engine tells."""
