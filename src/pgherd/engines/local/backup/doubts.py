"""Whether the next backup has to stand on its own: what it would be added to is no good.

An incremental backup takes from the one before it what has not changed since: where that was found
damaged, it would be as damaged. Both findings are files that are root's alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from pgherd.contract.backups import ObservedBackup
from pgherd.contract.proofs import Proof
from pgherd.decide.backups import FULL, available
from pgherd.engines.local.backup.repository import Repository
from pgherd.files import ensure_directory, write

RESTORED = "restored"
"""The check of a drill that fails where a backup does not come out of the repository."""


def folder(repository: Repository) -> Path:
    """Where it stands what was found in backups."""
    return ensure_directory(repository.folder / "verified")


def note(repository: Repository, archive: str, damaged: Sequence[str]) -> None:
    """These backups are no good, by the last look at them."""
    write(folder(repository) / f"{archive}.json", msgspec.json.encode(damaged))


def are_there(repository: Repository, archive: str, backups: Sequence[ObservedBackup]) -> bool:
    """Whether one that the next would be added to is doubted. What cannot be read is no doubt."""
    damaged: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()
    with suppress(OSError, msgspec.MsgspecError):
        content = (repository.folder / "verified" / f"{archive}.json").read_bytes()
        damaged = msgspec.json.decode(content, type=tuple[str, ...])
    with suppress(OSError, msgspec.MsgspecError):
        content = (repository.folder / "proofs" / f"{archive}.json").read_bytes()
        proofs = msgspec.json.decode(content, type=tuple[Proof, ...])
    return doubted(backups, damaged, proofs)


def doubted(
    backups: Sequence[ObservedBackup], damaged: Collection[str], proofs: Sequence[Proof]
) -> bool:
    """By the last full one, what was added to it, and the last proof. Pure."""
    found = available(backups)
    full = next((b for b in found if b.kind == FULL), None)
    if full is None:
        return False
    if {b.name for b in found if b.taken_at >= full.taken_at} & set(damaged):
        return True
    failed = proofs[0].failed if proofs else None
    return failed is not None and failed.name == RESTORED and proofs[0].at > full.taken_at
