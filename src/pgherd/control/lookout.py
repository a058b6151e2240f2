"""Looking at the world through the engines, and never twice where once is enough.

Whoever asks gets an observation that began after the question. All who ask while one is
under way share the next one, so many databases that look again at once cost one look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pgherd.contract.engine import Engine
from pgherd.contract.observed import Observation, Unknown
from pgherd.errors import InputError, TryLater


class Lookout:
    """The newest observation of each engine; with `roles` at any price, or only for nothing."""

    def __init__(self, engines: Mapping[str, Engine], *, roles: bool = True) -> None:
        alone = len(engines) == 1
        self._views = {
            name: _View(engine, roles=roles, is_alone=alone) for name, engine in engines.items()
        }

    @property
    def latest(self) -> dict[str, Observation | Unknown]:
        """What was seen last, by engine."""
        return {name: view.seen for name, view in self._views.items()}

    async def look(self, engine: str) -> Observation | Unknown:
        """What one engine sees from now on. An engine that cannot see says why."""
        return await self._views[engine].look()

    async def look_everywhere(self) -> dict[str, Observation | Unknown]:
        """What all engines see from now on."""
        async with asyncio.TaskGroup() as group:
            for view in self._views.values():
                group.create_task(view.look())
        return self.latest


class _View:
    def __init__(self, engine: Engine, *, roles: bool, is_alone: bool) -> None:
        self._engine = engine
        self._roles = roles
        self._is_alone = is_alone
        self._lock = asyncio.Lock()
        self._begun = 0
        self._seen_at = 0
        self.seen: Observation | Unknown = Unknown("it was not looked at yet")

    async def look(self) -> Observation | Unknown:
        wanted = self._begun + 1
        async with self._lock:
            if self._seen_at < wanted:
                self._begun += 1
                self.seen = await self._observe()
                self._seen_at = self._begun
            return self.seen

    async def _observe(self) -> Observation | Unknown:
        try:
            return await self._engine.observe(roles=self._roles)
        except TryLater as error:
            return Unknown(error.message)
        except InputError as error:
            # Where there are several engines, one that cannot be used does not hide the others.
            if self._is_alone:
                raise
            return Unknown(error.message)
