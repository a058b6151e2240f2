"""Whether a database could be restored as it should, as an engine says it now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pgherd.contract.backups import BackupHistory
from pgherd.contract.engine import Engine
from pgherd.contract.meter import Usage
from pgherd.contract.proofs import Proof
from pgherd.control.abilities import backups_of
from pgherd.decide.backups import proven_every, why_copied_late, why_unprotected
from pgherd.errors import PgherdError
from pgherd.fleet.desired import Database, DatabaseId


@dataclass(frozen=True, slots=True)
class Protection:
    """What a database can be restored to, and what has proven it.

    `why` says why it is not protected; None where it is. `proofs` are the newest first.
    """

    history: BackupHistory
    proofs: tuple[Proof, ...]
    why: str | None


async def protection(
    engine: Engine,
    id: DatabaseId,
    wanted: Database | None,
    usages: Mapping[DatabaseId, Sequence[Usage]],
    now: datetime,
) -> Protection:
    """That of one database. InputError where its engine takes no backups.

    `wanted` is None where the fleet file does not name it; `usages` are as from `used`.
    """
    backups = backups_of(engine)
    history = await backups.history(id)
    proofs = None if engine.proofs is None else await engine.proofs.known(id)
    usage = usages.get(id)
    unarchived = usage[-1].unarchived_seconds if usage else None
    if unarchived is None and backups.is_automatic:
        unarchived = _behind(history, now)
    why = why_unprotected(history.backups, proofs, unarchived, proven_every(wanted), now)
    why = why or why_copied_late(history.copies, now)
    return Protection(_up_to(history, unarchived, now), proofs or (), why)


def _behind(history: BackupHistory, now: datetime) -> float | None:
    """How old the last moment is that a place can restore to which archives by itself."""
    ends = [window.end for window in history.windows]
    return max(0.0, (now - max(ends)).total_seconds()) if ends else None


def _up_to(history: BackupHistory, unarchived: float | None, now: datetime) -> BackupHistory:
    """What was archived since the last backup can be had, too."""
    if unarchived is None or not history.windows or not history.backups:
        return history
    *others, last = history.windows
    archived = now - timedelta(seconds=unarchived)
    return replace(history, windows=(*others, replace(last, end=max(last.end, archived))))


async def used(engine: Engine) -> Mapping[DatabaseId, Sequence[Usage]]:
    """What its databases use; nothing where nobody measures."""
    if engine.meter is None:
        return {}
    try:
        return await engine.meter.usage(timedelta(minutes=1))
    except PgherdError:
        return {}
