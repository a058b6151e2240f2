"""What happens while pgherd works, as plain values: for a progress display and a log.

`at` is the clock's time. Whoever consumes an `Event` matches all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pgherd.decide.actions import Action
from pgherd.decide.plan import Plan
from pgherd.errors import PgherdError


@dataclass(frozen=True, slots=True)
class Planned:
    """A round begins: everything was looked at, and this is left to do."""

    plan: Plan
    at: float


@dataclass(frozen=True, slots=True)
class Started:
    """An action is being carried out."""

    action: Action
    at: float


@dataclass(frozen=True, slots=True)
class Finished:
    """It was carried out."""

    action: Action
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Retrying:
    """The world was not ready; it is looked at again after `delay` seconds."""

    subject: str
    error: PgherdError
    failures: int
    delay: float
    at: float


@dataclass(frozen=True, slots=True)
class Parked:
    """Left alone for the rest of this run; everything else goes on."""

    subject: str
    error: PgherdError
    at: float


@dataclass(frozen=True, slots=True)
class Late:
    """It took longer than it should, and is still being worked on."""

    subject: str
    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing has happened for a while: this is waited for, and `why`, as it is seen."""

    subject: str
    why: str
    at: float


Event = Planned | Started | Finished | Retrying | Parked | Late | Waiting
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""
