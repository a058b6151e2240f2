"""What one name of one database did: counts, errors, latencies, and the longest stall.

A stall is time in which somebody waited and nobody was answered, so a database that no customer
asks anything does not stall. Latencies go into buckets 1% apart: memory does not grow with time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

BUCKETS_PER_E = 100


class Meter:
    """Counts what is acknowledged, never what is only sent."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.transactions = 0
        self.unacknowledged = 0
        self.errors: Counter[str] = Counter()
        self.buckets: Counter[int] = Counter()
        self.longest = 0.0
        self.longest_stall = 0.0
        self._waiting = 0
        self._quiet_since = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Somebody waits for an answer from here to the end of the block."""
        if self._waiting == 0:
            self._quiet_since = self.clock()
        self._waiting += 1
        try:
            yield
        except BaseException:
            self._stalled()
            raise
        finally:
            self._waiting -= 1

    def acknowledged(self, seconds: float) -> None:
        """A transaction is done: the database said so, after that time."""
        self.transactions += 1
        self.buckets[round(math.log(max(seconds, 1e-6)) * BUCKETS_PER_E)] += 1
        self.longest = max(self.longest, seconds)
        self._stalled()
        self._quiet_since = self.clock()

    def failed(self, kind: str) -> None:
        """An attempt failed, with an SQLSTATE or for another kind of reason."""
        self.errors[kind] += 1

    def _stalled(self) -> None:
        self.longest_stall = max(self.longest_stall, self.clock() - self._quiet_since)


def report(meters: Iterable[Meter], seconds: float) -> dict[str, Any]:
    """Several meters as one, in the units of the results."""
    meters = list(meters)
    buckets = sum((m.buckets for m in meters), Counter[int]())
    errors = sum((m.errors for m in meters), Counter[str]())
    transactions = sum(m.transactions for m in meters)
    longest = max(m.longest for m in meters)
    return {
        "transactions": transactions,
        "tps": round(transactions / seconds, 1),
        "errors": dict(sorted(errors.items())),
        "unacknowledged": sum(m.unacknowledged for m in meters),
        "latency_ms": {
            "p50": percentile(buckets, 50, longest),
            "p95": percentile(buckets, 95, longest),
            "p99": percentile(buckets, 99, longest),
            "max": milliseconds(longest),
        },
        "longest_stall_ms": milliseconds(max(m.longest_stall for m in meters)),
    }


def percentile(buckets: Counter[int], percent: int, longest: float) -> float:
    """The latency in milliseconds that so many percent did not exceed."""
    wanted = math.ceil(buckets.total() * percent / 100)
    for bucket in sorted(buckets):
        wanted -= buckets[bucket]
        if wanted <= 0:
            return milliseconds(min(math.exp(bucket / BUCKETS_PER_E), longest))
    return 0.0


def milliseconds(seconds: float) -> float:
    """Seconds as milliseconds, to the microsecond."""
    return round(seconds * 1000, 3)
