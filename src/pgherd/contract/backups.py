"""Backups, and what they can bring back: an ability that an engine may lack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pgherd.fleet.desired import Database, DatabaseId


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


class Backups(Protocol):
    """What takes backups of databases and restores them. InputError for a database unknown."""

    is_automatic: bool
    """The place takes them by itself; where it does not, somebody has to ask for each."""

    async def history(self, id: DatabaseId) -> BackupHistory:
        """What it can be restored to, in every region."""
        ...

    async def ensure_enabled(self, id: DatabaseId) -> None:
        """All is there that a backup of it takes; what it writes from now on can be restored."""
        ...

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        """A backup taken now, once it is complete."""
        ...

    async def restore(
        self,
        source: DatabaseId,
        target: Database,
        moment: datetime,
        *,
        region: str | None = None,
    ) -> None:
        """`target` is as `source` was at `moment`, to the second; it serves.

        Where both are the same, what was written since is lost. `region` is another one that
        has copies: the target is made there from the last copy before the moment. A target that
        is there already and is another database is an InputError.
        """
        ...
