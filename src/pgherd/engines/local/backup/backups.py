"""The ability of the contract: backups of databases on this machine, and what they bring back."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace

from pgherd.contract.backups import (
    UNDO,
    BackupHistory,
    Goal,
    NamedPoint,
    ObservedBackup,
    Prediction,
    Restored,
    check_point_name,
)
from pgherd.decide.backups import available, is_full_due
from pgherd.engines.local.backup import doubts, host, pgbackrest, points
from pgherd.engines.local.backup.alone import alone
from pgherd.engines.local.backup.copies import Copies, in_region
from pgherd.engines.local.backup.former import (
    discard,
    kept_data,
    remove_former,
    require_kept,
    undo,
)
from pgherd.engines.local.backup.goals import (
    Known,
    Mark,
    beginning,
    history,
    is_done,
    is_origin,
    no_backup,
    reachable,
    require_reachable,
    until,
)
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.backup.points import NOW, Points
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.backup.restoring import Restoring
from pgherd.engines.local.backup.taking import Taken, Took
from pgherd.engines.local.databases import Databases, half_restored
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest, read_databases
from pgherd.engines.local.place import Place
from pgherd.errors import Busy, InputError, TryLater
from pgherd.files import ensure_directory
from pgherd.fleet.desired import Database, DatabaseId

RETENTION_DAYS = 7
"""Of a database whose manifest does not say it."""


class LocalBackups:
    """Those of one fleet."""

    is_automatic = False

    def __init__(self, place: Place, databases: Databases) -> None:
        self._place = place
        self._databases = databases
        self._asked: dict[str, asyncio.Task[dict[str, Stanza]]] = {}

    async def history(self, id: DatabaseId) -> BackupHistory:
        """What its incarnation of now can be restored to."""
        manifest = self._place.database(id)
        kept = kept_data(manifest, _days(manifest), self._place.now())
        if not manifest.archive:
            return BackupHistory(kept=kept)
        repository = self._repository(manifest)
        stanza = repository.stanza_of(await self._stanzas(repository), manifest.archive)
        found = history(Known(stanza, Points(repository, manifest).known()))
        copied = Copies(repository, self._place.now()).of(manifest)
        return replace(found, kept=kept, copies=copied)

    async def ensure_copied(self, id: DatabaseId) -> None:
        """Begun anew for its whole environment, where that is due."""
        manifest = self._place.database(id)
        if manifest.copy_to and manifest.archive:
            self._copy(self._repository(manifest))

    def _copy(self, repository: Repository, *, at_once: bool = False) -> None:
        name = repository.manifest.name
        mine = [d for d in read_databases(self._place.layout) if d.environment == name]
        Copies(repository, self._place.now()).begin(mine, at_once=at_once)

    async def stored(self, id: DatabaseId) -> tuple[Repository, DatabaseManifest]:
        """Where its backups are; InputError where it has none."""
        manifest = self._place.database(id)
        repository = self._repository(manifest)
        stanza = await self._stanza(repository, manifest) if manifest.archive else Stanza()
        if not available(stanza.backups):
            raise InputError(*no_backup(id))
        return repository, manifest

    async def ensure_enabled(self, id: DatabaseId) -> None:
        """Its WAL goes to the repository, in an archive of its incarnation."""
        await self._ensure_archived(*await self._running(id))

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        """Of the primary, now and then a full one; what its retention needs no more goes then."""
        repository, manifest, where = await self._running(id)
        if not manifest.archive:
            manifest = await self._ensure_archived(repository, manifest, where)
        before = (await self._stanza(repository, manifest)).backups
        days = _days(manifest)
        is_full = is_full_due(before, days, self._place.now())
        is_full = is_full or doubts.are_there(repository, manifest.archive, before)
        kind = "full" if is_full else "incr"
        kept = f"--repo1-retention-full={days}"
        await repository.run("backup", manifest.archive, [*where, f"--type={kind}", kept])
        with suppress(Busy), self._alone(repository, id):
            await self._forget_what_is_old(id)
        self._copy(repository, at_once=True)
        return (await self._stanza(repository, manifest)).backups[0]

    async def _forget_what_is_old(self, id: DatabaseId) -> None:
        """What it had before is kept as long as its backups. The manifest is a command's."""
        manifest = self._place.database(id)
        former = manifest.former
        if former and not kept_data(manifest, _days(manifest), self._place.now()):
            await remove_former(self._place, manifest, former)

    async def _running(self, id: DatabaseId) -> tuple[Repository, DatabaseManifest, list[str]]:
        """What a backup of it takes. InputError where it is stopped, TryLater without a primary."""
        manifest = self._place.database(id)
        if not manifest.running:
            raise InputError(f"{id} is stopped", "start it with `pgherd up`")
        repository = self._repository(manifest)
        leader = await self._leader(manifest)
        return repository, manifest, self._at(repository, manifest, leader)

    async def make_point(self, id: DatabaseId, name: str) -> NamedPoint:
        """In its WAL, and handed over with it: what is not kept by then was never made."""
        check_point_name(name)
        repository, manifest = await self.stored(id)
        kept = Points(repository, manifest)
        stanza = await self._stanza(repository, manifest)
        known = reachable(Known(stanza, kept.known()))
        if old := next((p for p in known if p.name == name), None):
            raise InputError(
                f"{id} has a point {name} already, of {old.at:%Y-%m-%d %H:%M:%S} UTC",
                "choose another name",
            )
        mark = await self._hand_over(repository, manifest, name)
        kept.keep([mark, *known])
        return NamedPoint(mark.name, mark.at)

    async def predict(
        self, source: DatabaseId, target: Database, goal: Goal, *, region: str | None = None
    ) -> Prediction:
        """From what pgBackRest says, and where the primary is now."""
        manifest = self._restorable(source)
        there = self._there(manifest, target, goal)
        if there or manifest.restoring:
            return Prediction(was_there=there is not None)
        repository, first = self._repository(manifest, region), manifest.instances[0]
        known = await self._known(repository, manifest)
        require_reachable(source, known, goal)
        if manifest.running and region is None:
            first = await self._leader(manifest)
            known = replace(known, now=await points.here(self._place, manifest))
            require_reachable(source, known, goal)
        restoring = Restoring(self._place, self._databases, repository, manifest, known, goal)
        if target.id == source:
            return await restoring.predict(source, first.number)
        restoring.require_possible(target)
        return await restoring.predict(target.id, 1)

    async def restore(
        self, source: DatabaseId, target: Database, goal: Goal, *, region: str | None = None
    ) -> Restored:
        """All that was committed by then, from the last good backup before on."""
        manifest, began = self._restorable(source), time.monotonic()
        if there := self._there(manifest, target, goal):
            await self._databases.make_so(there)
            return Restored(until(there.restored_from), was_there=True)
        repository = self._repository(manifest, region)
        known, first = await self._known(repository, manifest), manifest.instances[0]
        if manifest.restoring:
            first = self._begun_at(manifest) or first
        else:
            require_reachable(source, known, goal)
            if manifest.running:
                first = await self._leader(manifest)
            if manifest.running and region is None:  # a copy has what was copied, and no more
                known = replace(known, now=await self._hand_over(repository, manifest))
                require_reachable(source, known, goal)
        restoring = Restoring(self._place, self._databases, repository, manifest, known, goal)
        with self._alone(repository, target.id):
            if target.id == source:
                await restoring.in_place(first)
            else:
                await restoring.beside(target)
        backup = beginning(known, goal)
        extent = known.stanza.extents.get(backup.name) if backup else None
        if extent and not manifest.restoring:
            Taken(repository).note(Took(extent.bytes, time.monotonic() - began))
        return Restored(until(self._place.database(target.id).restored_from))

    async def undo(self, id: DatabaseId) -> None:
        """What was there before is there again, with its archive."""
        manifest = self._restorable(id)
        if manifest.restoring and not manifest.restoring.endswith(f" {UNDO}"):
            raise InputError(*half_restored(manifest))
        former = require_kept(manifest, _days(manifest), self._place.now())
        if former.is_undone:
            await self._databases.make_so(manifest)
            return
        repository = self._repository(manifest)
        with self._alone(repository, id):
            await undo(self._place, self._databases, repository, manifest, former)

    async def discard(self, id: DatabaseId) -> None:
        """The files, then the word of them."""
        manifest = self._place.database(id)
        with self._alone(self._repository(manifest), id):
            await discard(self._place, manifest)

    def _alone(self, repository: Repository, id: DatabaseId) -> AbstractContextManager[None]:
        folder = ensure_directory(repository.folder / "restores")
        return alone(folder / f"{id.service}.lock", f"a restore of {id}")

    def _restorable(self, source: DatabaseId) -> DatabaseManifest:
        manifest = self._place.database(source)
        if not self._place.environment(source.environment).running:
            raise InputError(f"{source.environment} is stopped", "start it with `pgherd up`")
        return manifest

    def _there(
        self, manifest: DatabaseManifest, target: Database, goal: Goal
    ) -> DatabaseManifest | None:
        """What an earlier call has restored. InputError where something else is there."""
        if manifest.restoring:
            is_same = is_origin(manifest.restoring, manifest.archive, goal)
            if target.id != manifest.id or not is_same:
                raise InputError(*half_restored(manifest))
            return None
        if target.id == manifest.id:
            return manifest if is_done(manifest, goal) else None
        there = self._place.known_database(target.id, target)
        if there and not is_origin(there.restored_from, manifest.archive, goal):
            raise InputError(f"{target.id} is there already", "give it another name with --as")
        return there

    async def _known(self, repository: Repository, manifest: DatabaseManifest) -> Known:
        if not manifest.archive:
            return Known(Stanza())
        stanza = await self._stanza(repository, manifest)
        return Known(stanza, Points(repository, manifest).known())

    def _begun_at(self, manifest: DatabaseManifest) -> InstanceManifest | None:
        """Where what is being restored lies, if any is."""
        at = manifest.restoring_at
        return next((i for i in manifest.instances if i.number == at), None)

    async def _hand_over(
        self, repository: Repository, manifest: DatabaseManifest, name: str = NOW
    ) -> Mark:
        """A mark in its WAL, which is in the repository with all that was committed before it."""
        mark = await points.mark(self._place, manifest, name)
        where = self._at(repository, manifest, await self._leader(manifest))
        await repository.run("check", manifest.archive, where)
        return mark

    def _at(
        self, repository: Repository, manifest: DatabaseManifest, instance: InstanceManifest
    ) -> list[str]:
        return host.options(self._place.layout, repository.manifest, manifest, instance)

    async def _leader(self, manifest: DatabaseManifest) -> InstanceManifest:
        seen = await self._place.seen(manifest)
        if (instance := manifest.numbered(seen.leader or "")) is None:
            raise TryLater(
                f"{manifest.id} has no primary",
                f"see `pgherd status`; to restore it, stop it first: `pgherd down {manifest.id}`",
            )
        return instance

    def _repository(self, manifest: DatabaseManifest, region: str | None = None) -> Repository:
        environment = self._place.environment(manifest.environment)
        if lack := pgbackrest.lack(manifest.postgresql, environment.backup_program or None):
            raise InputError(f"{manifest.id} cannot be backed up here: {lack}", "run `make setup`")
        if not manifest.can_archive:
            raise InputError(
                f"{manifest.id} was made before pgBackRest was installed",
                "move it into a new database with `pgherd import`",
            )
        if region:
            return in_region(self._place.layout, environment, region)
        return Repository(self._place.layout, environment)

    async def _ensure_archived(
        self, repository: Repository, manifest: DatabaseManifest, where: list[str]
    ) -> DatabaseManifest:
        """Its WAL goes to the repository, in an archive of its incarnation.

        First there is the archive: a server that could not hand WAL over waits for a minute.
        """
        is_new = not manifest.archive
        if is_new:
            name = f"{manifest.service}-{secrets.token_hex(4)}"
            manifest = replace(manifest, archive=name)
        databases = read_databases(self._place.layout)
        others = (
            d for d in databases if d.environment == manifest.environment and d.id != manifest.id
        )
        if repository.ensure_written((*others, manifest)) or not await repository.answers():
            await repository.ensure_running()
        known = await self._stanza(repository, manifest, is_new=True)
        if not known.backups and known.system_identifier is None:  # or half made
            await repository.run("stanza-create", manifest.archive, where)
        if is_new:
            await self._databases.reconfigure(manifest)
        return manifest

    async def _stanza(
        self, repository: Repository, manifest: DatabaseManifest, *, is_new: bool = False
    ) -> Stanza:
        """What there is of its incarnation. NeedsHuman where that cannot be read."""
        stanzas = await repository.stanzas()
        return repository.stanza_of(stanzas, manifest.archive, is_new=is_new)

    async def _stanzas(self, repository: Repository) -> Mapping[str, Stanza]:
        """What there is of all: those who ask at the same time are told the same."""
        name = repository.manifest.name
        if name not in self._asked:
            self._asked[name] = asyncio.create_task(repository.stanzas())
            self._asked[name].add_done_callback(lambda _: self._asked.pop(name, None))
        return await asyncio.shield(self._asked[name])


def _days(manifest: DatabaseManifest) -> int:
    return manifest.retention_days or RETENTION_DAYS
