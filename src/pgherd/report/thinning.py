"""Lines and spans with fewer parts, from which nothing goes that people look for: pure.

A picture has a few hundred columns, so a line of many thousand points only makes its file large.
What is left keeps each column's smallest and largest value: a peak of seconds stays in a month.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Point = tuple[float, float]
"""A time and a value."""
Span = tuple[float, float]
"""A time from when on, and one until when."""

FEWEST = 4
"""A line keeps its ends, and what is smallest and largest between them."""


def thinned(points: Sequence[Point], most: int) -> tuple[Point, ...]:
    """At most so many of the points, in their order; `most` is `FEWEST` at least.

    Its first and its last one stay, and of each stretch of time the lowest and the highest.
    """
    if len(points) <= most:
        return tuple(points)
    start, end = points[0][0], points[-1][0]
    count = (max(most, FEWEST) - 2) // 2
    stretches: dict[int, list[int]] = {}
    for index in range(1, len(points) - 1):
        share = (points[index][0] - start) / (end - start) if end > start else 0.0
        stretches.setdefault(min(int(share * count), count - 1), []).append(index)
    kept = {0, len(points) - 1}
    for indexes in stretches.values():
        kept.add(min(indexes, key=lambda i: points[i][1]))
        kept.add(max(indexes, key=lambda i: points[i][1]))
    return tuple(points[index] for index in sorted(kept))


def joined(spans: Iterable[Span], gap: float) -> tuple[Span, ...]:
    """Spans that come one after the other, with those as one that lie no more than `gap` apart."""
    found: list[Span] = []
    for start, end in spans:
        if found and start - found[-1][1] <= gap:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)
