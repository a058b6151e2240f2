"""Who leads next where a person asks for another primary."""

from __future__ import annotations

from pgherd.engines.local.agent.seen import Seen
from pgherd.errors import InputError


def heir(database: str, seen: Seen, target: str | None) -> str:
    """The instance that was asked for, else the replica that is the least behind.

    InputError where there is none, and for a name that no instance has.
    """
    if target is not None:
        require_instance(database, seen, target)
        return target
    if len(seen.instances) < 2:
        raise InputError(
            f"{database} has no replicas",
            "write replicas: 1 or more for it in the fleet file, then run `pgherd up`",
        )
    if seen.best_replica is None:
        raise InputError(f"{database} has no replica that streams", "see `pgherd status`")
    return seen.best_replica


def require_instance(database: str, seen: Seen, name: str) -> None:
    """InputError for a name that no instance of the database has."""
    if name not in seen.instances:
        known = ", ".join(sorted(seen.instances))
        raise InputError(f"{name} is not an instance of {database}", f"write one of {known}")
