"""What was applied to a fleet, as people and as programs read of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from pgherd.control.applied import Applied
from pgherd.fleet.summary import Table
from pgherd.units import number


def history_table(applied: Sequence[Applied]) -> Table:
    """A row for each, the newest first."""
    rows = tuple(
        (
            str(one.number),
            one.at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            one.by,
            "+{} -{}".format(*_counts(one, before)),
            str(one.place),
        )
        for one, before in _pairs(applied)
    )
    title = number(len(applied), "fleet file") + " applied"
    return Table(title, ("Number", "At", "By", "Lines", "File"), rows)


def history_json(applied: Sequence[Applied]) -> dict[str, Any]:
    """As programs read of them, the newest first. Keys are only ever added."""
    return {"applied": [applied_json(one, before) for one, before in _pairs(applied)]}


def applied_json(one: Applied, before: Applied | None) -> dict[str, Any]:
    """One of them, with its difference to the one before it."""
    added, removed = _counts(one, before)
    return {
        "number": one.number,
        "at": one.at.isoformat(),
        "by": one.by,
        "file": str(one.place),
        "added": added,
        "removed": removed,
        "difference": list(one.difference(before)),
    }


def _pairs(applied: Sequence[Applied]) -> list[tuple[Applied, Applied | None]]:
    return list(zip_longest(applied, applied[1:]))


def _counts(one: Applied, before: Applied | None) -> tuple[int, int]:
    """Lines that are new, and lines that are not there any more."""
    lines = one.difference(before)[2:]
    return sum(s.startswith("+") for s in lines), sum(s.startswith("-") for s in lines)
