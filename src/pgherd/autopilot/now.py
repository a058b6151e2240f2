"""How all databases are at one moment, as the controller saw them: what `why` begins with."""

from __future__ import annotations

from msgspec import Struct

from pgherd.autopilot.requests import Time


class NowOfDatabase(Struct, frozen=True):
    """One database: its size and bounds, the size that it is to have, and why.

    `ocpus` is None where it was not measured; `paused` says why it is left alone, if it is.
    """

    ocpus: int | None
    wanted: int | None
    rule: str
    why: str
    low: int
    high: int
    is_scaled: bool
    paused: str | None
    cpu_percent: float | None
    memory_percent: float | None
    transactions_per_second: float | None


class Now(Struct, frozen=True):
    """All of them, at a time (seconds since 1970)."""

    at: Time
    databases: dict[str, NowOfDatabase]
