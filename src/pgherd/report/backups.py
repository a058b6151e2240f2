"""What a database can be restored to, as people and as programs read of it. Times are UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pgherd.contract.backups import BackupHistory, ObservedBackup, Prediction
from pgherd.fleet.desired import DatabaseId
from pgherd.fleet.summary import Table
from pgherd.report.words import duration
from pgherd.units import format_bytes, rounded_bytes


def backups_table(id: DatabaseId, history: BackupHistory) -> Table:
    """A row for each backup."""
    header = ("Backup", "Kind", "State", "Taken", "Kept until", "Size", "Region")
    return Table(f"{id}", header, tuple(_row(b) for b in history.backups))


def windows(id: DatabaseId, history: BackupHistory) -> Iterator[str]:
    """To which seconds it can be restored, a line for each stretch of them."""
    if not history.windows:
        yield f"{id} cannot be restored to a point in time yet"
    for window in history.windows:
        yield (
            f"can be restored to any second from {moment_text(window.begin)} "
            f"to {moment_text(window.end)}"
        )


def points(history: BackupHistory) -> Iterator[str]:
    """Which names it can be restored to, a line for each."""
    for point in history.points:
        yield f"point {point.name}: {moment_text(point.at)}"


def kept(id: DatabaseId, history: BackupHistory) -> Iterator[str]:
    """What it had before, if that is kept, and how it is back."""
    if (found := history.kept) is None:
        return
    until = f"kept until {moment_text(found.until)}: `pgherd restore --discard {id}` removes it"
    if found.is_undone:
        yield f"what it had before its restore was undone at {moment_text(found.since)} is {until}"
    else:
        yield f"what it had before its restore at {moment_text(found.since)} is {until},"
        yield f"and `pgherd restore --undo {id}` brings it back"


def copies(history: BackupHistory) -> Iterator[str]:
    """How far each copy elsewhere is, a line for each."""
    for copy in history.copies:
        until = f"all up to {moment_text(copy.until)}" if copy.until else "nothing yet"
        trouble = f"; it is not brought up to date: {copy.trouble}" if copy.trouble else ""
        yield f"copy in {copy.region}: {until}{trouble}"


def prediction_text(found: Prediction) -> str:
    """How long it is going to take, where that is known."""
    if found.seconds is None:
        return ""
    guess = ", a guess: nothing was restored here yet" if found.is_guess else ""
    return f"it takes about {duration(found.seconds)}, and what was written since{guess}"


def prediction_lines(source: DatabaseId, target: DatabaseId, found: Prediction) -> Iterator[str]:
    """What would happen, a line for each thing that is known."""
    if found.was_there:
        yield f"{target} is there already: an earlier command has restored it"
        return
    if found.is_lost:
        yield f"{source} is gone, and can be brought back so"
    else:
        yield f"{source} can be restored so to {'its own place' if source == target else target}"
    if found.overwrites and source != target:
        yield f"in the place of what {target} has, which is kept for --undo"
    if found.backup:
        yield f"from backup {found.backup}, and the WAL since"
    for window in found.windows:
        yield f"times from {moment_text(window.begin)} to {moment_text(window.end)}, or later"
    if found.bytes is not None and found.free_bytes is not None:
        free = rounded_bytes(found.free_bytes)
        yield f"{rounded_bytes(found.bytes)} are needed there, {free} are free"
    if text := prediction_text(found):
        yield text


def moment_text(moment: datetime) -> str:
    """As in 2026-11-23 10:00:00."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def history_json(id: DatabaseId, history: BackupHistory) -> dict[str, Any]:
    """As programs read of it. Keys are only ever added."""
    return {
        "database": str(id),
        "backups": [
            {
                "name": b.name,
                "kind": b.kind,
                "state": b.state.value,
                "taken_at": b.taken_at.isoformat(),
                "kept_until": b.kept_until and b.kept_until.isoformat(),
                "bytes": b.bytes,
                "region": b.region,
            }
            for b in history.backups
        ],
        "windows": [
            {"begin": w.begin.isoformat(), "end": w.end.isoformat()} for w in history.windows
        ],
        "kept": history.kept
        and {
            "since": history.kept.since.isoformat(),
            "until": history.kept.until.isoformat(),
            "is_undone": history.kept.is_undone,
        },
        "copies": [
            {
                "region": c.region,
                "until": c.until and c.until.isoformat(),
                "trouble": c.trouble or None,
            }
            for c in history.copies
        ],
        "points": [{"name": p.name, "at": p.at.isoformat()} for p in history.points],
    }


def _row(backup: ObservedBackup) -> tuple[str, ...]:
    return (
        backup.name,
        backup.kind,
        backup.state.value,
        moment_text(backup.taken_at),
        moment_text(backup.kept_until) if backup.kept_until else "",
        format_bytes(backup.bytes) if backup.bytes else "",
        backup.region or "",
    )
