"""Whether two servers that are on timelines of the same number are on the same timeline.

PostgreSQL numbers a timeline when it promotes itself, as one more than the newest that it knows of.
Two instances that are promoted one after the other, the second before it has heard of the first,
take the same number for histories that differ. Nothing in PostgreSQL, pg_rewind or Patroni notices:
the first would follow the second from where its own WAL ends, without what the second has written
up to there. What tells them apart is the record that begins a timeline: its checksum is over the
microsecond in which it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = 8192
SEGMENT = 16 * 1024**2
"""What initdb takes for a WAL segment; pgherd never asks for another."""
RECORD = 48
"""Bytes of an XLOG_END_OF_RECOVERY record (PostgreSQL's xlogrecord.h, pg_control.h), padded."""
FIRST_PAGE_HEADER, PAGE_HEADER = 40, 24


def segment_end(name: str | None) -> int | None:
    """The position in the WAL at which a segment of that name ends; None for other files."""
    found = re.match(r"[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})", name or "")
    return (int(found[1], 16) << 32) + (int(found[2], 16) + 1) * SEGMENT if found else None


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where the first record of a timeline lies, in bytes of a file in pg_wal."""

    file: str
    offset: int
    length: int


def beginning(timeline: int, history: str) -> Beginning | None:
    """From the timeline's history file; None where that names no parent.

    The last line is the parent: its number, and the LSN at which this timeline left it.
    """
    found = re.findall(r"^\s*\d+\s+([0-9A-Fa-f]+)/([0-9A-Fa-f]+)", history, re.MULTILINE)
    if not found:
        return None
    position = int(found[-1][0], 16) << 32 | int(found[-1][1], 16)
    segment, offset = divmod(position, SEGMENT)
    header = 0 if offset % PAGE else PAGE_HEADER if offset else FIRST_PAGE_HEADER
    high, low = divmod(segment, 2**32 // SEGMENT)
    return Beginning(f"{timeline:08X}{high:08X}{low:08X}", offset, RECORD + header)


def local_beginning(wal: Path, timeline: int) -> tuple[Beginning, bytes] | None:
    """Where a timeline begins by the files in pg_wal, and with what; None where that is gone."""
    try:
        found = beginning(timeline, (wal / f"{timeline:08X}.history").read_text())
        if found is None:
            return None
        with (wal / found.file).open("rb") as file:
            file.seek(found.offset)
            return found, file.read(found.length)
    except OSError:
        return None
