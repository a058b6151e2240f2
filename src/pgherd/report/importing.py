"""What came of an import, as people and as programs read of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pgherd.control.importing.judging import Checked, Inventory, Moved, Verdict
from pgherd.fleet.summary import Table
from pgherd.report.words import duration
from pgherd.units import number, quoted, rounded_bytes

MOST_ROWS = 50


def checks_table(moved: Moved) -> Table:
    """A row for each table, those that are not the same first; of many not all."""
    shown = [c for n, c in enumerate(moved.tables) if n < MOST_ROWS or c.verdict != Verdict.SAME]
    header = ("Table", "Rows there", "Rows here", "Check")
    return Table(f"{moved.database}", header, tuple(_row(c) for c in shown))


def summary(moved: Moved) -> str:
    """As in: 12 tables with 3406 rows are the same, 1 is not checked; 4 sequences."""
    same = [c for c in moved.tables if c.verdict is Verdict.SAME]
    rows = sum(c.rows or 0 for c in same)
    parts = [f"{number(len(same), 'table')} with {number(rows, 'row')} as at the source"]
    counts = Counter(c.verdict.value for c in moved.tables if c.verdict is not Verdict.SAME)
    parts += [f"{count} {verdict}" for verdict, count in counts.items()]
    return f"{', '.join(parts)}; {number(moved.sequences, 'sequence')}"


def times(moved: Moved) -> str:
    """As in: prepare 0.2 s, copy 3.1 s, check 0.9 s, build 1.0 s."""
    return ", ".join(f"{name} {duration(seconds)}" for name, seconds in moved.seconds.items())


def source_line(name: str, source: Inventory) -> str:
    """What is going to be copied."""
    tables = number(len(source.tables), "table")
    objects = f", {number(source.objects, 'large object')}" if source.objects else ""
    return f"{name}: PostgreSQL {source.version}, {rounded_bytes(source.bytes)}, {tables}{objects}"


def left_out(pairs: tuple[tuple[str, str], ...]) -> str:
    """What a service cannot have, and the copy does without."""
    return ", ".join(f"{kind} {quoted(name)}" for kind, name in pairs)


def moved_json(moved: Moved) -> dict[str, Any]:
    """As programs read of it. Keys are only ever added."""
    return {
        "database": str(moved.database),
        "ok": not moved.problems(),
        "source": {
            "name": moved.source,
            "postgresql": moved.version,
            "bytes": moved.bytes,
            "takes_no_writes": moved.is_read_only,
            "written_since": moved.written,
        },
        "tables": [
            {
                "schema": c.schema,
                "name": c.name,
                "check": c.verdict.value,
                "rows": {"source": c.rows, "copy": c.arrived},
                "reason": c.reason,
            }
            for c in moved.tables
        ],
        "sequences": {"count": moved.sequences, "behind": list(moved.sequences_behind)},
        "left_out": [{"kind": kind, "name": name} for kind, name in moved.left_out],
        "seconds": dict(moved.seconds),
    }


def _row(checked: Checked) -> tuple[str, ...]:
    name = f"{checked.schema}.{checked.name}" if checked.schema else checked.name
    verdict = checked.verdict.value
    return (
        name,
        "" if checked.rows is None else str(checked.rows),
        "" if checked.arrived is None else str(checked.arrived),
        f"{verdict}: {checked.reason}" if checked.reason else verdict,
    )
