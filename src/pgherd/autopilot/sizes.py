"""The sizes of databases, from what they use: what is remembered of each, what follows. Pure.

The rules are `decide.sizing`, `decide.season` and `decide.peaks`; `simulate` plays the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pgherd.autopilot import read_load
from pgherd.autopilot.checks import is_maintenance
from pgherd.contract.meter import Usage
from pgherd.decide.comparison import limits_of
from pgherd.decide.peaks import floor
from pgherd.decide.replicas import Readers
from pgherd.decide.season import DAY, WEEK, Season, coming, learn
from pgherd.decide.sizing import Limits, Rule, Trend, Use, Verdict, follow, judge
from pgherd.fleet.desired import Database

FIRST_MONDAY = datetime(1970, 1, 5, tzinfo=UTC).timestamp()
"""Where the season's clock begins."""
PLAIN_SECONDS = 5.0
"""What a sample is taken to cover where it does not say it."""
COARSE_SECONDS = 30.0
"""A sample that reaches farther back says nothing of a size that is seen for the first time."""
OLDEST_SECONDS = 600.0
"""Older than that no sample is, whatever the clocks say."""
CACHED_PERCENT = 95.0
"""Where so many blocks are found in the cache, memory that is taken by the cache is enough."""


class Memory(Struct, frozen=True):
    """What is remembered of one database."""

    trend: Trend | None = None
    season: Season = Season()
    readers: Readers | None = None
    taken: float | None = None
    """When the last sample was taken that counts, in seconds since 1970."""


def limits(database: Database) -> Limits | None:
    """Between which sizes it is, and when it changes; None where it is not to be scaled."""
    return limits_of(database, memory_per_ocpu=1)


def remembered(
    memory: Memory, database: Database, usage: Usage, ocpus: int, at: datetime, now: float
) -> Memory:
    """The memory with one more sample of a database that has `ocpus`.

    `now` is `at` in seconds since the machine was started. A sample counts once, as of when it was
    taken; one that was taken for the most part before the database got its size says nothing of it.
    """
    if (bounds := limits(database)) is None:
        return memory
    trend = memory.trend
    if trend is not None and trend.at > now:  # of another boot of the machine
        trend = None
    seconds, taken = usage.seconds or PLAIN_SECONDS, usage.at.timestamp()
    age = min(OLDEST_SECONDS, max(0.0, (at - usage.at).total_seconds()))
    if trend is not None:
        if ocpus != trend.ocpus and age + seconds > COARSE_SECONDS:
            trend = follow(trend, Use(now, 0.0), ocpus, bounds)
            return replace(memory, trend=trend, taken=taken)
        is_of_before = now - age - seconds / 2 < trend.changed_at
        if taken == memory.taken or is_of_before:
            return replace(memory, trend=trend)
    use = Use(
        at=now - age,
        seconds=seconds,
        cpu=_share(usage.cpu_percent, ocpus),
        memory=_share(_memory_percent(usage), ocpus),
    )
    trend = follow(trend, use, ocpus, bounds)
    season = learn(memory.season, usage.at.timestamp() - FIRST_MONDAY, trend.cpu)
    readers = read_load.remembered(memory.readers, database, usage, use.seconds, now)
    return Memory(trend, season, readers, taken)


def verdict(
    memory: Memory, database: Database, at: datetime, now: float, *, ends_connections: bool = False
) -> Verdict | None:
    """The size that it is to have; None where nothing is known, or it is not to be scaled.

    Where another size `ends_connections`, it gets one within its maintenance, or a larger one once
    nobody knows how much more it would use.
    """
    if (bounds := limits(database)) is None:
        return None
    expected = ceil(coming(memory.season) / bounds.cpu_share)
    found = judge(memory.trend, bounds, now, max(expected, floor(database.peaks, at)))
    if found is None or memory.trend is None or not ends_connections:
        return found
    present = memory.trend.ocpus
    if found.ocpus == present or found.rule is Rule.SATURATED or is_maintenance(database, at):
        return found
    return Verdict(present, Rule.WAITS, f"{found.ocpus} wait for maintenance: {found.why}")


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


def _memory_percent(usage: Usage) -> float | None:
    """Of memory that it needs; None where that is unknown."""
    if not usage.memory_is_cache:
        return usage.memory_percent
    if usage.memory_percent is None or usage.cache_hit_percent is None:
        return None
    return 0.0 if usage.cache_hit_percent >= CACHED_PERCENT else usage.memory_percent


def _share(percent: float | None, ocpus: int) -> float | None:
    return None if percent is None else percent / 100 * ocpus
