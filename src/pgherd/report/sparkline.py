"""A line of values in a row of text: pure.

A value that is not known is a blank, and never the lowest mark: that one is a value near zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-:=+*#"
"""For terminals that lack the blocks."""
SECONDS = 600.0
"""How far back a line goes."""
MOST = 30
"""The history has a value every 10 to 12 seconds, so with more marks some would have none."""

_PLAIN_TERMINALS = ("dumb", "linux", "unknown", "vt")


def marks(encoding: str, terminal: str) -> str:
    """Those that a terminal of that name (TERM) shows, to which text goes in that encoding."""
    is_plain = not terminal or terminal.startswith(_PLAIN_TERMINALS)
    is_unicode = encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    return BLOCKS if is_unicode and not is_plain else PLAIN


def slots(
    points: Iterable[tuple[float, float | None]], now: float, count: int, seconds: float = SECONDS
) -> list[float | None]:
    """The mean of the values in each of `count` equal parts of the last `seconds`.

    Each begins at a multiple of its length, so that the line moves on by whole marks.
    """
    step = seconds / count
    first = int(now // step) - count + 1
    sums, known = [0.0] * count, [0] * count
    for at, value in points:
        if value is None or not isfinite(value) or not isfinite(at):
            continue
        index = int(at // step) - first
        if 0 <= index < count:
            sums[index] += value
            known[index] += 1
    return [total / n if n else None for total, n in zip(sums, known, strict=True)]


def sparkline(
    values: Sequence[float | None], marks: str = BLOCKS, highest: float | None = None
) -> str:
    """A mark for each value; the highest mark is for `highest`, else for the highest of them."""
    known = [value for value in values if value is not None]
    top = highest if highest is not None else max(known, default=0.0)
    return "".join(" " if value is None else _mark(value, top, marks) for value in values)


def line(
    points: Iterable[tuple[float, float | None]],
    now: float,
    width: int,
    marks: str = BLOCKS,
    highest: float | None = None,
) -> str:
    """The last minutes in so many characters, or in as many as there can be values for."""
    return sparkline(slots(points, now, min(width, MOST)), marks, highest)


def _mark(value: float, top: float, marks: str) -> str:
    share = value / top if top > 0 else 0.0
    return marks[max(0, min(len(marks) - 1, int(share * len(marks))))]
