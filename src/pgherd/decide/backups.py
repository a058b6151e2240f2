"""When a database is to be backed up, and how, from the backups that it has. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zlib import crc32

from pgherd.contract.backups import BackupState, ObservedBackup
from pgherd.fleet.desired import DatabaseId

FULL = "full"
FULL_EVERY = timedelta(days=7)
A_LITTLE = timedelta(hours=12)
"""A backup ends some time after its moment of the day: on the last day it is time for the next."""
"""What changed since is enough of the others; a shorter retention needs full ones as often."""
QUIET = time(1, tzinfo=UTC)
QUIET_SECONDS = 4 * 3600
"""When few are at work: each database has a moment of its own in these hours."""
LATE = timedelta(hours=36)
"""A database whose last backup is older is not protected as it should be."""


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


def why_unprotected(backups: Sequence[ObservedBackup], now: datetime) -> str | None:
    """Why it could not be restored as it should; None where it could."""
    found = available(backups)
    if not found:
        return "it has no backup"
    if now - (last := found[0].taken_at) > LATE:
        return f"its last backup is {(now - last) / timedelta(hours=1):.0f} h old"
    return None


def slot(id: DatabaseId, now: datetime) -> datetime:
    """The last moment of its own in the quiet hours."""
    now = now.astimezone(UTC)
    begin = datetime.combine(now.date(), QUIET)
    today = begin + timedelta(seconds=crc32(str(id).encode()) % QUIET_SECONDS)
    return today if today <= now else today - timedelta(days=1)
