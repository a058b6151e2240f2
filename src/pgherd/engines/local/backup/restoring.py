"""A database as it was at a moment: from its repository to a place of its own, or to its own."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pgherd.engines.local import door, lowered, patroni
from pgherd.engines.local.backup import pgbackrest, recover
from pgherd.engines.local.backup.reading import Reading
from pgherd.engines.local.backup.recover import Job
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.databases import Databases
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    InstanceManifest,
    write_database,
)
from pgherd.engines.local.offering import require_possible, require_room
from pgherd.engines.local.place import Place
from pgherd.errors import InputError, NeedsHuman
from pgherd.fleet.desired import Database


class Restoring:
    """That of one fleet."""

    def __init__(self, place: Place, databases: Databases) -> None:
        self._place = place
        self._databases = databases

    async def beside(
        self,
        source: DatabaseManifest,
        repository: Repository,
        target: Database,
        moment: datetime,
    ) -> None:
        """To a database that is not there. One that was restored so already is as it should be."""
        place, origin = self._place, f"{source.archive} {moment.isoformat()}"
        if known := place.known_database(target.id, target):
            if known.restored_from != origin:
                raise InputError(f"{target.id} is there already", "give it another name with --as")
            await self._databases.make_so(known)
            return
        require_room(place.layout, 1)
        require_possible(place.layout, place.owner, target)
        manifest = place.placement.limited(place.placement.database(target), target)
        if manifest.postgresql != source.postgresql:
            raise InputError(
                f"{source.id} is of PostgreSQL {source.postgresql}, and {target.id} would be of "
                f"{manifest.postgresql}",
                f"write postgresql: {source.postgresql}",
            )
        await self._recover(source, repository, manifest, manifest.instances[0], moment)
        await place.agent.ask(door.Forget(str(target.id)))
        await self._put(manifest, manifest.instances[0])
        await self._databases.make_so(replace(manifest, made=True, restored_from=origin))

    async def in_place(
        self,
        source: DatabaseManifest,
        repository: Repository,
        moment: datetime,
    ) -> None:
        """It serves until the other one is whole. That is another incarnation.

        It is noted as such before it takes its place: in the archive of the one before there are
        segments of the names that it would write.
        """
        place = self._place
        first, *others = source.instances
        await self._recover(source, repository, source, first, moment)
        await self._databases.ensure_stopped(source.id)
        origin = f"{source.archive} {moment.isoformat()}"
        anew = replace(source, running=False, archive="", restored_from=origin)
        write_database(place.layout, anew, place.owner)
        await place.agent.ask_once_it_runs(door.Forget(str(source.id)))
        await place.remove(*(place.layout.kept_by(source.id, i.number) for i in others))
        await self._put(source, first)
        await self._databases.make_so(replace(anew, running=True))

    async def _recover(
        self,
        source: DatabaseManifest,
        repository: Repository,
        target: DatabaseManifest,
        instance: InstanceManifest,
        moment: datetime,
    ) -> None:
        kept = self._place.layout.kept_by(target.id, instance.number)
        stop = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        names = {}
        if source.service != target.service:
            names = {source.service: target.service, source.read_only_role: target.read_only_role}
        async with Reading(repository, source) as configuration:
            options = [f"--pg1-path={kept / recover.RESTORED}"]
            exact = [*options, "--type=time", f"--target={stop}", "--target-action=promote"]
            whole = [*options, "--type=default"]
            job = Job(
                str(kept),
                source.bin_directory,
                tuple(self._restore(repository, configuration, source, exact)),
                names,
                patroni.remembered(target),
            )
            try:
                await self._run(*recover.arguments(job))
            except NeedsHuman as error:
                # Nothing was committed after that moment, for all WAL since is there.
                if recover.NOT_REACHED not in error.message:
                    raise
                again = tuple(self._restore(repository, configuration, source, whole))
                await self._run(*recover.arguments(msgspec.structs.replace(job, restore=again)))

    def _restore(
        self,
        repository: Repository,
        configuration: Path,
        source: DatabaseManifest,
        options: list[str],
    ) -> list[str]:
        program = repository.manifest.backup_program
        return pgbackrest.command(program, configuration, "restore", source.archive, options)

    async def _put(self, manifest: DatabaseManifest, instance: InstanceManifest) -> None:
        await self._run("put", str(self._place.layout.kept_by(manifest.id, instance.number)))

    async def _run(self, *arguments: str) -> None:
        place = self._place
        process = await asyncio.create_subprocess_exec(
            *lowered.python("pgherd.engines.local.backup.recover", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **lowered.options(place.owner, place.layout.root),
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if process.returncode != 0:
            lines = said.decode(errors="replace").strip().splitlines()
            raise NeedsHuman(f"it is not restored: {lines[-1] if lines else 'no reason given'}")
