"""What of a fleet is to serve again after a reboot. Pure.

What was stopped stays stopped, and what is not there is not made: a database may have been
destroyed since its fleet file was applied. Nor is anything done where nothing is seen.
"""

from __future__ import annotations

from dataclasses import replace

from pgherd.contract.observed import DatabaseState, Observation, Observations, ObservedDatabase
from pgherd.fleet.desired import Database, Environment, Fleet


def resumed(fleet: Fleet, observations: Observations) -> Fleet:
    """The part of it that nobody has stopped or destroyed."""
    environments = tuple(e for e in fleet.environments if _is_on(e, observations))
    names = {environment.name for environment in environments}
    databases = tuple(
        d for d in fleet.databases if d.id.environment in names and _is_wanted(d, observations)
    )
    return replace(fleet, environments=environments, databases=databases)


def _is_on(environment: Environment, observations: Observations) -> bool:
    seen = observations.get(environment.engine)
    if not isinstance(seen, Observation):
        return False
    return environment.name in seen.environments - seen.stopped


def _is_wanted(database: Database, observations: Observations) -> bool:
    seen = observations[database.environment.engine]
    found = seen.databases.get(database.id) if isinstance(seen, Observation) else None
    return isinstance(found, ObservedDatabase) and found.state is not DatabaseState.STOPPED
