"""The small abilities of the in-memory engine: certificates, logs, meter, reach, settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pgherd.contract.access import Access
from pgherd.contract.certificates import CertificateInfo
from pgherd.contract.happenings import Happenings
from pgherd.contract.logs import LogLine
from pgherd.contract.meter import DatabaseCounters, Usage
from pgherd.fleet.desired import Database, DatabaseId
from pgherd.testing.memory.calls import call, stored_database, stored_environment
from pgherd.testing.memory.seeing import RETENTION
from pgherd.testing.world import World
from pgherd.units import format_days

NOWHERE = "memory.invalid"
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


class MemoryCertificates:
    """One for each environment, named for how often it was made."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def in_use(self) -> Sequence[CertificateInfo]:
        """Of each environment that has an authority."""
        return [
            CertificateInfo(e.name, None, f"{e.name} {e.authority}", "server", _NEVER, Path(e.name))
            for e in self._world.environments.values()
            if "authority" in e.parts
        ]

    async def ensure_valid(
        self, environment: str, *, renew: bool = False, authorities: bool = False
    ) -> int:
        """They never expire, so only `renew` or `authorities` makes one."""
        async with call(self._world, "ensure_valid"):
            stored = stored_environment(self._world, environment)
            if not renew and not authorities:
                return 0
            async with self._world.step(f"renew the certificates of {environment}"):
                stored.authority += 1
            return 1


class MemoryLogs:
    """The steps that instances took part in."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def read(
        self, id: DatabaseId, *, instance: str | None = None, lines: int = 50, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """The last of them; nothing ever follows."""
        stored = stored_database(self._world, id)
        names = [instance] if instance else [str(id), *stored.instances]
        told = [s for s in self._world.steps.taken if any(name in s for name in names)]
        for text in told[-lines:]:
            yield LogLine("memory", text)


class MemoryMeter:
    """What the world says that databases used."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._counters: Mapping[DatabaseId, DatabaseCounters] = {}

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """Of those that answer."""
        world = self._world
        begin = world.now() - since
        answer = {id for id in world.databases if world.hidden(id) is None}
        self._counters = {id: c for id, c in world.counters.items() if id in answer}
        return {
            id: [sample for sample in samples if sample.at >= begin]
            for id, samples in world.usage.items()
            if id in answer
        }

    def counters(self) -> Mapping[DatabaseId, DatabaseCounters]:
        """What the world said that was counted."""
        return self._counters

    def happenings(self) -> Happenings | None:
        """What the world says that happened by itself."""
        return self._world.happenings


class MemoryReach:
    """A way to where nobody listens, which `MemoryMigrations` do not take."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def as_service(self, id: DatabaseId) -> Access:
        """The service's own."""
        async with call(self._world, "access", id):
            return Access(NOWHERE, 5432, id.service, id.service)

    async def let_make(self, id: DatabaseId, *, allowed: bool) -> None:
        """Nothing is ever made there."""
        async with call(self._world, "let_make", id):
            stored_database(self._world, id)


class MemorySettings:
    """How long backups are kept."""

    restarting: Set[str] = frozenset()

    def __init__(self, world: World) -> None:
        self._world = world

    def wanted(self, database: Database) -> Mapping[str, str]:
        """In days."""
        return {RETENTION: format_days(database.backup.retention_days)}

    async def ensure_applied(self, database: Database) -> None:
        """Live."""
        async with call(self._world, "ensure_applied", database.id):
            stored = stored_database(self._world, database.id)
            if stored.retention_days != database.backup.retention_days:
                async with self._world.step(f"set the settings of {stored.id}"):
                    stored.retention_days = database.backup.retention_days
