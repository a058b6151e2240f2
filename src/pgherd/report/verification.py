"""What was found in the files of backups, as people and as programs read of it. Times are UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from pgherd.contract.verification import Flaw, Verification
from pgherd.fleet.desired import DatabaseId
from pgherd.fleet.summary import Table
from pgherd.report.backups import moment_text

OK, DAMAGED = "ok", "damaged"
MOST = 20
"""So many flaws are shown; JSON has ten times as many, and says how many there are."""


def verification_table(id: DatabaseId, found: Verification) -> Table:
    """A row for each backup."""
    rows = tuple(
        (b.name, moment_text(b.taken_at), OK if b.ok else DAMAGED, str(b.files))
        for b in found.backups
    )
    return Table(f"{id}", ("Backup", "Taken", "Result", "Files"), rows)


def verification_lines(id: DatabaseId, found: Verification) -> Iterator[str]:
    """What is wrong, then what can be restored to."""
    yield f"{found.wal_files} pieces of WAL are there"
    for flaw in found.flaws[:MOST]:
        yield _flaw_text(flaw)
    if (more := len(found.flaws) - MOST) > 0:
        yield f"and {more} more: see --json"
    if not found.reaches:
        yield f"{id} cannot be restored from any backup"
    for reach in found.reaches:
        last = f", the last WAL of it is {reach.last}" if reach.last else ""
        begin, end = moment_text(reach.begin), moment_text(reach.end)
        yield f"can be restored to times from {begin} to about {end}{last}"


def why_flawed(found: Verification) -> str:
    """In a few words, for what is not in order."""
    damaged = [b.name for b in found.backups if not b.ok]
    wal = [flaw for flaw in found.flaws if flaw.backup is None]
    words = []
    if damaged:
        words.append(_counted(len(damaged), "backup is damaged", "backups are damaged"))
    if wal:
        words.append(f"WAL is {' and '.join(sorted({flaw.trouble.value for flaw in wal}))}")
    return ", ".join(words) or "files of backups are no good"


def verification_json(id: DatabaseId, found: Verification) -> dict[str, Any]:
    """As programs read of it. Keys are only ever added."""
    return {
        "database": str(id),
        "at": found.at.astimezone(UTC).isoformat(),
        "ok": found.ok,
        "wal_files": found.wal_files,
        "backups": [
            {"name": b.name, "taken_at": b.taken_at.isoformat(), "ok": b.ok, "files": b.files}
            for b in found.backups
        ],
        "flaws": [
            {"backup": f.backup, "name": f.name, "last": f.last or None, "trouble": f.trouble.value}
            for f in found.flaws[: 10 * MOST]
        ],
        "flaws_count": len(found.flaws),
        "reaches": [
            {"begin": r.begin.isoformat(), "end": r.end.isoformat(), "last_wal": r.last or None}
            for r in found.reaches
        ],
    }


def _flaw_text(flaw: Flaw) -> str:
    if flaw.backup is not None:
        return f"backup {flaw.backup}: {flaw.name} is {flaw.trouble.value}"
    if flaw.last:
        return f"WAL {flaw.name} to {flaw.last} is {flaw.trouble.value}"
    return f"WAL {flaw.name} is {flaw.trouble.value}"


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
