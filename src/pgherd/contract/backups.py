"""Backups, and what they can bring back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class BackupState(StrEnum):
    """`available` alone can be restored."""

    RUNNING = "running"
    AVAILABLE = "available"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ObservedBackup:
    """One backup. `region` is where it is, None where the place has none; times are aware."""

    name: str
    taken_at: datetime
    state: BackupState
    kind: str
    bytes: int | None = None
    kept_until: datetime | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time; a database can be restored to any second in it."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class BackupHistory:
    """What a database can be restored to. Backups are the newest first."""

    backups: tuple[ObservedBackup, ...] = ()
    windows: tuple[Window, ...] = ()
