"""What a database is restored to: whether that can be had, and how pgBackRest is told. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from pgherd.contract.backups import (
    BackupHistory,
    Goal,
    Latest,
    Moment,
    NamedPoint,
    ObservedBackup,
    Point,
    Position,
    Transaction,
    Window,
    lsn_text,
)
from pgherd.decide.backups import available
from pgherd.engines.local.backup.pgbackrest import Stanza, reaching
from pgherd.engines.local.timelines import SEGMENT, segment_end
from pgherd.errors import InputError, NeedsHuman, PgherdError
from pgherd.fleet.desired import DatabaseId

ALL = "default"
"""Where a recovery ends that has no other end than that of the WAL."""
EPOCH = 2**32
"""So many transactions have a number of their own in WAL."""


class Mark(Struct, frozen=True):
    """A place in the WAL of a database, by a name that is there once; `at` is this machine's time.

    `transaction` is the next one.
    """

    name: str
    wal_name: str
    lsn: int
    transaction: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to restore to. `now` is where a database that runs has come to."""

    stanza: Stanza
    points: Sequence[Mark] = ()
    now: Mark | None = None


# Whether it can be had


def first_moment(whole: Sequence[ObservedBackup]) -> datetime:
    """pgBackRest wants a whole second after the end of the first one."""
    return whole[-1].taken_at + timedelta(seconds=1)


def window(stanza: Stanza) -> Window | None:
    """From its first backup to the end of its last."""
    whole = available(stanza.backups)
    if not whole:
        return None
    first = first_moment(whole)
    return Window(first, max(first, whole[0].taken_at))


def history(known: Known) -> BackupHistory:
    """As the contract has it."""
    span = window(known.stanza)
    points = tuple(NamedPoint(p.name, p.at) for p in reachable(known))
    return BackupHistory(known.stanza.backups, (span,) if span else (), points)


def reachable(known: Known) -> list[Mark]:
    """The points that a backup comes before, the newest first."""
    return [
        p for p in known.points if _backup(known.stanza.backups, known.stanza, p.lsn) is not None
    ]


def require_reachable(id: DatabaseId, known: Known, goal: Goal) -> None:
    """InputError, with what can be had instead, where it is known that the goal cannot be."""
    ways(id, known, goal)


def ways(id: DatabaseId, known: Known, goal: Goal) -> tuple[list[str], ...]:
    """The options of pgBackRest by which it may be reached, one after the other.

    InputError where none does. A backup is named by us wherever pgBackRest would take the last
    one, which may end after the goal.
    """
    whole = available(known.stanza.backups)
    if not whole:
        raise InputError(*no_backup(id))
    now = known.now
    match goal:
        case Moment(at):
            if at < (first := first_moment(whole)):
                raise InputError(
                    f"{id} cannot be restored to a time before {first:%Y-%m-%d %H:%M:%S} UTC",
                    f"write --to {first:%Y-%m-%dT%H:%M:%S} or later: see `pgherd backup list {id}`",
                )
            before = [b for b in whole if b.taken_at < at]
            text = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
            exact = reaching("time", text, before[0].name)
            # Where nothing was committed after it, all that is there is what was there then; but
            # only from such a backup on. From a later one it is more, where the WAL between that
            # time and the next commit is missing.
            if now:
                last = _backup(before, known.stanza, now.lsn)
                return (exact, reaching("name", now.wal_name, last)) if last else (exact,)
            rest = reaching(ALL, backup=before[0].name)
            return (exact, rest) if _is_handed_over(known, at) else (exact,)
        case Latest():
            return (_marked(id, known, now) if now else reaching(ALL),)
        case Point(name):
            found = next((p for p in known.points if p.name == name), None)
            if found is None or _backup(known.stanza.backups, known.stanza, found.lsn) is None:
                raise InputError(*_no_point(id, known, name))
            return (_marked(id, known, found),)
        case Position(lsn):
            backup = _backup(known.stanza.backups, known.stanza, lsn)
            if backup is None:
                earliest = min((e.whole_at for e in known.stanza.extents.values()), default=0)
                raise InputError(
                    f"{id} cannot be restored to a position before {lsn_text(earliest)}",
                    f"write --to-lsn {lsn_text(earliest)} or later",
                )
            if now and lsn > now.lsn:
                raise InputError(
                    f"{lsn_text(lsn)} is in the future: {id} has come to {lsn_text(now.lsn)}",
                    "write an earlier position, or --to latest",
                )
            end = None if now else segment_end(known.stanza.last_segment)
            if end is not None and lsn > end:
                raise InputError(
                    f"the WAL of {id} that was handed over ends before {lsn_text(end)}",
                    "write an earlier position, or --to latest for all that there is",
                )
            return (reaching("lsn", lsn_text(lsn), backup),)
        case Transaction(number):
            if now and _is_later(number, now.transaction):
                raise InputError(
                    f"transaction {number} is in the future: the next of {id} is {now.transaction}",
                    "write an earlier one, or --to latest",
                )
            # Which backups end before it nobody knows; the last ones are the quickest.
            xid = str(number % EPOCH)
            return tuple(reaching("xid", xid, b.name) for b in whole)


