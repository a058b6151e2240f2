"""The columns of `pgherd top`, and which of them a width has room for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pgherd.report import sparkline
from pgherd.report.events import event_brief
from pgherd.report.top import LONGEST, TopRow
from pgherd.units import format_bytes, format_range, rounded_bytes

WIDEST_TRAIL = 20
NARROWEST_TRAIL = 6


@dataclass(frozen=True, slots=True)
class Column:
    """One of them. The least `rank` stays longest where there is little room.

    `least` is how wide it is at least, so that it does not move with each number.
    """

    title: str
    rank: int
    cell: Callable[[TopRow], str]
    least: int = 0
    is_right: bool = True


def _name(row: TopRow) -> str:
    return row.id


def _state(row: TopRow) -> str:
    return row.sight.state


def _ocpus(row: TopRow) -> str:
    bounds = format_range(*row.bounds) if row.bounds else ""
    if row.ocpus is None:
        return f"? of {bounds}" if bounds else ""
    return f"{row.ocpus} of {bounds}" if bounds else str(row.ocpus)


def _storage(row: TopRow) -> str:
    if row.storage is None:
        return ""
    wanted = row.sight.wanted
    text = rounded_bytes(row.storage)
    return f"{text} of {format_bytes(wanted.storage.initial_bytes)}" if wanted else text


def _waiting(row: TopRow) -> str:
    if row.waiting is None:
        return ""
    wait = row.longest_wait
    return f"{row.waiting} {short_duration(wait)}" if row.waiting and wait else str(row.waiting)


def last(row: TopRow) -> str:
    """Why it is not seen, else the last event, else what the engine says of it."""
    if row.event is None or not row.sight.is_seen:
        return row.sight.detail[:LONGEST]
    return event_brief(row.event)[:LONGEST]


DATABASE = Column("DATABASE", 0, _name, least=8, is_right=False)
EVENT = Column("LAST EVENT", 11, last, is_right=False)
TRAIL = Column("10 MIN", 6, lambda row: "", least=NARROWEST_TRAIL, is_right=False)
"""Its cell is a sparkline, as wide as there is room."""
COLUMNS = (
    DATABASE,
    Column("STATE", 1, _state, least=7, is_right=False),
    Column("OCPUS", 2, _ocpus, least=6, is_right=False),
    Column("CPU", 3, lambda row: percent(row.cpu), least=4),
    TRAIL,
    Column("MEM", 5, lambda row: percent(row.memory), least=4),
    Column("CONN", 7, lambda row: count(row.clients), least=4),
    Column("WAIT", 4, _waiting, least=4),
    Column("TPS", 8, lambda row: count(row.transactions), least=5),
    Column("LAG", 9, lambda row: size(row.lag), least=5),
    Column("STORAGE", 10, _storage, least=7, is_right=False),
    EVENT,
)
LEAST_EVENT = 24


@dataclass(frozen=True, slots=True)
class Laid:
    """The columns that there is room for, and how wide each is."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]

    def width_of(self, column: Column) -> int:
        """0 where it is not shown."""
        return dict(zip(self.columns, self.widths, strict=True)).get(column, 0)


def laid(longest: Sequence[int], width: int) -> Laid:
    """Which columns are shown; `longest` says how long the longest cell of each one is.

    What is left goes to the line of the last minutes, then to the last event.
    """
    needs = {
        column: max(len(column.title), column.least, long)
        for column, long in zip(COLUMNS, longest, strict=True)
    }
    needs[EVENT] = LEAST_EVENT
    shown: list[Column] = []
    used = -1
    for column in sorted(COLUMNS, key=lambda c: c.rank):
        if used + 1 + needs[column] > width and shown:
            break
        shown.append(column)
        used += 1 + needs[column]
    left = max(0, width - used)
    if TRAIL in shown:
        more = min(left, WIDEST_TRAIL - needs[TRAIL])
        needs[TRAIL] += more
        left -= more
    if EVENT in shown:
        needs[EVENT] += left
    columns = tuple(column for column in COLUMNS if column in shown)
    return Laid(columns, tuple(min(needs[c], width) for c in columns))


def trail(row: TopRow, now: float, width: int, marks: str) -> str:
    """CPU in the last minutes, up to all that it has."""
    points = [(load.at, load.cpu_percent) for load in row.loads]
    return sparkline.line(points, now, width, marks, highest=100.0) if width else ""


def percent(value: float | None) -> str:
    """As in 37%."""
    return "" if value is None else f"{value:.0f}%"


def count(value: float | None) -> str:
    """In five characters at most: 0.4, 37, 1234, 12.3k, 4.5M."""
    if value is None:
        return ""
    if 0 < value < 9.95 and value != int(value):
        return f"{value:.1f}"
    for unit, factor in (("", 1), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)):
        if value < (9999.5 if factor == 1 else 999.5 * factor):
            scaled = value / factor
            digits = 0 if factor == 1 or scaled >= 99.95 else 1
            return f"{scaled:.{digits}f}{unit}"
    return f"{value:.0e}"


def size(value: int | None) -> str:
    """As in 12.3MB."""
    return "" if value is None else rounded_bytes(value)


def short_duration(seconds: float) -> str:
    """As in 0.4s, 21s, 2m, 3h."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    for unit, factor in (("s", 1), ("m", 60), ("h", 3600)):
        if seconds < 99.5 * factor:
            return f"{seconds / factor:.0f}{unit}"
    return f"{seconds / 86400:.0f}d"
