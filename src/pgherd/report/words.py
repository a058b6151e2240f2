"""What is done, and how much, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pgherd.decide.actions import (
    Action,
    ApplyMigrations,
    CreateDatabase,
    DeleteDatabase,
    DeleteEnvironment,
    EnsureEnvironment,
    RepairDatabase,
    RestartInstance,
    StartDatabase,
    StopDatabase,
    StopEnvironment,
    summary,
)


def past(action: Action) -> str:
    """What was done: created, started; what has no past of its own is as it was planned."""
    match action:
        case EnsureEnvironment():
            return "what its databases share is set up"
        case CreateDatabase():
            return "created"
        case StartDatabase():
            return "started"
        case RepairDatabase():
            return "repaired"
        case RestartInstance():
            return f"restarted {action.instance}"
        case StopDatabase() | StopEnvironment():
            return "stopped"
        case DeleteDatabase() | DeleteEnvironment():
            return "deleted"
        case _:
            return summary(action)


def kind(action: Action) -> str:
    """What sort of thing it is, for counting: `create`, `replicas`, `restart`."""
    if isinstance(action, EnsureEnvironment):
        return "set up"
    if isinstance(action, ApplyMigrations):
        return "migrate"
    return summary(action).partition(" ")[0]


def counted(actions: Iterable[Action]) -> str:
    """As in: create 10 databases, replicas of 10, migrate 10."""
    counts = Counter(kind(a) for a in actions if not isinstance(a, EnsureEnvironment))
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "set up"


def duration(seconds: float) -> str:
    """As in: 0.4 s, 21.3 s, 2 min 5 s."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def listed(names: Iterable[str]) -> str:
    """As in: a, b and c."""
    *front, last = list(names) or [""]
    return f"{', '.join(front)} and {last}" if front else last


def few(names: Sequence[str]) -> str:
    """As in: a, b, c and 4 more."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
