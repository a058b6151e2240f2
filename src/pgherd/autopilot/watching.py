"""What the controller knows of the engines: what databases use, how they are, what happened.

All engines are asked at once, and one that does not answer in time leaves its databases unknown.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from pgherd.autopilot.distant import Watched
from pgherd.autopilot.lately import Lately
from pgherd.contract.happenings import Happenings
from pgherd.contract.meter import DatabaseCounters, Usage
from pgherd.contract.observed import Observation, Observations, ObservedDatabase, Unknown
from pgherd.errors import PgherdError
from pgherd.fleet.desired import Database, DatabaseId, Fleet

log = logging.getLogger(__name__)

MEASURE_SECONDS = 4.0
LOOK_SECONDS = 10.0
"""An engine that does not say how all is in that time is not seen."""

Hear = Callable[[str, Happenings | None], None]


class Watching:
    """Of one controller. `hear` is told what an engine says that happened."""

    def __init__(self, hear: Hear) -> None:
        self.usages: Mapping[str, Usage] = {}
        """What databases use, by their names; not of those that were not measured just now."""
        self.seen: Observations = {}
        self.lately = Lately()
        self._engines: Mapping[str, Watched] = {}
        self._hear = hear

    def watch(self, engines: Mapping[str, Watched]) -> None:
        """These from now on."""
        self._engines = engines

    def keep(self, databases: Collection[str]) -> None:
        """All others have left the fleet."""
        self.lately.keep(databases)

    async def measure(self, fleet: Fleet) -> None:
        """What the databases of the fleet use now."""
        ids = {d.id for d in fleet.databases}
        usages: dict[str, Usage] = {}

        async def ask(engine: Watched) -> None:
            if engine.meter is None:
                return
            try:
                async with asyncio.timeout(MEASURE_SECONDS):
                    found = await engine.meter.usage(timedelta(minutes=5))
            except (PgherdError, TimeoutError) as error:
                log.info("%s is not measured: %r", engine.name, error)
            except Exception:
                log.exception("%s is not measured", engine.name)
            else:
                usages.update({str(id): of[-1] for id, of in found.items() if of and id in ids})
                self._hear(engine.name, engine.meter.happenings())

        await asyncio.gather(*(ask(engine) for engine in self._engines.values()))
        self.usages = usages
        self.lately.add(time.time(), {id: usage.cpu_percent for id, usage in usages.items()})

    async def observe(self) -> None:
        """How all is; nothing is known of an engine that does not answer."""

        async def look(engine: Watched) -> Observation | Unknown:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    return await engine.observe(roles=False)
            except PgherdError as error:
                return Unknown(error.message)
            except TimeoutError:
                return Unknown("it does not answer")
            except Exception as error:
                log.exception("%s is not seen", engine.name)
                return Unknown(f"unexpected: {error!r}")

        seen = await asyncio.gather(*(look(engine) for engine in self._engines.values()))
        self.seen = dict(zip(self._engines, seen, strict=True))

    def seen_of(self, database: Database) -> ObservedDatabase | Unknown | None:
        """How it is; None where it is not there."""
        observation = self.seen.get(database.environment.engine)
        if isinstance(observation, Observation):
            return observation.databases.get(database.id)
        return observation

    def counters(self) -> dict[DatabaseId, DatabaseCounters]:
        """What was counted when it was measured last."""
        meters = (engine.meter for engine in self._engines.values())
        return {id: c for meter in meters if meter for id, c in meter.counters().items()}

    def deadlines(self) -> dict[str, float | None]:
        """How long engines may take until a database has come up, where they say so."""
        return {name: engine.deadline for name, engine in self._engines.items()}

    def unaided(self) -> list[str]:
        """The engines that take no backups unless somebody asks for them."""
        found = ((name, engine.backups) for name, engine in self._engines.items())
        return [name for name, backups in found if backups and not backups.is_automatic]

    def metered(self) -> dict[str, bool]:
        """Which engines measure."""
        return {name: engine.meter is not None for name, engine in self._engines.items()}
