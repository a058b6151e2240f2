"""What is needed at least because people said so: the peaks of the fleet file. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from pgherd.fleet.calendar import UTC_NAME, Peak, contains

LEAD = timedelta(minutes=10)
"""So long before a peak its size is wanted: one instance after another gets it, which takes minutes
where that is a restart, and then has to read its cache again before the customers come."""


def floor(peaks: Iterable[Peak], at: datetime) -> int:
    """OCPUs that are needed at least; where peaks overlap the largest counts. 0 for no need."""
    return max((peak.ocpus for peak in peaks if contains(peak.window, at, early=LEAD)), default=0)


def known_peaks(peaks: Iterable[Peak], monday: date) -> Callable[[float], int]:
    """`floor` for a load that is played: seconds since midnight before that Monday.

    The hours of a load are those of its customers' clocks, and so are those of its peaks.
    """
    start = datetime.combine(monday, time(), UTC)
    local = tuple(replace(p, window=replace(p.window, timezone=UTC_NAME)) for p in peaks)
    return lambda seconds: floor(local, start + timedelta(seconds=seconds))