def beginning(known: Known, goal: Goal) -> ObservedBackup | None:
    """The backup that is restored first, where that is known."""
    whole = available(known.stanza.backups)
    match goal:
        case Moment(at):
            return next((b for b in whole if b.taken_at < at), None)
        case Position(lsn):
            name = _backup(known.stanza.backups, known.stanza, lsn)
        case Point(name):
            found = next((p for p in known.points if p.name == name), None)
            name = _backup(known.stanza.backups, known.stanza, found.lsn) if found else None
        case _:
            return whole[0] if whole else None
    return next((b for b in whole if b.name == name), None)


def least(stanza: Stanza, way: Sequence[str]) -> int:
    """How far in the WAL that way has to come, for all of it to have been there.

    0 where it has an end of its own, and where that is not known.
    """
    end = segment_end(stanza.last_segment) if f"--type={ALL}" in way else None
    return end - SEGMENT if end else 0


def missed(
    id: DatabaseId, known: Known, goal: Goal, last_commit: datetime | None = None
) -> PgherdError:
    """What is wrong where the WAL came to its end before. `last_commit` is the last one in it."""
    ends = (
        f"; it ends with the commit of {last_commit:%Y-%m-%d %H:%M:%S} UTC" if last_commit else ""
    )
    see = f"`pgherd backup verify {id}` says which, and what can be had in spite of that"
    was_all = isinstance(goal, Moment) and (known.now or _is_handed_over(known, goal.at))
    if isinstance(goal, Latest) or was_all:
        return NeedsHuman(
            f"a part of the WAL of {id} that this needs is not in its archive, or damaged{ends}",
            f"{see}; a new backup has no such gap: `pgherd backup now {id}`",
        )
    ends = f", with the commit of {last_commit:%Y-%m-%d %H:%M:%S} UTC" if last_commit else ""
    if isinstance(goal, Moment):
        return InputError(
            f"the WAL of {id} that was handed over ends before that time{ends}",
            "name an earlier one, or write --to latest for all that there is",
        )
    what = f"the WAL of {id} does not come to {goal}"
    if isinstance(goal, Transaction):
        what = f"no backup of {id} comes before the end of {goal} in its WAL"
    return InputError(
        f"{what}{ends}",
        f"see `pgherd backup list {id}`; where WAL is missing, {see}",
    )


def _is_handed_over(known: Known, at: datetime) -> bool:
    """Whether all that was committed by then was: a backup has it in its WAL."""
    return any(at <= backup.taken_at for backup in available(known.stanza.backups))


def no_backup(id: DatabaseId) -> tuple[str, str]:
    """What is wrong with it, and the way out."""
    return f"{id} has no backup yet", f"take one with `pgherd backup now {id}`"


def _no_point(id: DatabaseId, known: Known, name: str) -> tuple[str, str]:
    if names := [p.name for p in reachable(known)]:
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        return f"{id} has no point {name}", f"it has {', '.join(names[:10])}{more}"
    return (
        f"{id} has no point {name}",
        f"it has none: make one with `pgherd backup point {id} NAME`",
    )


def _backup(backups: Sequence[ObservedBackup], stanza: Stanza, lsn: int) -> str | None:
    """The last one of these that is whole at a position."""
    for backup in available(backups):
        extent = stanza.extents.get(backup.name)
        if extent and extent.whole_at <= lsn:
            return backup.name
    return None


def _marked(id: DatabaseId, known: Known, mark: Mark) -> list[str]:
    backup = _backup(known.stanza.backups, known.stanza, mark.lsn)
    if backup is None:
        raise NeedsHuman(f"no backup of {id} comes before now", f"see `pgherd backup list {id}`")
    return reaching("name", mark.wal_name, backup)


def _is_later(number: int, following: int) -> bool:
    """Of two numbers of transactions; one below 2^32 may be the short form of a later one."""
    return number >= following and (number >= EPOCH or following < EPOCH)
