"""Backups, and what they can bring back: an ability that an engine may lack."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId
from pgherd.units import quoted

UNDO = "undo"
"""Stands for a goal where a restore is taken back."""
_POINT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


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
class Moment:
    """All that was committed by then; aware. It reads as a manifest has it, as all goals do."""

    at: datetime

    def __str__(self) -> str:
        return self.at.isoformat()


@dataclass(frozen=True, slots=True)
class Latest:
    """All that is committed when the restore begins; of a stopped database, all that is kept."""

    def __str__(self) -> str:
        return "latest"


@dataclass(frozen=True, slots=True)
class Point:
    """All that was committed when a point of that name was made."""

    name: str

    def __str__(self) -> str:
        return f"point {self.name}"


@dataclass(frozen=True, slots=True)
class Position:
    """All up to a position in the WAL."""

    lsn: int

    def __str__(self) -> str:
        return f"lsn {lsn_text(self.lsn)}"


@dataclass(frozen=True, slots=True)
class Transaction:
    """All up to the end of a transaction, and that."""

    id: int

    def __str__(self) -> str:
        return f"transaction {self.id}"


Goal = Moment | Latest | Point | Position | Transaction
"""What a database can be restored to; not every engine knows more than moments."""


def lsn_text(lsn: int) -> str:
    """As PostgreSQL writes a position in its WAL: 0/3000148."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_of(text: str) -> int | None:
    """The position that is written so; None where that is none."""
    found = _LSN.fullmatch(text)
    return (int(found[1], 16) << 32) + int(found[2], 16) if found else None


def check_point_name(name: str) -> str:
    """InputError for what could be taken for anything else, where it is printed or written."""
    if not _POINT_NAME.fullmatch(name):
        raise InputError(
            f"{quoted(name)} is not a name for a point",
            "write up to 40 of a-z, 0-9, - and _, a letter or a digit first",
        )
    return name


def goal_option(text: str) -> str:
    """The option of `pgherd restore` for a goal, of which `text` is what it reads as."""
    if text == UNDO:
        return "--undo"
    kind, _, rest = text.partition(" ")
    return f"--to-{kind} {rest}" if kind in ("point", "lsn", "transaction") else f"--to {kind}"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore has brought.

    `until` is when all had been committed that is in it, for `Latest` where that is known;
    `was_there`: an earlier call has brought it, and nothing was done now.
    """

    until: datetime | None = None
    was_there: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a restore is going to take, as far as the engine knows.

    `backup` is the one that it begins with. `bytes` are needed, of the `free_bytes`. `is_guess`:
    nothing was measured there yet. `was_there`: an earlier call has brought it. `overwrites`: it
    takes the place of what the target has. `is_lost`: the source is not there any more, so nothing
    is.
    """

    windows: tuple[Window, ...] = ()
    backup: str | None = None
    bytes: int | None = None
    free_bytes: int | None = None
    seconds: float | None = None
    is_guess: bool = False
    was_there: bool = False
    overwrites: bool = False
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class NamedPoint:
    """A point that somebody has made, to restore to it later."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class KeptData:
    """What a database had before it was restored in its place; or, `is_undone`, before that was.

    The first can be brought back until then, the second by hand alone.
    """

    since: datetime
    until: datetime
    is_undone: bool = False


@dataclass(frozen=True, slots=True)
class BackupCopy:
    """A copy of its backups that is kept up to date elsewhere.

    All that was handed over at `until` is there; `trouble` is why it is not brought up to date.
    """

    region: str
    until: datetime | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class BackupHistory:
    """What a database can be restored to. Backups and points are the newest first.

    `copies` are those that somebody has to keep up to date (`ensure_copied`).
    """

    backups: tuple[ObservedBackup, ...] = ()
    windows: tuple[Window, ...] = ()
    points: tuple[NamedPoint, ...] = ()
    kept: KeptData | None = None
    copies: tuple[BackupCopy, ...] = ()


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

    async def ensure_copied(self, id: DatabaseId) -> None:
        """Its copies elsewhere are brought up to date, where that is due and the place does not.

        This ends at once; what becomes of it is in the history.
        """
        ...

    async def give_up(self, id: DatabaseId) -> None:
        """What it hands over is thrown away, until the next backup, a full one, begins anew.

        So WAL that nobody takes does not fill its disk. Backups and times until now are lost to it.
        InputError where the place archives by itself.
        """
        ...

    async def restore(
        self,
        source: DatabaseId,
        target: Database,
        goal: Goal,
        *,
        region: str | None = None,
        masking: str = "",
        overwrites: bool = False,
    ) -> Restored:
        """`target` is as `source` was then, to the second or exactly; it serves.

        Where both are the same, what was written since is lost; it may be gone itself, where the
        place keeps its backups. `region` is another one that
        has copies: the target is made there from the last copy before the moment. A target that
        is there already and is another database is an InputError, and so is a goal that cannot
        be reached, or that the engine does not know. The same call again does nothing: what was
        the latest then stays so, and the answer says when that was.

        A target in another environment may be there already: where it `overwrites`, the copy
        takes its place, and what it had is kept. `masking` is SQL that is run in that copy, with
        the rights of its service, before anybody may connect; where it fails, nothing is left of
        the copy. An engine that cannot do so refuses the target.
        """
        ...

    async def predict(
        self,
        source: DatabaseId,
        target: Database,
        goal: Goal,
        *,
        region: str | None = None,
        masking: str = "",
    ) -> Prediction:
        """What that restore would take; what it would refuse is refused here, in its words.

        Nothing is changed, and nothing of it is promised.
        """
        ...

    async def make_point(self, id: DatabaseId, name: str) -> NamedPoint:
        """A point of that name, of now. InputError where it has one of that name."""
        ...

    async def undo(self, id: DatabaseId) -> None:
        """What it had before it was restored in its place is its own again; it serves.

        What it has now is kept in turn. InputError where nothing is kept; once it is undone, the
        same call does nothing.
        """
        ...

    async def discard(self, id: DatabaseId) -> None:
        """Nothing is kept of what it had before. InputError where nothing was."""
        ...
