"""How busy databases were in the last minutes, as few numbers: what `status` draws lines of. Pure.

The helper is told them with each round, so a command that asks it needs not read the history.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite

from pgherd.autopilot.requests import MINUTES, MOST_DATABASES

_Sum = tuple[float, int]


class Lately:
    """CPU percent of each database, by minute."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[int, _Sum]] = {}

    def add(self, at: float, percents: Mapping[str, float | None]) -> None:
        """One more measurement of each; `at` is in seconds since 1970."""
        minute = int(at // 60)
        for id, percent in percents.items():
            if percent is None or not isfinite(percent):
                continue
            sums = self._sums.setdefault(id, {})
            total, count = sums.get(minute, (0.0, 0))
            sums[minute] = (total + percent, count + 1)
            for old in [m for m in sums if not minute - MINUTES < m <= minute]:
                del sums[old]

    def keep(self, ids: Collection[str]) -> None:
        """What has left the fleet is not told of any more."""
        self._sums = {id: sums for id, sums in self._sums.items() if id in ids}

    def told(self, at: float) -> dict[str, list[int | None]]:
        """The last minutes of each, the oldest first; None for those in which it is not known."""
        last = int(at // 60)
        return {
            id: [_mean(sums.get(minute)) for minute in range(last - MINUTES + 1, last + 1)]
            for id, sums in sorted(self._sums.items())[:MOST_DATABASES]
        }


def _mean(found: _Sum | None) -> int | None:
    return None if found is None else max(0, min(100, round(found[0] / found[1])))
