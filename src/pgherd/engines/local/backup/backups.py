"""The ability of the contract: backups of databases on this machine, and what they bring back."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime

from pgherd.contract.backups import BackupHistory, BackupState, ObservedBackup, Window
from pgherd.decide.backups import is_full_due
from pgherd.engines.local.backup import host, pgbackrest
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.backup.restoring import Restoring
from pgherd.engines.local.databases import Databases
from pgherd.engines.local.manifest import DatabaseManifest, read_databases
from pgherd.engines.local.place import Place
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database, DatabaseId

RETENTION_DAYS = 7
"""Of a database whose manifest does not say it."""


class LocalBackups:
    """Those of one fleet."""

    is_automatic = False

    def __init__(self, place: Place, databases: Databases) -> None:
        self._place = place
        self._databases = databases

    async def history(self, id: DatabaseId) -> BackupHistory:
        """What its incarnation of now can be restored to."""
        manifest = self._place.database(id)
        if not manifest.archive:
            return BackupHistory()
        return history(await self._stanza(self._repository(manifest), manifest))

    async def ensure_enabled(self, id: DatabaseId) -> None:
        """Its WAL goes to the repository, in an archive of its incarnation."""
        await self._ensure_archived(*await self._running(id))

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        """Of the primary, now and then a full one; what its retention needs no more goes then."""
        repository, manifest, where = await self._running(id)
        manifest = await self._ensure_archived(repository, manifest, where)
        before = (await self._stanza(repository, manifest)).backups
        days = manifest.retention_days or RETENTION_DAYS
        kind = "full" if is_full_due(before, days, self._place.now()) else "incr"
        kept = f"--repo1-retention-full={days}"
        await repository.run("backup", manifest.archive, [*where, f"--type={kind}", kept])
        return (await self._stanza(repository, manifest)).backups[0]

    async def _running(self, id: DatabaseId) -> tuple[Repository, DatabaseManifest, list[str]]:
        """What a backup of it takes. InputError where it is stopped, TryLater without a primary."""
        manifest = self._place.database(id)
        if not manifest.running:
            raise InputError(f"{id} is stopped", "start it with `pgherd up`")
        repository = self._repository(manifest)
        return repository, manifest, await self._primary(repository, manifest)

    async def restore(
        self,
        source: DatabaseId,
        target: Database,
        moment: datetime,
        *,
        region: str | None = None,
    ) -> None:
        """All that was committed by then, from the last full backup before on."""
        if region is not None:
            raise InputError("this machine has no other region", "leave --from-region out")
        manifest = self._place.database(source)
        repository = self._repository(manifest)
        stanza = await self._stanza(repository, manifest) if manifest.archive else Stanza()
        require_reachable(source, stanza, moment)
        if manifest.running:
            await self._hand_over(repository, manifest)
        restoring = Restoring(self._place, self._databases)
        if target.id == source:
            await restoring.in_place(manifest, repository, moment)
        else:
            await restoring.beside(manifest, repository, target, moment)

    async def _hand_over(self, repository: Repository, manifest: DatabaseManifest) -> None:
        """All that is committed now is in the repository."""
        where = await self._primary(repository, manifest)
        await repository.run("check", manifest.archive, where)

    async def _primary(self, repository: Repository, manifest: DatabaseManifest) -> list[str]:
        seen = await self._place.seen(manifest)
        if (instance := manifest.numbered(seen.leader or "")) is None:
            raise TryLater(f"{manifest.id} has no primary", "see `pgherd status`")
        return host.options(self._place.layout, repository.manifest, manifest, instance)

    def _repository(self, manifest: DatabaseManifest) -> Repository:
        environment = self._place.environment(manifest.environment)
        if lack := pgbackrest.lack(manifest.postgresql, environment.backup_program or None):
            raise InputError(f"{manifest.id} cannot be backed up here: {lack}", "run `make setup`")
        if not manifest.can_archive:
            raise InputError(f"{manifest.id} was made without an archive", "run `pgherd up`")
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
        known = read_databases(self._place.layout)
        others = (d for d in known if d.environment == manifest.environment and d.id != manifest.id)
        if repository.ensure_written((*others, manifest)) or not await repository.answers():
            await repository.ensure_running()
        if await self._stanza(repository, manifest) == Stanza():
            await repository.run("stanza-create", manifest.archive, where)
        if is_new:
            await self._databases.reconfigure(manifest)
        return manifest

    async def _stanza(self, repository: Repository, manifest: DatabaseManifest) -> Stanza:
        return (await repository.stanzas()).get(manifest.archive, Stanza())


def require_reachable(id: DatabaseId, stanza: Stanza, moment: datetime) -> None:
    """InputError, with the first moment that can be had, where that is one before. Pure."""
    whole = [b for b in stanza.backups if b.state is BackupState.AVAILABLE]
    if not whole:
        raise InputError(f"{id} has no backup yet", f"take one with `pgherd backup now {id}`")
    if moment < (first := whole[-1].taken_at):
        raise InputError(
            f"{id} cannot be restored to a time before {first:%Y-%m-%d %H:%M:%S} UTC",
            f"see `pgherd backup list {id}`",
        )


def history(stanza: Stanza) -> BackupHistory:
    """As the contract has it. Pure."""
    whole = [b for b in stanza.backups if b.state is BackupState.AVAILABLE]
    windows = (Window(whole[-1].taken_at, whole[0].taken_at),) if whole else ()
    return BackupHistory(stanza.backups, windows)
