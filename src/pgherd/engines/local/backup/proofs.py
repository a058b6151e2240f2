"""Proofs of backups on this machine: a copy is restored, looked at with few rights, and removed.

What was found stands beside the repository, in a file that root alone can write, by incarnation.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from pgherd.contract.proofs import Check, Hire, Proof
from pgherd.decide.backups import available
from pgherd.engines.alone import alone
from pgherd.engines.local import door, lowered, patroni, rpc
from pgherd.engines.local.backup import pgbackrest, prove, streamed
from pgherd.engines.local.backup.backups import LocalBackups
from pgherd.engines.local.backup.exchange import RESTORED
from pgherd.engines.local.backup.goals import Known, least
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.backup.prove import LONGEST, Evidence, Found
from pgherd.engines.local.backup.reading import Reading
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.backup.taking import free_bytes, needed, require_fits
from pgherd.engines.local.backup.throwaway import Job
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.measured import now
from pgherd.engines.local.place import Place
from pgherd.errors import TryLater
from pgherd.files import ensure_directory, write
from pgherd.fleet.desired import DatabaseId

MOST = 50
"""So many are remembered of an incarnation."""
CHECKS = ("restored", "catalogs", "indexes", "tables", "checksums")
"""All of them, or nothing is proven."""


class LocalProofs:
    """Those of one fleet."""

    def __init__(self, place: Place, backups: LocalBackups) -> None:
        self._place = place
        self._backups = backups

    async def hire(self, id: DatabaseId) -> Hire | None:
        """Nothing: it is this machine's own."""
        return None

    async def known(self, id: DatabaseId) -> tuple[Proof, ...]:
        """Those of its incarnation of now, the newest first."""
        return self._read(self._place.database(id))

    async def prove(self, id: DatabaseId) -> Proof:
        """Restore all that was handed over, look at it, remove it."""
        repository, manifest = await self._backups.stored(id)
        folder = ensure_directory(self._folder(manifest))
        with alone(folder / f"{manifest.archive}.lock", f"a drill of {id}"):
            at, asked, began = self._place.now(), now(), time.monotonic()
            await self._look(id)
            evidence = await self._evidence(repository, manifest)
            rpo = await self._rpo(id, evidence, asked)
            proof = judged(evidence, at, began, rpo)
            kept = (proof, *self._read(manifest))[:MOST]
            write(self._file(manifest), msgspec.json.encode(kept))
        return proof

    def _folder(self, manifest: DatabaseManifest) -> Path:
        return self._place.layout.repository(manifest.environment) / "proofs"

    def _file(self, manifest: DatabaseManifest) -> Path:
        return self._folder(manifest) / f"{manifest.archive}.json"

    def _read(self, manifest: DatabaseManifest) -> tuple[Proof, ...]:
        """What cannot be read is no proof."""
        if not manifest.archive:
            return ()
        try:
            return msgspec.json.decode(self._file(manifest).read_bytes(), type=tuple[Proof, ...])
        except (OSError, msgspec.MsgspecError):
            return ()

    async def _evidence(self, repository: Repository, manifest: DatabaseManifest) -> Evidence:
        place = self._place
        kept = place.layout.kept(manifest.id) / "drill"
        stanza = repository.stanza_of(await repository.stanzas(), manifest.archive)
        await self._require_room(manifest, stanza, kept)
        program = repository.manifest.backup_program
        received = await streamed.hand_over(place, repository, manifest.archive, kept)
        async with Reading(repository, manifest) as configuration:
            options = [f"--pg1-path={kept / RESTORED}", "--type=default"]
            job = Job(
                str(kept),
                manifest.bin_directory,
                tuple(
                    pgbackrest.command(program, configuration, "restore", manifest.archive, options)
                ),
                fetch=streamed.script(repository, configuration, manifest, kept, received),
                settings=patroni.remembered(manifest),
                least=least(stanza, options),
            )
            arguments = [msgspec.json.encode(job).decode(), manifest.service]
            code, said = await lowered.call_module(
                place.owner, place.layout.root, prove.__name__, *arguments, before=lowered.LAST
            )
        text = said.strip().splitlines()
        try:
            return msgspec.json.decode(text[-1] if text else "", type=Evidence)
        except msgspec.MsgspecError:
            last = text[-1][:LONGEST] if text else "no reason given"
            raise TryLater(f"{manifest.id} is not looked at ({code}): {last}") from None

    async def _require_room(self, manifest: DatabaseManifest, stanza: Stanza, kept: Path) -> None:
        """NeedsHuman where the copy would take the room that the database has to grow in."""
        known, newest = Known(stanza), available(stanza.backups)
        if newest and (wanted := needed(known, newest[0].name)):
            free = await free_bytes(self._place, kept, is_cleared=True)
            require_fits(manifest.id, kept, wanted, free)

    async def _look(self, id: DatabaseId) -> None:
        """So that what is committed now is known to be, to the second. Nobody may answer."""
        with suppress(TryLater, rpc.NoAgent):
            await self._place.agent.ask(door.LookAt(str(id)))

    async def _rpo(self, id: DatabaseId, evidence: Evidence, asked: float) -> float | None:
        """How long before then all that was committed is in it. Nobody may have looked then."""
        if evidence.position is None:
            return None
        try:
            until = await self._place.agent.ask(door.CommittedUntil(str(id), evidence.position))
        except (TryLater, rpc.NoAgent):
            return None
        return None if until is None else max(0.0, asked - until)


def judged(evidence: Evidence, at: datetime, began: float, rpo: float | None) -> Proof:
    """What that proves. Pure."""
    # One that was noted twice failed after all.
    found = {check.name: check for check in evidence.checks}
    checks = tuple(_check(name, found.get(name)) for name in CHECKS)
    recovered = evidence.recovered_at
    return Proof(
        at,
        all(check.ok for check in checks),
        rto_seconds=None if recovered is None else max(0.0, recovered - began),
        rpo_seconds=rpo,
        restored_to=_moment(evidence.last_commit) if rpo is None else at - timedelta(seconds=rpo),
        checks=checks,
    )


def _check(name: str, found: Found | None) -> Check:
    if found is None:
        return Check(name, ok=False, detail="it was not reached")
    return Check(name, found.ok, found.detail[:LONGEST])


def _moment(text: str | None) -> datetime | None:
    """PostgreSQL's, as in 2026-11-26 15:04:05.12+00."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None
