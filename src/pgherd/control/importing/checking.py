"""Both sides of an import compared, table by table: how many rows, and a sum of their hashes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pgherd.control.importing.asking import Looker
from pgherd.control.importing.judging import (
    Checked,
    Sums,
    Table,
    Verdict,
    begins,
    compared,
    read_sums,
)
from pgherd.errors import NeedsHuman

TOO_LATE = "there was no time left"
OBJECTS = "large objects"


async def check(
    source: Looker,
    target: Looker,
    tables: Iterable[Table],
    there: Mapping[tuple[str, str], Table],
    is_late: Callable[[], bool],
) -> tuple[Checked, ...]:
    """Each table, the small ones first; what is not done when it `is_late` stays unchecked."""
    found = []
    for table in sorted(tables, key=lambda t: t.bytes):
        arrived = there.get(table.key)
        if arrived is None or is_late():
            reason = Sums(why=TOO_LATE)
            other = None if arrived is None else reason
            found.append(compared(table.schema, table.name, reason, other))
            continue
        ours, theirs = await asyncio.gather(
            _sums(source, table, is_late), _sums(target, arrived, is_late)
        )
        found.append(compared(table.schema, table.name, ours, theirs))
    return tuple(sorted(found, key=lambda c: (c.verdict is Verdict.SAME, c.schema, c.name)))


async def check_objects(source: Looker, target: Looker) -> Checked:
    """Large objects, all together."""
    ours, theirs = await asyncio.gather(
        _asked(source, "object sums"), _asked(target, "object sums")
    )
    return compared("", OBJECTS, ours, theirs)


async def _sums(looker: Looker, table: Table, is_late: Callable[[], bool]) -> Sums:
    total = Sums()
    for begin in begins(table):
        if is_late():
            return total + Sums(why=TOO_LATE)
        total += await _asked(looker, "sums", schema=table.schema, table=table.name, begin=begin)
        if total.why:
            break
    return total


async def _asked(looker: Looker, what: str, /, **more: Any) -> Sums:
    try:
        return read_sums(await looker.ask(what, **more))
    except NeedsHuman as error:
        return Sums(why=error.message)
