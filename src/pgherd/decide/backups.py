"""When a database is to be backed up, and how, from the backups that it has. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zlib import crc32

from pgherd.contract.backups import BackupCopy, BackupState, ObservedBackup
from pgherd.contract.proofs import Proof
from pgherd.fleet.desired import Database, DatabaseId, Drills

FULL = "full"
FULL_EVERY = timedelta(days=7)
A_LITTLE = timedelta(hours=12)
"""A backup ends some time after its moment of the day: on the last day it is time for the next."""
"""What changed since is enough of the others; a shorter retention needs full ones as often."""
QUIET = time(1, tzinfo=UTC)
QUIET_SECONDS = 4 * 3600
"""When few are at work: each database has a moment of its own in these hours."""
LATE = timedelta(hours=36)
"""A database whose last backup is older is not protected as it should be ..."""
WAL_LATE_SECONDS = 300.0
"""... nor is one whose WAL is handed over later: PostgreSQL does so after a minute ..."""
COPY_LATE = timedelta(minutes=15)
"""... nor one that has a copy elsewhere which is farther behind: it is made every five ..."""
CLOCK = timedelta(minutes=5)
"""Clocks of two machines are no farther apart, where somebody sets them."""
UNPROVEN = "no restore has proven its backups yet"
PROOF_LATE = timedelta(days=1)
"""... nor one whose proof is so much older than it should be."""


def proven_every(database: Database | None = None) -> timedelta:
    """How often a restore has to prove its backups; one that no file names, as by default."""
    return timedelta(days=(database.drills if database else Drills()).restore_days)


def available(backups: Sequence[ObservedBackup]) -> list[ObservedBackup]:
    """Those that can be restored, the newest first."""
    found = [b for b in backups if b.state is BackupState.AVAILABLE]
    return sorted(found, key=lambda b: b.taken_at, reverse=True)


def is_full_due(backups: Sequence[ObservedBackup], retention_days: int, now: datetime) -> bool:
    """Whether the next one has to be a full one."""
    full = [b for b in available(backups) if b.kind == FULL]
    every = min(FULL_EVERY, timedelta(days=max(1, retention_days)))
    return not full or now - full[0].taken_at >= every - A_LITTLE


def why_due(id: DatabaseId, backups: Sequence[ObservedBackup], now: datetime) -> str | None:
    """Why it is to be backed up now; None where it is not."""
    found = available(backups)
    if not found:
        return "it has no backup yet"
    last = found[0].taken_at
    if last < slot(id, now) or now - last > LATE:
        return f"its last backup is of {last.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return None


def why_to_prove(
    backups: Sequence[ObservedBackup], proofs: Sequence[Proof], every: timedelta, now: datetime
) -> str | None:
    """Why a restore has to prove it now; None where it has not."""
    found = available(backups)
    if not found:
        return None
    if not proofs:
        return UNPROVEN
    last = proofs[0]
    if not last.ok:
        return "its last drill failed" if found[0].taken_at > last.at else None
    if now - last.at >= every:
        return f"its last proof is of {last.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return None


def why_unprotected(
    backups: Sequence[ObservedBackup],
    proofs: Sequence[Proof] | None,
    unarchived_seconds: float | None,
    every: timedelta,
    now: datetime,
) -> str | None:
    """Why it could not be restored as it should; None where it could.

    Three things have to be so: a backup of this incarnation that is young enough, WAL that was
    handed over lately, and a proof, which is None where the engine proves none. Copies elsewhere
    have their own (`why_copied_late`).
    """
    found = available(backups)
    if not found:
        return "it has no backup"
    if (last := found[0].taken_at) > now + CLOCK:
        return f"its last backup is of {last:%Y-%m-%d %H:%M} UTC, which is to come: see the clock"
    if now - last > LATE:
        return f"its last backup is {(now - last) / timedelta(hours=1):.0f} h old"
    if proofs is None:
        return "its engine cannot prove backups yet"
    if not proofs:
        return UNPROVEN
    if not proofs[0].ok:
        return unproven(proofs[0])
    if now - proofs[0].at > every + PROOF_LATE:
        return f"its last proof is {(now - proofs[0].at).days} days old"
    if unarchived_seconds is None:
        return "how far its WAL is archived is not known yet"
    if unarchived_seconds > WAL_LATE_SECONDS:
        return f"its WAL of the last {unarchived_seconds / 60:.0f} min is not archived"
    return None


def why_copied_late(copies: Sequence[BackupCopy], now: datetime) -> str | None:
    """Why a copy elsewhere is not what it should be; None where all are."""
    for copy in copies:
        if copy.until is not None and now - copy.until <= COPY_LATE:
            continue
        why = f": {copy.trouble}" if copy.trouble else ""
        if copy.until is None:
            return f"its backups have no copy in {copy.region} yet{why}"
        behind = (now - copy.until) / timedelta(minutes=1)
        return f"its copy in {copy.region} is {behind:.0f} min behind{why}"
    return None


def unproven(proof: Proof) -> str:
    """What a drill found that failed."""
    failed = proof.failed
    return f"its drill failed: {failed.name}: {failed.detail}" if failed else "its drill failed"


def slot(id: DatabaseId, now: datetime) -> datetime:
    """The last moment of its own in the quiet hours."""
    now = now.astimezone(UTC)
    begin = datetime.combine(now.date(), QUIET)
    today = begin + timedelta(seconds=crc32(str(id).encode()) % QUIET_SECONDS)
    return today if today <= now else today - timedelta(days=1)
