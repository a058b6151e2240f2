"""What a command is told to work on, by name."""

from __future__ import annotations

from collections.abc import Iterable

from pgherd.contract.observed import Observation, Observations
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, Fleet


def require_known(fleet: Fleet, seen: Observations, targets: Iterable[str]) -> None:
    """InputError for a name that is neither in the fleet file nor anywhere else."""
    known = {e.name for e in fleet.environments} | {str(d.id) for d in fleet.databases}
    for observation in seen.values():
        if isinstance(observation, Observation):
            known |= observation.environments | {str(id) for id in observation.databases}
    for target in targets:
        if target not in known:
            raise InputError(
                f"{target!r} is neither an environment nor a database of this fleet",
                f"write one of {', '.join(e.name for e in fleet.environments)},"
                " or ENVIRONMENT/SERVICE",
            )


def chosen_databases(fleet: Fleet, target: str | None) -> list[Database]:
    """Those that are meant: all, an environment's, or one. InputError where there are none."""
    require_known(fleet, {}, (target,) if target else ())
    chosen = [d for d in fleet.databases if target in (None, str(d.id), d.id.environment)]
    if not chosen:
        raise InputError(f"{fleet.name} has no databases", "write services: and environments:")
    return chosen
