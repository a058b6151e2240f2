"""What databases use, as a place measures it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """What the primary of a database used at one moment; each value None where it is unknown.

    Percents are of what the instance has. `at` is aware.
    """

    at: datetime
    cpu_percent: float | None = None
    memory_percent: float | None = None
    storage_bytes: int | None = None
