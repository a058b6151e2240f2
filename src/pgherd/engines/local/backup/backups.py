"""The ability of the contract: backups of databases on this machine, and what they bring back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pgherd.contract.backups import BackupHistory, ObservedBackup, Window
from pgherd.decide.backups import available, is_full_due
from pgherd.engines.local.backup import host, pgbackrest
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.backup.restoring import Restoring, origin_of
from pgherd.engines.local.databases import Databases, half_restored
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest, read_databases
from pgherd.engines.local.place import Place
from pgherd.errors import InputError, NeedsHuman, TryLater
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
        if not manifest.archive:
            return BackupHistory()
        repository = self._repository(manifest)
        return history(stanza_of(await self._stanzas(repository), repository, manifest))

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
        leader = await self._leader(manifest)
        return repository, manifest, self._at(repository, manifest, leader)

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
        if not self._place.environment(source.environment).running:
            raise InputError(f"{source.environment} is stopped", "start it with `pgherd up`")
        if manifest.restoring:
            self._require_same(manifest, target, moment)
        elif target.id == source and is_done(manifest, moment):
            await self._databases.make_so(manifest)
            return
        repository = self._repository(manifest)
        stanza = await self._stanza(repository, manifest) if manifest.archive else Stanza()
        require_reachable(source, stanza, moment)
        leader = await self._hand_over(repository, manifest) if manifest.running else None
        restoring = Restoring(
            self._place, self._databases, repository, manifest, is_handed_over=leader is not None
        )
        if target.id == source:
            first = leader or manifest.instances[0]
            await restoring.in_place(self._begun_at(manifest) or first, moment)
        else:
            await restoring.beside(target, moment)

    def _require_same(self, manifest: DatabaseManifest, target: Database, moment: datetime) -> None:
        if target.id != manifest.id or manifest.restoring != origin_of(manifest, moment):
            raise InputError(*half_restored(manifest))

    def _begun_at(self, manifest: DatabaseManifest) -> InstanceManifest | None:
        """Where what is being restored lies, if any is."""
        number = manifest.restoring_at if manifest.restoring else 0
        return next((i for i in manifest.instances if i.number == number), None)

    async def _hand_over(
        self, repository: Repository, manifest: DatabaseManifest
    ) -> InstanceManifest:
        """All that is committed now is in the repository; who leads."""
        leader = await self._leader(manifest)
        await repository.run("check", manifest.archive, self._at(repository, manifest, leader))
        return leader

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

    def _repository(self, manifest: DatabaseManifest) -> Repository:
        environment = self._place.environment(manifest.environment)
        if lack := pgbackrest.lack(manifest.postgresql, environment.backup_program or None):
            raise InputError(f"{manifest.id} cannot be backed up here: {lack}", "run `make setup`")
        if not manifest.can_archive:
            raise InputError(
                f"{manifest.id} was made before pgBackRest was installed",
                "move it into a new database with `pgherd import`",
            )
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
        return stanza_of(stanzas, repository, manifest, is_new=is_new)

    async def _stanzas(self, repository: Repository) -> Mapping[str, Stanza]:
        """What there is of all: those who ask at the same time are told the same."""
        name = repository.manifest.name
        if name not in self._asked:
            self._asked[name] = asyncio.create_task(repository.stanzas())
            self._asked[name].add_done_callback(lambda _: self._asked.pop(name, None))
        return await asyncio.shield(self._asked[name])


def stanza_of(
    stanzas: Mapping[str, Stanza],
    repository: Repository,
    manifest: DatabaseManifest,
    *,
    is_new: bool = False,
) -> Stanza:
    """What there is of its incarnation. NeedsHuman where that cannot be read."""
    found = stanzas.get(manifest.archive, Stanza())
    if found.trouble and not is_new:
        raise NeedsHuman(found.trouble, f"see {repository.folder}")
    return found


def require_reachable(id: DatabaseId, stanza: Stanza, moment: datetime) -> None:
    """InputError, with the first moment that can be had, where that is one before. Pure."""
    whole = available(stanza.backups)
    if not whole:
        raise InputError(*no_backup(id))
    if moment < (first := _first_moment(whole)):
        raise InputError(
            f"{id} cannot be restored to a time before {first:%Y-%m-%d %H:%M:%S} UTC",
            f"see `pgherd backup list {id}`",
        )


def no_backup(id: DatabaseId) -> tuple[str, str]:
    """What is wrong with it, and the way out."""
    return f"{id} has no backup yet", f"take one with `pgherd backup now {id}`"


def is_done(manifest: DatabaseManifest, moment: datetime) -> bool:
    """Whether it was restored to that moment, and has not been backed up since. Pure."""
    return not manifest.archive and manifest.restored_from.partition(" ")[2] == moment.isoformat()


def _first_moment(whole: Sequence[ObservedBackup]) -> datetime:
    """pgBackRest wants a whole second after the end of the first one."""
    return whole[-1].taken_at + timedelta(seconds=1)


def history(stanza: Stanza) -> BackupHistory:
    """As the contract has it. Pure."""
    whole = available(stanza.backups)
    first = _first_moment(whole) if whole else None
    windows = (Window(first, max(first, whole[0].taken_at)),) if first else ()
    return BackupHistory(stanza.backups, windows)
