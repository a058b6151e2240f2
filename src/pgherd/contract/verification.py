"""Looking at each file of backups where it is kept: an ability that an engine may lack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pgherd.fleet.desired import DatabaseId


class Trouble(StrEnum):
    """What is wrong with a file that is kept."""

    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Flaw:
    """A file that is not as it was handed over, or several in a row, up to `last`.

    `backup` is the one that has it; None for WAL.
    """

    name: str
    trouble: Trouble
    last: str = ""
    backup: str | None = None


@dataclass(frozen=True, slots=True)
class VerifiedBackup:
    """A backup, and whether all of it is there; `taken_at` is aware."""

    name: str
    taken_at: datetime
    ok: bool
    files: int = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """A stretch of time that can be restored to in spite of all flaws.

    `begin` is sure; `end` is when its last piece of WAL was kept, so the last commit in it is
    older. Nothing is named as `last` where it is not known.
    """

    begin: datetime
    end: datetime
    last: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. Backups are the newest first, stretches the oldest; `at` is aware."""

    at: datetime
    backups: tuple[VerifiedBackup, ...] = ()
    wal_files: int = 0
    flaws: tuple[Flaw, ...] = ()
    reaches: tuple[Reach, ...] = ()

    @property
    def ok(self) -> bool:
        """All is there, as it was handed over."""
        return not self.flaws and all(backup.ok for backup in self.backups)


class Verifier(Protocol):
    """What looks at backups. InputError for a database unknown."""

    async def verify(self, id: DatabaseId) -> Verification:
        """Each file of its incarnation of now is read, and changed is nothing of them.

        Flaws are no error. InputError where it has no backup.
        """
        ...
