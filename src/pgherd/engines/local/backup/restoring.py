"""A database as it was: from its repository to a place of its own, or to its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pgherd.contract.backups import Goal, Prediction
from pgherd.engines.local import door, patroni, postgres
from pgherd.engines.local.backup import exchange, pgbackrest, recover, streamed
from pgherd.engines.local.backup.former import remove_former, run_lowered
from pgherd.engines.local.backup.goals import Known, beginning, missed, origin_of, ways, window
from pgherd.engines.local.backup.reading import Reading
from pgherd.engines.local.backup.recover import Job
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.backup.taking import Taken, needed, predicted, require_fits
from pgherd.engines.local.databases import Databases
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    FormerData,
    InstanceManifest,
    write_database,
)
from pgherd.engines.local.offering import require_possible, require_room
from pgherd.engines.local.place import Place
from pgherd.errors import InputError, NeedsHuman
from pgherd.fleet.desired import Database, DatabaseId
from pgherd.units import parse_whole

ELSEWHERE = (recover.NOT_REACHED, recover.TOO_EARLY)
"""What a server says where its goal is not in the WAL from that backup on."""


class Restoring:
    """That of one fleet. Where `known` says where it is now, all until then was handed over."""

    def __init__(
        self,
        place: Place,
        databases: Databases,
        repository: Repository,
        source: DatabaseManifest,
        known: Known,
        goal: Goal,
    ) -> None:
        self._place = place
        self._databases = databases
        self._repository = repository
        self._source = source
        self._known = known
        self._goal = goal
        self._origin = origin_of(source.archive, goal, known.now)

    def require_possible(self, target: Database) -> None:
        """InputError where no such database can be made here, or not from that source."""
        place, source = self._place, self._source
        require_room(place.layout, 1)
        require_possible(place.layout, place.owner, target)
        version, _ = postgres.choose(target.postgresql)
        if version != source.postgresql:
            raise InputError(
                f"{source.id} is of PostgreSQL {source.postgresql}, and {target.id} would be of "
                f"{version}",
                f"write postgresql: {source.postgresql}",
            )

    async def predict(
        self, target: DatabaseId, number: int, *, is_cleared: bool = False
    ) -> Prediction:
        """What it takes to restore to an instance. NeedsHuman where that does not fit."""
        span, first = window(self._known.stanza), beginning(self._known, self._goal)
        windows = (span,) if span else ()
        wanted = needed(self._known, first.name) if first else None
        if first is None or wanted is None:
            return Prediction(windows, first.name if first else None)
        kept = self._place.layout.kept_by(target, number)
        action = recover.CLEARED_ROOM if is_cleared else recover.ROOM
        free = parse_whole((await self._run(action, str(kept))).strip())
        require_fits(target, kept, wanted, free)
        size = self._known.stanza.extents[first.name].bytes
        seconds, is_guess = predicted(size, Taken(self._repository).known())
        return Prediction(windows, first.name, wanted, free, seconds, is_guess)

    async def beside(self, target: Database) -> None:
        """To a database that is not there."""
        place = self._place
        self.require_possible(target)
        manifest = place.placement.limited(place.placement.database(target), target)
        number = manifest.instances[0].number
        await self.predict(target.id, number, is_cleared=True)
        await self._recover(manifest, manifest.instances[0])
        await place.agent.ask(door.Forget(str(target.id)))
        await self._run("put", str(place.layout.kept_by(target.id, number)))
        await self._databases.make_so(replace(manifest, made=True, restored_from=self._origin))

    async def in_place(self, first: InstanceManifest) -> None:
        """It serves until the other one is whole, which is put where `first` has its data.

        From the moment that it is noted as being restored, only the same call takes it on.
        """
        origin = self._source.restoring
        if not origin:
            await self.predict(self._source.id, first.number, is_cleared=True)
            await self._recover(self._source, first)
            origin = self._origin
        await self.finish(replace(self._source, restoring=origin, restoring_at=first.number), first)

    async def finish(self, restoring: DatabaseManifest, first: InstanceManifest) -> None:
        """What is whole takes its place: another incarnation, with an archive of its own."""
        place = self._place
        write_database(place.layout, restoring, place.owner)
        if restoring.former:  # so that what is found there later is what was there now
            await remove_former(place, restoring, restoring.former)
            restoring = replace(restoring, former=None)
        anew = replace(restoring, archive="", restoring="", restored_from=restoring.restoring)
        since = place.now().isoformat()
        former = FormerData(first.number, since, restoring.archive, restoring.restored_from)
        await self._databases.exchange(restoring, anew, former)

    async def _recover(self, target: DatabaseManifest, instance: InstanceManifest) -> None:
        """By the first way that leads to the goal."""
        source = self._source
        kept = self._place.layout.kept_by(target.id, instance.number)
        names = {}
        if source.service != target.service:
            names = {source.service: target.service, source.read_only_role: target.read_only_role}
        last_commit = None
        received = await streamed.hand_over(self._place, self._repository, source.archive, kept)
        async with Reading(self._repository, source) as configuration:
            for way in ways(source.id, self._known, self._goal):
                options = [f"--pg1-path={kept / exchange.RESTORED}", *way]
                job = Job(
                    str(kept),
                    source.bin_directory,
                    tuple(self._restore(configuration, options)),
                    names,
                    streamed.script(self._repository, configuration, source, kept, received),
                    patroni.remembered(target),
                )
                try:
                    await self._run(*recover.arguments(job))
                    await self._place.remove(kept / streamed.STREAMED)
                    return
                except NeedsHuman as error:
                    if not any(why in error.message for why in ELSEWHERE):
                        raise
                    last_commit = last_commit or recover.last_commit(error.message)
        await self._place.remove(kept / streamed.STREAMED)
        raise missed(source.id, self._known, self._goal, last_commit)

    def _restore(self, configuration: Path, options: list[str]) -> list[str]:
        program = self._repository.manifest.backup_program
        return pgbackrest.command(program, configuration, "restore", self._source.archive, options)

    async def _run(self, *arguments: str) -> str:
        return await run_lowered(self._place, *arguments)
