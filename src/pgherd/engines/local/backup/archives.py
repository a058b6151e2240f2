"""The archives of databases: what is in each, and how WAL and backups get there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

from pgherd.contract.backups import Goal
from pgherd.decide.backups import available
from pgherd.engines.local import postgres
from pgherd.engines.local.backup import host, pgbackrest, points
from pgherd.engines.local.backup.copies import in_region
from pgherd.engines.local.backup.goals import Known, Mark, no_backup
from pgherd.engines.local.backup.incarnations import (
    Incarnation,
    incarnations,
    lies_in,
    new_archive,
    unreadable,
)
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.backup.points import NOW, Points
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.databases import Databases
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    EnvironmentManifest,
    InstanceManifest,
    read_databases,
)
from pgherd.engines.local.place import Place
from pgherd.engines.local.timelines import segment_end
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import DatabaseId

HAND_OVER_SECONDS = 60.0
LOOK_SECONDS = 0.05


class Archives:
    """Those of one fleet."""

    def __init__(self, place: Place, databases: Databases) -> None:
        self._place = place
        self._databases = databases
        self._asked: dict[str, asyncio.Task[dict[str, Stanza]]] = {}

    async def stored(self, id: DatabaseId) -> tuple[Repository, DatabaseManifest]:
        """Where its backups are; InputError where it has none."""
        manifest = self._place.database(id)
        repository = self.repository(manifest)
        stanza = await self.stanza(repository, manifest) if manifest.archive else Stanza()
        if not available(stanza.backups):
            raise InputError(*no_backup(id))
        return repository, manifest

    async def running(self, id: DatabaseId) -> tuple[Repository, DatabaseManifest, list[str]]:
        """What a backup of it takes. InputError where it is stopped, TryLater without a primary."""
        manifest = self._place.database(id)
        if not manifest.running:
            raise InputError(f"{id} is stopped", "start it with `pgherd up`")
        repository = self.repository(manifest)
        leader = await self.leader(manifest)
        return repository, manifest, self.at(repository, manifest, leader)

    async def reached(
        self, repository: Repository, manifest: DatabaseManifest, goal: Goal
    ) -> tuple[DatabaseManifest, Known]:
        """The incarnation that a goal lies in, which may be one before that of now, and its goals.

        That runs no more.
        """
        stanzas = await repository.stanzas()
        found = incarnations(stanzas, manifest.service)
        if earlier := lies_in(found, manifest.archive, goal):
            manifest = _as(manifest, earlier)
        if not manifest.archive:
            return manifest, Known(Stanza())
        stanza = repository.stanza_of(stanzas, manifest.archive)
        return manifest, Known(stanza, Points(repository, manifest).known())

    async def lost(self, id: DatabaseId, region: str | None) -> DatabaseManifest:
        """A database that is not here, as its last incarnation was. InputError without a backup."""
        environment = self._place.environment(id.environment)
        repository = self._of(environment, region)
        stanzas = await repository.stanzas()
        if trouble := unreadable(stanzas, id.service):
            raise NeedsHuman(trouble, f"see whether {repository.key_file} is the key to it")
        found = incarnations(stanzas, id.service)
        if not found:
            where = f"in {region}" if region else "here"
            raise InputError(f"{id} does not exist, and has no backups {where}", "run `pgherd up`")
        return _as(replace(self._place.placement.bare(id), made=True), found[-1])

    async def hand_over(
        self, repository: Repository, manifest: DatabaseManifest, name: str = NOW
    ) -> Mark:
        """A mark in its WAL, which is in the repository with all that was committed before it."""
        mark = await points.mark(self._place, manifest, name)
        deadline = time.monotonic() + HAND_OVER_SECONDS
        while True:
            stanza = await self.stanza(repository, manifest)
            if (segment_end(stanza.last_segment) or 0) >= mark.lsn:
                return mark
            if time.monotonic() > deadline:
                raise TryLater(
                    f"{manifest.id} does not hand its WAL over", f"see `pgherd logs {manifest.id}`"
                )
            await asyncio.sleep(LOOK_SECONDS)

    def at(
        self, repository: Repository, manifest: DatabaseManifest, instance: InstanceManifest
    ) -> list[str]:
        """Where the repository's owner finds an instance, as options of pgBackRest."""
        return host.options(self._place.layout, repository.manifest, manifest, instance)

    async def leader(self, manifest: DatabaseManifest) -> InstanceManifest:
        """Its primary; TryLater where it has none."""
        seen = await self._place.seen(manifest)
        if (instance := manifest.numbered(seen.leader or "")) is None:
            raise TryLater(
                f"{manifest.id} has no primary",
                f"see `pgherd status`; to restore it, stop it first: `pgherd down {manifest.id}`",
            )
        return instance

    def repository(self, manifest: DatabaseManifest, region: str | None = None) -> Repository:
        """That of its environment, or the copy in a region; InputError where it has none."""
        environment = self._place.environment(manifest.environment)
        if lack := pgbackrest.lack(manifest.postgresql, environment.backup_program or None):
            raise InputError(f"{manifest.id} cannot be backed up here: {lack}", "run `make setup`")
        if not manifest.can_archive:
            raise InputError(
                f"{manifest.id} was made before pgBackRest was installed",
                "run `pgherd up`, which restarts it once",
            )
        return self._of(environment, region)

    def _of(self, environment: EnvironmentManifest, region: str | None) -> Repository:
        if region:
            return in_region(self._place.layout, environment, region)
        return Repository(self._place.layout, environment)

    async def ensure_archived(
        self, repository: Repository, manifest: DatabaseManifest, where: list[str]
    ) -> DatabaseManifest:
        """Its WAL goes to the repository, in an archive of its incarnation.

        First there is the archive: a server that could not hand WAL over waits for a minute.
        """
        is_new = not manifest.archive
        if is_new:
            manifest = replace(manifest, archive=new_archive(manifest.service))
        databases = read_databases(self._place.layout)
        others = (
            d for d in databases if d.environment == manifest.environment and d.id != manifest.id
        )
        if repository.ensure_written((*others, manifest)) or not await repository.answers():
            await repository.ensure_running()
        known = await self.stanza(repository, manifest, is_new=True)
        if not known.backups and known.system_identifier is None:  # or half made
            # Offline it asks PostgreSQL nothing, and reads what is on the disk all the same.
            await repository.run("stanza-create", manifest.archive, [*where, "--no-online"])
        if is_new:
            await self._databases.reconfigure(manifest)
        return manifest

    async def stanza(
        self, repository: Repository, manifest: DatabaseManifest, *, is_new: bool = False
    ) -> Stanza:
        """What there is of its incarnation. NeedsHuman where that cannot be read."""
        stanzas = await repository.stanzas()
        return repository.stanza_of(stanzas, manifest.archive, is_new=is_new)

    async def stanzas(self, repository: Repository) -> Mapping[str, Stanza]:
        """What there is of all: those who ask at the same time are told the same."""
        name = repository.manifest.name
        if name not in self._asked:
            self._asked[name] = asyncio.create_task(repository.stanzas())
            self._asked[name].add_done_callback(lambda _: self._asked.pop(name, None))
        return await asyncio.shield(self._asked[name])


def _as(manifest: DatabaseManifest, incarnation: Incarnation) -> DatabaseManifest:
    """A database as it was then. InputError where this machine has no such PostgreSQL."""
    version, programs = postgres.choose(incarnation.stanza.postgresql or manifest.postgresql)
    return replace(
        manifest,
        archive=incarnation.archive,
        postgresql=version,
        bin_directory=str(programs),
        running=False,
    )
