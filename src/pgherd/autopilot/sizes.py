"""The sizes of databases, from what they use: what is remembered of each, what follows. Pure.

The rules are `decide.sizing`, `decide.season` and `decide.peaks`; `simulate` plays the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil

import msgspec
from msgspec import Struct

from pgherd.autopilot import read_load
from pgherd.contract.meter import Usage
from pgherd.decide.comparison import limits_of
from pgherd.decide.peaks import floor
from pgherd.decide.replicas import Readers
from pgherd.decide.season import DAY, WEEK, Season, coming, learn
from pgherd.decide.sizing import Limits, Trend, Use, Verdict, follow, judge
from pgherd.fleet.desired import Database

FIRST_MONDAY = datetime(1970, 1, 5, tzinfo=UTC).timestamp()
"""Where the season's clock begins."""
PLAIN_SECONDS = 5.0
"""What a sample is taken to cover where it does not say it."""


class Memory(Struct, frozen=True):
    """What is remembered of one database."""

    trend: Trend | None = None
    season: Season = Season()
    readers: Readers | None = None


def limits(database: Database) -> Limits | None:
    """Between which sizes it is, and when it changes; None where it is not to be scaled."""
    return limits_of(database, memory_per_ocpu=1)


def remembered(memory: Memory, database: Database, usage: Usage, ocpus: int, now: float) -> Memory:
    """The memory with one more sample of a database that has `ocpus`.

    `now` is in seconds since the machine was started.
    """
    if (bounds := limits(database)) is None:
        return memory
    trend = memory.trend
    if trend is not None and trend.at > now:  # of another boot of the machine
        trend = None
    use = Use(
        at=now,
        seconds=usage.seconds or PLAIN_SECONDS,
        cpu=_share(usage.cpu_percent, ocpus),
        memory=_share(usage.memory_percent, ocpus),
    )
    trend = follow(trend, use, ocpus, bounds)
    season = learn(memory.season, usage.at.timestamp() - FIRST_MONDAY, trend.cpu)
    readers = read_load.remembered(memory.readers, database, usage, use.seconds, now)
    return Memory(trend, season, readers)


def verdict(memory: Memory, database: Database, at: datetime, now: float) -> Verdict | None:
    """The size that it is to have; None where nothing is known, or it is not to be scaled."""
    if (bounds := limits(database)) is None:
        return None
    expected = ceil(coming(memory.season) / bounds.cpu_share)
    return judge(memory.trend, bounds, now, max(expected, floor(database.peaks, at)))


def encode(memories: Mapping[str, Memory]) -> bytes:
    """For the store."""
    return msgspec.msgpack.encode(dict(memories))


def decode(content: bytes | None) -> dict[str, Memory]:
    """What `encode` made; nothing where that cannot be read, or other code made it."""
    if content is None:
        return {}
    try:
        found = msgspec.msgpack.decode(content, type=dict[str, Memory])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return {id: memory for id, memory in found.items() if _is_whole(memory.season)}


def _is_whole(season: Season) -> bool:
    return (len(season.day), len(season.week)) == (DAY, WEEK)


def _share(percent: float | None, ocpus: int) -> float | None:
    return None if percent is None else percent / 100 * ocpus
