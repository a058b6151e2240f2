"""The files of backups on this machine, each compared with its checksum, by their owner.

Root opens none of them. What was found stands beside the repository, in a file that is root's
alone: the next backup is not added to one that is no good (`doubts`).
"""

from __future__ import annotations

import msgspec

from pgherd.contract.verification import Verification
from pgherd.engines.alone import alone
from pgherd.engines.local.backup import comparing, doubts, pgbackrest, verified
from pgherd.engines.local.backup.backups import LocalBackups
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.place import Place
from pgherd.errors import NeedsHuman
from pgherd.fleet.desired import DatabaseId


class LocalVerifier:
    """That of one fleet."""

    def __init__(self, place: Place, backups: LocalBackups) -> None:
        self._place = place
        self._backups = backups

    async def verify(self, id: DatabaseId) -> Verification:
        """Read what there is, then ask which of it is there still: backups expire meanwhile."""
        repository, manifest = await self._backups.stored(id)
        lock = doubts.folder(repository) / f"{manifest.archive}.lock"
        with alone(lock, f"a look at the backups of {id}"):
            at, before = self._place.now(), await _stanza(repository, manifest)
            compared = await _compared(repository, manifest)
            after = await _stanza(repository, manifest)
            there = {backup.name for backup in before.backups}
            kept = tuple(backup for backup in after.backups if backup.name in there)
            wal = await _wal(repository, manifest)
            stanza = msgspec.structs.replace(after, backups=kept)
            backups, flaws, reaches = verified.judged(stanza, wal, compared)
            doubts.note(repository, manifest.archive, [b.name for b in backups if not b.ok])
        return Verification(at, backups, len(wal.segments), flaws, reaches)


async def _stanza(repository: Repository, manifest: DatabaseManifest) -> pgbackrest.Stanza:
    return repository.stanza_of(await repository.stanzas(), manifest.archive)


async def _compared(repository: Repository, manifest: DatabaseManifest) -> verified.Compared:
    """By its report alone: later versions of pgBackRest end with an error where there is a flaw."""
    outcome = await repository.outcome("verify", manifest.archive, comparing.OPTIONS)
    report, said = (part.decode(errors="replace") for part in outcome[1:])
    found = comparing.compared(report, said.splitlines())
    if found is None:
        told = pgbackrest.complaint([*said.splitlines(), *report.splitlines()])
        raise NeedsHuman(
            f"the backups of {manifest.id} cannot be looked at: {told[:200]}",
            f"see {repository.folder}",
        )
    return found


async def _wal(repository: Repository, manifest: DatabaseManifest) -> verified.Kept:
    """What there is of it, and how its timelines follow one another."""
    at = f"archive/{manifest.archive}"
    found = comparing.listing(await repository.run("repo-ls", options=comparing.LISTED, of=at))
    history = None
    if found.newest > 1:
        name = f"{at}/{found.folder}/{found.newest:08X}.history"
        code, text, _ = await repository.outcome("repo-get", manifest.archive, of=name)
        history = text.decode(errors="replace") if code == 0 else None
    line = verified.line_of(found.segments, found.newest, history)
    return verified.Kept(found.segments, line)
