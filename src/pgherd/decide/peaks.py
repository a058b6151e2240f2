"""What is needed at least because people said so: the peaks of the fleet file. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from pgherd.fleet.calendar import Peak, contains

LEAD = timedelta(minutes=10)
"""So long before a peak its size is wanted: one instance after another gets it, which takes minutes
where that is a restart, and then has to read its cache again before the customers come."""


def floor(peaks: Iterable[Peak], at: datetime) -> int:
    """OCPUs that are needed at least; where peaks overlap the largest counts. 0 for no need."""
    return max((peak.ocpus for peak in peaks if contains(peak.window, at, early=LEAD)), default=0)
