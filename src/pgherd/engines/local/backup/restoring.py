"""A database as it was: from its repository to a place of its own, or to its own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pgherd.contract.backups import Prediction
from pgherd.engines.local import door, identity, lowered, patroni, postgres
from pgherd.engines.local.backup import exchange, pgbackrest, recover, streamed, throwaway
from pgherd.engines.local.backup.former import remove_former
from pgherd.engines.local.backup.goals import Known, beginning, least, missed, ways, window
from pgherd.engines.local.backup.masking import digest_of
from pgherd.engines.local.backup.origins import Asked, origin_of
from pgherd.engines.local.backup.reading import Reading
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.backup.taking import Taken, free_bytes, needed, predicted, require_fits
from pgherd.engines.local.backup.throwaway import Job
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

MOST_PROCESSES = 4
"""Somebody waits for a restore, so it has what CPUs there are."""
ELSEWHERE = (throwaway.NOT_REACHED, throwaway.TOO_EARLY)
"""What a server says where its goal is not in the WAL from that backup on."""


class NotMasked(NeedsHuman):
    """A copy that its masking has not come to the end of; nothing is left of it."""


class Restoring:
    """That of one fleet. Where `known` says where it is now, all until then was handed over."""

    def __init__(
        self,
        place: Place,
        databases: Databases,
        repository: Repository,
        asked: Asked,
        known: Known,
    ) -> None:
        self._place = place
        self._databases = databases
        self._repository = repository
        self._asked = asked
        self._source = asked.source
        self._known = known
        self._goal = asked.goal
        self._origin = origin_of(asked.incarnation, asked.goal, known.now)

    def require_possible(self) -> None:
        """InputError where no such database can be made here, or not from that source."""
        asked, source = self._asked, self._source
        if asked.there is None:
            require_room(self._place.layout, 1)
            require_possible(self._place.layout, self._place.owner, asked.target)
            version, _ = postgres.choose(asked.target.postgresql)
            is_to_be, way_out = "would be", f"write postgresql: {source.postgresql}"
        else:
            version, is_to_be = asked.there.postgresql, "is"
            way_out = f"make it anew, with postgresql: {source.postgresql}"
        if version != source.postgresql:
            raise InputError(
                f"{source.id} is of PostgreSQL {source.postgresql}, and {asked.target.id} "
                f"{is_to_be} of {version}",
                way_out,
            )

    async def predict(self, number: int, *, is_cleared: bool = False) -> Prediction:
        """What it takes to restore to an instance. NeedsHuman where that does not fit."""
        target, is_masked = self._asked.target.id, bool(self._asked.masking)
        span, first = window(self._known.stanza), beginning(self._known, self._goal)
        windows = (span,) if span else ()
        wanted = needed(self._known, first.name, is_masked=is_masked) if first else None
        if first is None or wanted is None:
            return Prediction(windows, first.name if first else None)
        kept = self._place.layout.kept_by(target, number)
        free = await free_bytes(self._place, kept, is_cleared=is_cleared)
        require_fits(target, kept, wanted, free)
        size = self._known.stanza.extents[first.name].bytes
        seconds, is_guess = predicted(size, Taken(self._repository).known())
        return Prediction(windows, first.name, wanted, free, seconds, is_guess)

    async def beside(self) -> None:
        """To a database that is not there."""
        place, target = self._place, self._asked.target
        self.require_possible()
        manifest = place.placement.limited(place.placement.database(target), target)
        number = manifest.instances[0].number
        await self.predict(number, is_cleared=True)
        if self._asked.is_in_place:  # nothing is left of it that it could be read by
            mine = identity.of_database(place.layout, manifest)
            place.writer.ensure_certificates(target.id.environment, mine)
        await self._recover(manifest, manifest.instances[0])
        await place.agent.ask(door.Forget(str(target.id)))
        await self._run("put", str(place.layout.kept_by(target.id, number)))
        await self._databases.make_so(replace(manifest, made=True, restored_from=self._origin))

    async def in_place(self, target: DatabaseManifest, first: InstanceManifest) -> None:
        """It serves until the other data is whole, which is put where `first` has its own.

        From the moment that it is noted as being restored, only the same call takes it on.
        """
        place, origin = self._place, target.restoring
        if not origin:
            self.require_possible()
            await self.predict(first.number, is_cleared=True)
            await self._recover(target, first)
            origin = self._origin
        if target.former:  # so that what is found there later is what was there now
            write_database(place.layout, replace(target, former=None), place.owner)
            await remove_former(place, target, target.former)
        noted = replace(target, restoring=origin, restoring_at=first.number, former=None)
        anew = replace(noted, made=True, archive="", restoring="", restored_from=origin)
        since = place.now().isoformat()
        former = FormerData(first.number, since, target.archive, target.restored_from)
        await self._databases.exchange(noted, anew, former)

    async def _recover(self, target: DatabaseManifest, instance: InstanceManifest) -> None:
        """By the first way that leads to the goal."""
        place, archive = self._place, self._source.archive
        kept = place.layout.kept_by(target.id, instance.number)
        received = await streamed.hand_over(place, self._repository, archive, kept)
        try:
            await self._recover_with(received, target, kept)
        finally:
            await place.remove(kept / streamed.STREAMED)

    async def _recover_with(
        self, received: Path | None, target: DatabaseManifest, kept: Path
    ) -> None:
        """`received` has what was received of its WAL, if anything was."""
        source = self._source
        names = {}
        if source.service != target.service:
            names = {source.service: target.service, source.read_only_role: target.read_only_role}
        last_commit, masking = None, self._asked.masking
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
                    target.service if masking else "",
                    digest_of(masking),
                    least(self._known.stanza, way),
                )
                try:
                    await self._run(*recover.arguments(job), said=masking)
                    return
                except NotMasked:
                    raise
                except NeedsHuman as error:
                    if not any(why in error.message for why in ELSEWHERE):
                        raise
                    last_commit = last_commit or throwaway.last_commit(error.message)
        raise missed(source.id, self._known, self._goal, last_commit)

    def _restore(self, configuration: Path, options: list[str]) -> list[str]:
        program = self._repository.manifest.backup_program
        options = [*options, f"--process-max={min(MOST_PROCESSES, os.cpu_count() or 1)}"]
        return pgbackrest.command(program, configuration, "restore", self._source.archive, options)

    async def _run(self, *arguments: str, said: str = "") -> str:
        """What `recover` does with the data plane's rights; what it says. NeedsHuman with why not.

        What is `said` to it stands on no command line.
        """
        place = self._place
        code, text = await lowered.call_module(
            place.owner, place.layout.root, recover.__name__, *arguments, said=said.encode()
        )
        if code == recover.NOT_MASKED:
            raise NotMasked(
                f"{self._source.id} is not masked: {_last_line(text)}",
                "mend what `masking` names in the fleet file, then run the same command again",
            )
        if code != 0:
            raise NeedsHuman(f"it is not restored: {_last_line(text)}")
        return text


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
