"""What databases use, as a place measures it: an ability that an engine may lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pgherd.fleet.desired import DatabaseId


@dataclass(frozen=True, slots=True)
class Usage:
    """What the primary of a database used at one moment; each value None where it is unknown.

    Percents are of what the instance has. `at` is aware.
    """

    at: datetime
    cpu_percent: float | None = None
    memory_percent: float | None = None
    storage_bytes: int | None = None


class Meter(Protocol):
    """What measures databases."""

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """What the databases used from `since` ago until now, the oldest first.

        A database without an answer is not in it.
        """
        ...
