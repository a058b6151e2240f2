"""What follows from the files that a repository has, and from those of them that are no good. Pure.

pgBackRest 2.45 compares each file with its checksum. It does not see that a piece of WAL is
missing between two others, nor what can be restored in spite of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from pgherd.contract.backups import ObservedBackup
from pgherd.contract.verification import Flaw, Reach, Trouble, VerifiedBackup
from pgherd.decide.backups import available
from pgherd.engines.local.backup.goals import first_moment
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.timelines import SEGMENT

IN_A_LOG = 2**32 // SEGMENT
"""Segments, after which the middle part of their names counts one up."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The WAL of an archive: when each segment came, by its name, and the newest history file.

    `line` are the timelines on the way to the newest, and the segment in which each begins.
    """

    segments: Mapping[str, datetime] = field(default_factory=dict)
    line: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """What pgBackRest says: of each backup whether it is valid, and how many files it has.

    `files` are those that are no good, by the backup that has them; segments of WAL have none.
    """

    backups: Mapping[str, tuple[bool, int]] = field(default_factory=dict)
    files: Sequence[tuple[str | None, str, Trouble]] = ()


def number_of(segment: str) -> int:
    """The how manieth it is, from the beginning of all WAL."""
    return int(segment[8:16], 16) * IN_A_LOG + int(segment[16:24], 16)


def name_of(timeline: int, number: int) -> str:
    """As PostgreSQL calls it."""
    high, low = divmod(number, IN_A_LOG)
    return f"{timeline:08X}{high:08X}{low:08X}"


def line_of(segments: Collection[str], newest: int, history: str | None) -> list[tuple[int, int]]:
    """The way to a timeline: by its history file, or by where segments begin without one."""
    if history is None:
        first: dict[int, int] = {}
        for name in sorted(segments):
            first.setdefault(int(name[:8], 16), number_of(name))
        return [(timeline, at) for timeline, at in sorted(first.items()) if timeline <= newest]
    left = re.findall(
        r"^\s*(\d{1,10})\s+([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", history, re.MULTILINE
    )
    timelines = [*(int(parent) for parent, _, _ in left), newest]
    begins = [0, *((int(high, 16) << 32 | int(low, 16)) // SEGMENT for _, high, low in left)]
    return list(zip(timelines, begins, strict=True))


def _needed(line: Sequence[tuple[int, int]], number: int) -> str:
    """The segment that recovery reads: of the newest timeline that has begun by then."""
    begun = [timeline for timeline, begin in line if begin <= number]
    return name_of(begun[-1] if begun else 1, number)


def judged(
    stanza: Stanza, kept: Kept, compared: Compared
) -> tuple[tuple[VerifiedBackup, ...], tuple[Flaw, ...], tuple[Reach, ...]]:
    """The backups, what is wrong, and what can be restored to in spite of that."""
    whole = available(stanza.backups)
    known = {backup.name for backup in whole}
    first = _first(stanza, whole)
    # What comes before all backups is of no use to anybody, and may have expired meanwhile.
    damaged = {n for b, n, _ in compared.files if b is None and number_of(n) >= first}
    flaws = (
        *_missing(stanza, kept, whole),
        *(Flaw(name, Trouble.DAMAGED) for name in sorted(damaged)),
        *(Flaw(name, t, backup=b) for b, name, t in compared.files if b in known),
    )
    backups = tuple(_backup(backup, compared) for backup in whole)
    good = {backup.name for backup in backups if backup.ok}
    reaches = _reaches(stanza, kept, [b for b in whole if b.name in good], damaged)
    return backups, flaws, tuple(reaches)


def _backup(backup: ObservedBackup, compared: Compared) -> VerifiedBackup:
    """One of which nothing was said was not looked at."""
    ok, files = compared.backups.get(backup.name, (False, 0))
    return VerifiedBackup(backup.name, backup.taken_at, ok, files)


def _missing(stanza: Stanza, kept: Kept, whole: Sequence[ObservedBackup]) -> Iterator[Flaw]:
    """What recovery reads between the first backup and the last segment, and is not there.

    Who hands WAL over may make up names: it is counted from one that is there to the next.
    """
    there = {number_of(n) for n in kept.segments if _needed(kept.line, number_of(n)) == n}
    first = _first(stanza, whole)
    for before, number in pairwise([first - 1, *sorted(n for n in there if n >= first)]):
        if number > before + 1:
            one, last = _needed(kept.line, before + 1), _needed(kept.line, number - 1)
            yield Flaw(one, Trouble.MISSING, last="" if last == one else last)


def _first(stanza: Stanza, whole: Sequence[ObservedBackup]) -> int:
    """The segment in which the first backup is whole; the first of all where none says it."""
    return min((n for b in whole if (n := _end(stanza, b)) is not None), default=0)


def _end(stanza: Stanza, backup: ObservedBackup) -> int | None:
    """The segment in which it is whole."""
    extent = stanza.extents.get(backup.name)
    return extent.whole_at // SEGMENT if extent else None


def _reaches(
    stanza: Stanza, kept: Kept, good: Sequence[ObservedBackup], useless: Collection[str]
) -> Iterator[Reach]:
    """From each good backup on, up to the next piece of WAL that is no good.

    Backups have the WAL in them that they need.
    """
    reached = -1
    for backup in sorted(good, key=lambda b: b.taken_at):
        begin, number = first_moment([backup]), _end(stanza, backup)
        if number is None or number <= reached:
            continue
        end, last = begin, ""
        while True:
            name = _needed(kept.line, number + 1)
            if name not in kept.segments or name in useless:
                break
            number, last, end = number + 1, name, max(end, kept.segments[name])
        reached = number
        yield Reach(begin, end, last)
