"""The ability of the contract: backups of databases on this machine, and what they bring back."""

from __future__ import annotations

import time
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
from pgherd.decide.backups import is_full_due
from pgherd.engines.alone import alone
from pgherd.engines.local.backup import doubts, points
from pgherd.engines.local.backup.archives import Archives
from pgherd.engines.local.backup.copies import Copies
from pgherd.engines.local.backup.expiring import expire, expire_earlier
from pgherd.engines.local.backup.former import (
    discard,
    kept_data,
    remove_former,
    require_kept,
    undo,
)
from pgherd.engines.local.backup.goals import (
    Known,
    beginning,
    history,
    reachable,
    require_reachable,
)
from pgherd.engines.local.backup.incarnations import incarnations, retention_days, windows
from pgherd.engines.local.backup.origins import Asked, half_restored, until
from pgherd.engines.local.backup.points import Points
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.backup.restoring import Restoring
from pgherd.engines.local.backup.taking import Taken, Took
from pgherd.engines.local.control_file import furthest
from pgherd.engines.local.databases import Databases
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest, read_databases
from pgherd.engines.local.place import Place
from pgherd.errors import Busy, InputError
from pgherd.files import ensure_directory
from pgherd.fleet.desired import Database, DatabaseId


class LocalBackups:
    """Those of one fleet."""

    is_automatic = False

    def __init__(self, place: Place, databases: Databases) -> None:
        self._place = place
        self._databases = databases
        self._archives = Archives(place, databases)

    async def history(self, id: DatabaseId) -> BackupHistory:
        """What it can be restored to; times in its earlier incarnations, too."""
        manifest = self._place.database(id)
        kept = kept_data(manifest, retention_days(manifest), self._place.now())
        if not manifest.archive and not manifest.restored_from:
            return BackupHistory(kept=kept)
        repository = self._archives.repository(manifest)
        stanzas = await self._archives.stanzas(repository)
        earlier = windows(incarnations(stanzas, manifest.service), manifest.archive)
        if not manifest.archive:
            return BackupHistory(windows=earlier, kept=kept)
        stanza = repository.stanza_of(stanzas, manifest.archive)
        found = history(Known(stanza, Points(repository, manifest).known()))
        copied = Copies(repository, self._place.now()).of(manifest)
        return replace(found, windows=(*earlier, *found.windows), kept=kept, copies=copied)

    async def stored(self, id: DatabaseId) -> tuple[Repository, DatabaseManifest]:
        """Where its backups are; InputError where it has none."""
        return await self._archives.stored(id)

    async def ensure_copied(self, id: DatabaseId) -> None:
        """Begun anew for its whole environment, where that is due."""
        manifest = self._place.database(id)
        if manifest.copy_to and manifest.archive:
            self._copy(self._archives.repository(manifest))

    def _copy(self, repository: Repository, *, at_once: bool = False) -> None:
        name = repository.manifest.name
        mine = [d for d in read_databases(self._place.layout) if d.environment == name]
        Copies(repository, self._place.now()).begin(mine, at_once=at_once)

    async def ensure_enabled(self, id: DatabaseId) -> None:
        """Its WAL goes to the repository, in an archive of its incarnation."""
        await self._archives.ensure_archived(*await self._archives.running(id))

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        """Of the primary, now and then a full one; what its retention needs no more goes then."""
        repository, manifest, where = await self._archives.running(id)
        if not manifest.archive:
            manifest = await self._archives.ensure_archived(repository, manifest, where)
        before = (await self._archives.stanza(repository, manifest)).backups
        days = retention_days(manifest)
        is_full = is_full_due(before, days, self._place.now())
        is_full = is_full or doubts.are_there(repository, manifest.archive, before)
        kind = "full" if is_full else "incr"
        options = [*where, f"--type={kind}", "--no-expire-auto"]
        await repository.run("backup", manifest.archive, options)
        await expire(repository, manifest.archive, days)
        stanzas = await repository.stanzas()
        await expire_earlier(self._place, repository, stanzas)
        with suppress(Busy), self._alone(id):
            await self._forget_what_is_old(id)
        self._copy(repository, at_once=True)
        return repository.stanza_of(stanzas, manifest.archive).backups[0]

    async def _forget_what_is_old(self, id: DatabaseId) -> None:
        """What it had before is kept as long as its backups. The manifest is a command's."""
        manifest = self._place.database(id)
        former = manifest.former
        if former and not kept_data(manifest, retention_days(manifest), self._place.now()):
            await remove_former(self._place, manifest, former)

    async def make_point(self, id: DatabaseId, name: str) -> NamedPoint:
        """In its WAL, and handed over with it: what is not kept by then was never made."""
        check_point_name(name)
        repository, manifest = await self._archives.stored(id)
        kept = Points(repository, manifest)
        stanza = await self._archives.stanza(repository, manifest)
        known = reachable(Known(stanza, kept.known()))
        if old := next((p for p in known if p.name == name), None):
            raise InputError(
                f"{id} has a point {name} already, of {old.at:%Y-%m-%d %H:%M:%S} UTC",
                "choose another name",
            )
        mark = await self._archives.hand_over(repository, manifest, name)
        kept.keep([mark, *known])
        return NamedPoint(mark.name, mark.at)

    async def predict(
        self,
        source: DatabaseId,
        target: Database,
        goal: Goal,
        *,
        region: str | None = None,
        masking: str = "",
    ) -> Prediction:
        """From what pgBackRest says, and where the primary is now."""
        asked = await self._asked(source, target, goal, region, masking)
        if asked.done or asked.is_begun:
            return Prediction(was_there=not asked.is_begun, overwrites=asked.is_begun)
        repository = self._archives.repository(asked.source, region)
        asked, known = await self._reached(repository, asked)
        require_reachable(source, known, goal)
        first = await self._first(asked)
        if asked.source.running and region is None:
            known = replace(known, now=await points.here(self._place, asked.source))
            require_reachable(source, known, goal)
        restoring = Restoring(self._place, self._databases, repository, asked, known)
        restoring.require_possible()
        found = await restoring.predict(first.number if first else 1)
        is_there = asked.there is not None
        return replace(found, overwrites=is_there, is_lost=asked.is_in_place and not is_there)

    async def restore(
        self,
        source: DatabaseId,
        target: Database,
        goal: Goal,
        *,
        region: str | None = None,
        masking: str = "",
        overwrites: bool = False,
    ) -> Restored:
        """All that was committed by then, from the last good backup before on."""
        began = time.monotonic()
        asked = await self._asked(source, target, goal, region, masking)
        if asked.done:
            await self._databases.make_so(asked.done)
            return Restored(until(asked.done.restored_from), was_there=True)
        asked.require_confirmed(overwrites=overwrites)
        repository = self._archives.repository(asked.source, region)
        asked, known = await self._reached(repository, asked)
        first = await self._first(asked)
        if not asked.is_begun:
            require_reachable(source, known, goal)
            if asked.source.running and region is None:  # a copy has what was copied, and no more
                now = await self._archives.hand_over(repository, asked.source)
                known = replace(known, now=now)
                require_reachable(source, known, goal)
        restoring = Restoring(self._place, self._databases, repository, asked, known)
        with self._alone(target.id):
            if asked.there and first:
                await restoring.in_place(asked.there, first)
            else:
                await restoring.beside()
        backup = beginning(known, goal)
        extent = known.stanza.extents.get(backup.name) if backup else None
        if extent and not asked.is_begun and not masking:
            Taken(repository).note(Took(extent.bytes, time.monotonic() - began))
        return Restored(until(self._place.database(target.id).restored_from))

    async def give_up(self, id: DatabaseId) -> None:
        """Its next backup begins another archive; that one stays in the repository."""
        manifest = self._place.database(id)
        if manifest.archive and not manifest.restoring:
            await self._databases.reconfigure(replace(manifest, archive=""))

    async def undo(self, id: DatabaseId) -> None:
        """What was there before is there again, with its archive."""
        manifest = self._place.database(id)
        self._require_running(id)
        if manifest.restoring and not manifest.restoring.endswith(f" {UNDO}"):
            raise InputError(*half_restored(manifest))
        former = require_kept(manifest, retention_days(manifest), self._place.now())
        if former.is_undone:
            await self._databases.make_so(manifest)
            return
        repository = self._archives.repository(manifest)
        with self._alone(id):
            await undo(self._place, self._databases, repository, manifest, former)

    async def discard(self, id: DatabaseId) -> None:
        """The files, then the word of them."""
        manifest = self._place.database(id)
        with self._alone(id):
            await discard(self._place, manifest)

    async def _asked(
        self, source: DatabaseId, target: Database, goal: Goal, region: str | None, masking: str
    ) -> Asked:
        """InputError where it cannot be begun, nor gone on with."""
        place = self._place
        self._require_running(target.id)
        there = place.known_database(target.id, target)
        if target.id == source:
            manifest = there or await self._archives.lost(source, region)
        else:
            manifest = place.database(source)
        asked = Asked(manifest, target, there, goal, masking)
        asked.require_free()
        return asked

    async def _reached(self, repository: Repository, asked: Asked) -> tuple[Asked, Known]:
        """The same of the incarnation that the goal lies in."""
        source, known = await self._archives.reached(repository, asked.source, asked.goal)
        return replace(asked, source=source), known

    async def _first(self, asked: Asked) -> InstanceManifest | None:
        """Where it is restored to: the target's primary, or whose data is ahead of all others'.

        None of one that is not there.
        """
        if (there := asked.there) is None:
            return None
        if there.running and not asked.is_begun:
            return await self._archives.leader(there)
        begun = there.numbered(there.instance_name(there.restoring_at))
        place = self._place
        return begun or await furthest(place.layout, place.owner, there)

    def _require_running(self, id: DatabaseId) -> None:
        if not self._place.environment(id.environment).running:
            raise InputError(f"{id.environment} is stopped", "start it with `pgherd up`")

    def _alone(self, id: DatabaseId) -> AbstractContextManager[None]:
        """Of a database, its restores are one at a time."""
        folder = ensure_directory(self._place.layout.repository(id.environment) / "restores")
        return alone(folder / f"{id.service}.lock", f"a restore of {id}")
