"""How much a database would use over time, described in a few lines: pure.

Every amount is a share of the database's largest size, so one shape fits a whole fleet. Time
begins at midnight before a Monday.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Annotated

import msgspec
from msgspec import Meta

DAY_SECONDS = 86_400
HOURS = 24
VARIETY = 0.5
"""Databases of one fleet are of different sizes: by so much their loads vary around the shape."""

Share = Annotated[float, Meta(ge=0, le=10)]
Hours = Annotated[float, Meta(ge=0, le=24)]


class Wave(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to `high` for half of the time, and down again, every `minutes`."""

    high: Share
    minutes: Annotated[float, Meta(gt=0, le=10_080)]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`times` as much as otherwise, on `day` (the first is 1) and so many `days`, by the hour."""

    day: Annotated[int, Meta(ge=1, le=3660)]
    times: Share
    days: Annotated[int, Meta(ge=1, le=366)] = 1
    start: Hours = 0.0
    end: Hours = 24.0


class Leak(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Memory that is never given back: what there is at first, and what comes to it each day."""

    start: Share
    daily: Share


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One load.

    `hours` are the 24 hours of a day, between which it changes evenly; `weekdays` say how much of
    that a Monday has, a Tuesday, and so on. `noise` is the standard deviation of a random part,
    as a share of the load. `grows` is how much more each day has than the one before.
    """

    means: str
    hours: Annotated[tuple[Share, ...], Meta(min_length=24, max_length=24)] = (0.2,) * HOURS
    weekdays: Annotated[tuple[Share, ...], Meta(min_length=7, max_length=7)] = (1.0,) * 7
    noise: Annotated[float, Meta(ge=0, le=1)] = 0.0
    grows: Annotated[float, Meta(ge=0, le=1)] = 0.0
    wave: Wave | None = None
    events: tuple[Event, ...] = ()
    leak: Leak | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What one database wants: OCPUs, and the memory of so many OCPUs, for each `seconds`."""

    seconds: float
    ocpus: tuple[float, ...]
    memory: tuple[float, ...]


def load(shape: Shape, largest: int, *, seconds: float, days: float, seed: str) -> Load:
    """The load of a database whose largest size that is; the same for the same `seed`."""
    random = Random(seed)  # noqa: S311 - noise
    own = random.uniform(1 - VARIETY, 1 + VARIETY) if seed else 1.0
    count = int(days * DAY_SECONDS / seconds)
    times = [n * seconds for n in range(count)]
    ocpus = (own * largest * _share(shape, time, random) for time in times)
    memory = (largest * _leaked(shape.leak, time) for time in times)
    return Load(seconds, tuple(ocpus), tuple(memory))


def _share(shape: Shape, time: float, random: Random) -> float:
    day, second = divmod(time, DAY_SECONDS)
    hour = second / 3600
    share = _at(shape.hours, hour) * shape.weekdays[int(day) % 7] * float((1 + shape.grows) ** day)
    for event in _now(shape.events, int(day) + 1, hour):
        share *= event.times
    if shape.wave and time % (shape.wave.minutes * 60) < shape.wave.minutes * 30:
        share = max(share, shape.wave.high)
    return max(0.0, share * random.gauss(1.0, shape.noise)) if shape.noise else share


def _at(hours: tuple[float, ...], hour: float) -> float:
    before = int(hour) % HOURS
    part = hour - int(hour)
    return hours[before] * (1 - part) + hours[(before + 1) % HOURS] * part


def _now(events: tuple[Event, ...], day: int, hour: float) -> Iterator[Event]:
    for event in events:
        if event.day <= day < event.day + event.days and event.start <= hour < event.end:
            yield event


def _leaked(leak: Leak | None, time: float) -> float:
    return leak.start + leak.daily * time / DAY_SECONDS if leak else 0.0
