"""A load played against the code that decides sizes, faster than it would pass: pure.

What the autopilot does with a database that grows and shrinks is what `sizing` and `season` say
here, too. Beside it stand sizes that never change, chosen as people choose them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from msgspec import Struct

from pgherd.decide.season import Season, coming, learn
from pgherd.decide.sizing import SATURATED, Limits, Trend, Use, follow, judge
from pgherd.shapes.shape import Load

CLOSE_SECONDS = 5.0
"""A database near its size is looked at so often, as a real one is."""
LONGEST_SECONDS = 60.0
"""By then it has grown, if that is what it does about one value."""
INCIDENT_SECONDS = 300.0
"""Times in which a database has too little are one incident, where less lies between them."""

Floor = Callable[[float], int]
"""What is needed at least at a time, in OCPUs, as people said beforehand."""


class Step(Struct, frozen=True):
    """A stretch of time in which nothing changed: OCPUs that were wanted and that were there."""

    seconds: float
    wanted: float
    ocpus: int


class Played(Struct, frozen=True):
    """How one database fared."""

    steps: tuple[Step, ...]
    resizes: int = 0
    scale_downs: int = 0

    @property
    def seconds(self) -> float:
        """How long it was."""
        return sum(step.seconds for step in self.steps)

    @property
    def compute(self) -> float:
        """OCPU hours that were there."""
        return sum(step.seconds * step.ocpus for step in self.steps) / 3600

    @property
    def slack(self) -> float:
        """The share of them that nobody used."""
        used = sum(s.seconds * min(s.wanted, s.ocpus) for s in self.steps) / 3600
        return 1 - used / self.compute if self.compute else 0.0

    @property
    def throttled_minutes(self) -> float:
        """How long more was wanted than was there."""
        return sum(step.seconds for step in self.steps if step.wanted > step.ocpus) / 60

    @property
    def exhaustions(self) -> int:
        """How often a time began in which more was wanted than was there."""
        count, calm = 0, INCIDENT_SECONDS
        for step in self.steps:
            if step.wanted <= step.ocpus:
                calm += step.seconds
                continue
            count += calm >= INCIDENT_SECONDS
            calm = 0.0
        return count


def play(
    load: Load,
    limits: Limits,
    *,
    floor: Floor | None = None,
    is_seasonal: bool = True,
) -> Played:
    """A database that begins with its smallest size and has the autopilot.

    Memory never shows in what is throttled: it is kept from running out. Time begins at midnight
    before a Monday.
    """
    steps: list[Step] = []
    resizes = scale_downs = 0
    ocpus, now = limits.low, 0.0
    trend: Trend | None = None
    season = Season()
    for value, memory in zip(load.ocpus, load.memory, strict=True):
        left = load.seconds
        held = memory * limits.memory_per_ocpu * limits.memory_share
        while left > 0:
            is_close = value >= SATURATED * ocpus * limits.cpu_share and ocpus < limits.high
            is_early = load.seconds - left < LONGEST_SECONDS
            length = min(left, CLOSE_SECONDS) if is_close and is_early else left
            left -= length
            now += length
            steps.append(Step(length, value, ocpus))
            trend = follow(trend, Use(now, length, min(value, ocpus), held), ocpus, limits)
            least = floor(now) if floor else 0
            if is_seasonal:
                season = learn(season, now, trend.cpu)
                least = max(least, ceil(coming(season) / limits.cpu_share))
            verdict = judge(trend, limits, now, least)
            if verdict and verdict.ocpus != ocpus:
                resizes += 1
                scale_downs += verdict.ocpus < ocpus
                ocpus = verdict.ocpus
    return Played(tuple(steps), resizes, scale_downs)


def fixed(load: Load, ocpus: int) -> Played:
    """The same load on a database whose size never changes."""
    return Played(tuple(Step(load.seconds, value, ocpus) for value in load.ocpus))


def provisioned(load: Load) -> int:
    """The size that people choose who know the load: 99.5 % of the time is below, and 20 % more."""
    if not load.ocpus:
        return 1
    ordered = sorted(load.ocpus)
    return max(1, ceil(1.2 * ordered[min(len(ordered) - 1, int(0.995 * len(ordered)))]))
