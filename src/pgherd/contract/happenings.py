"""What a place did with databases by itself, without a command: its failovers, and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pgherd.fleet.desired import DatabaseId


class HappeningKind(StrEnum):
    """What it was."""

    FAILOVER = "failover"
    """Another instance is the primary, since the old one was lost, or because it was forced."""
    FAILOVER_FAILED = "failover-failed"
    SWITCHOVER = "switchover"
    """Another instance is the primary, as it was planned."""
    SWITCHOVER_FAILED = "switchover-failed"
    FENCE = "fence"
    """All of an instance was ended: its server was dead, and others may lead."""
    HOLD = "hold"
    """Clients were made to wait, and nothing else came of it."""
    RESTART = "restart"
    """A program ended, and was started again."""
    REBUILD = "rebuild"
    """A replica's data was put aside, to be copied again."""
    REBUILT = "rebuilt"
    """Such a replica streams."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One of them. `phases` say what was so after how many milliseconds, counted from `at`.

    `number` counts those of one source. `before` and `after` are the primaries, `program` is what
    was restarted.
    """

    number: int
    at: datetime
    kind: HappeningKind
    database: DatabaseId
    reason: str
    instance: str | None = None
    program: str | None = None
    before: str | None = None
    after: str | None = None
    phases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happenings:
    """The last ones, the oldest first. Another `source` counts from the beginning again."""

    source: str
    found: Sequence[Happening] = ()
