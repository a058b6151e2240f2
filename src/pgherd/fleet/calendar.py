"""Times of a week and single days, as the clocks of a place show them: windows and peaks.

A window begins at the first moment at which its zone's clock shows its begin or has passed it, and
ends likewise. So it is one piece on each of its days: where the clock is set back it is longer by
that, and where the clock is set forward it may be shorter, or left out where it lies within what
the clock passes over. An end that is earlier than the begin is on the next day.

Nothing here asks for the time. The rules of a zone come from the machine's tzdata, else from the
package of that name; `UTC` needs neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pgherd.errors import InputError
from pgherd.units import quoted

UTC_NAME = "UTC"
YEARS = range(2000, 2101)
"""Those of single days."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_NONE = timedelta()
_SEARCHED = range(-1, 22)
"""Days around a moment in which the next begin of a window is: it may be left out once."""
_PLACE = re.compile(r"(?!right/|posix/)[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
"""Without the copies of tzdata that count seconds otherwise."""
_NO_PLACES = frozenset({"Factory", "localtime", "posixrules"})
"""Files of tzdata that are another zone on each machine, or none."""


class Weekday(StrEnum):
    """In the order of `date.weekday`."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_WEEK = tuple(Weekday)


@dataclass(frozen=True, slots=True)
class Window:
    """From `begin` to `end` on each of `days`, or on `dates` alone where there are any.

    The days are those on which it begins; `begin` and `end` differ. `timezone` is an IANA name.
    """

    days: tuple[Weekday, ...]
    begin: time
    end: time
    timezone: str = UTC_NAME
    dates: tuple[date, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As `pgherd show --json` has it. Keys are only ever added."""
        return {
            "days": [day.value for day in self.days],
            "dates": [day.isoformat() for day in self.dates],
            "from": clock_text(self.begin),
            "to": clock_text(self.end),
            "timezone": self.timezone,
        }


@dataclass(frozen=True, slots=True)
class Peak:
    """Load that people know of beforehand: each instance needs `ocpus` at least in the window."""

    window: Window
    ocpus: int

    def as_json(self) -> dict[str, Any]:
        """As `pgherd show --json` has it. Keys are only ever added."""
        return {**self.window.as_json(), "ocpus": self.ocpus}


def contains(window: Window, at: datetime, *, early: timedelta = _NONE) -> bool:
    """The window is open at that moment, or opens within `early`, a day at most."""
    around = _local_date(window, at)
    spans = _spans(window, (around + timedelta(days=days) for days in (-1, 0, 1, 2)))
    return any(begin - early <= at < end for begin, end in spans)


def next_begin(window: Window, after: datetime) -> datetime | None:
    """The next moment after that one at which it opens, in UTC; None where all dates are over."""
    around = _local_date(window, after)
    days = sorted(window.dates) or (around + timedelta(days=days) for days in _SEARCHED)
    return next((begin for begin, _ in _spans(window, days) if begin > after), None)


def zone(name: str) -> tzinfo:
    """The zone of that name. InputError where this machine does not know it."""
    if name == UTC_NAME:
        return UTC
    if _PLACE.fullmatch(name) and name not in _NO_PLACES:
        with suppress(ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo(name)
    if not zone_names():
        raise InputError(
            f"{quoted(name)} is unknown, since this machine has no time zones",
            f"install tzdata, or write {UTC_NAME}",
        )
    near = _likely(name)
    hint = f"write {near}" if near else f"write one as in Europe/Berlin, or {UTC_NAME}"
    raise InputError(f"{quoted(name)} is not a known time zone", hint)


@cache
def zone_names() -> frozenset[str]:
    """Every zone that this machine knows; none where it has no tzdata."""
    return frozenset(available_timezones() - _NO_PLACES)


def clock_text(moment: time) -> str:
    """As in 08:00."""
    return moment.strftime("%H:%M")


def _likely(name: str) -> str | None:
    """The zone that was meant: by other capitals, with blanks, or its city alone."""
    wanted = name.strip().replace(" ", "_").lower()
    known = {known.lower(): known for known in sorted(zone_names())}
    cities = (full for low, full in known.items() if wanted and low.endswith(f"/{wanted}"))
    return known.get(wanted) or next(cities, None)


def _has(window: Window, day: date) -> bool:
    return day in window.dates if window.dates else _WEEK[day.weekday()] in window.days


def _local_date(window: Window, at: datetime) -> date:
    return at.astimezone(zone(window.timezone)).date()


def _spans(window: Window, days: Iterable[date]) -> Iterator[tuple[datetime, datetime]]:
    """From when to when it is open, in UTC, where it begins on one of these days."""
    for day in days:
        if _has(window, day) and (span := _span(window, day)):
            yield span


@lru_cache(maxsize=1024)  # whoever asks, asks of the same few days again and again
def _span(window: Window, day: date) -> tuple[datetime, datetime] | None:
    place = zone(window.timezone)
    last = day + _DAY if window.end <= window.begin else day
    begin = _first(datetime.combine(day, window.begin), place)
    end = _first(datetime.combine(last, window.end), place)
    return (begin, end) if begin < end else None


def _first(shown: datetime, place: tzinfo) -> datetime:
    """The first moment at which the clock shows that or has passed it, in UTC."""
    moment = shown.replace(tzinfo=place).astimezone(UTC)
    if _clock(moment, place) == shown:
        return moment
    # The clock never shows it: it was set forward between these two moments.
    before, after = shown.replace(tzinfo=place, fold=1).astimezone(UTC), moment
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if _clock(middle, place) < shown:
            before = middle
        else:
            after = middle
    return after


def _clock(moment: datetime, place: tzinfo) -> datetime:
    # `fold` is no part of what a clock shows.
    return moment.astimezone(place).replace(tzinfo=None, fold=0)
