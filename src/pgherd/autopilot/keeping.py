"""What is to be mended, renewed or restarted, from what is wanted and what is seen. Pure.

The steps are those that `up` would take, less all that makes something new, takes something away,
or is about what a person has stopped. What is damaged has to be seen so twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pgherd.autopilot.checks import is_maintenance
from pgherd.autopilot.requests import HandOver, Mend, Renew, Replicas, Request, Restart
from pgherd.contract.observed import DatabaseState, Observation, Observations, ObservedDatabase
from pgherd.decide.actions import (
    EnsureEnvironment,
    RepairDatabase,
    RestartInstance,
    SetReplicas,
    StartDatabase,
    Switchover,
)
from pgherd.decide.plan import plan
from pgherd.decide.wish import Wish, Wishes
from pgherd.fleet.desired import Database, Fleet


def requests(fleet: Fleet, seen: Observations, at: datetime) -> dict[str, Request]:
    """What to ask for now, one thing for each environment and database, by its name."""
    wishes = Wishes(fleet.environments, tuple(Wish(d) for d in fleet.databases))
    found: dict[str, Request] = {}
    databases = {d.id: d for d in fleet.databases}
    for part in plan(wishes, seen).environments:
        observation = seen.get(part.engine)
        if not isinstance(observation, Observation) or part.name in observation.stopped:
            continue
        for before in part.before:
            if isinstance(before, EnsureEnvironment) and part.name in observation.environments:
                found[part.name] = Renew(part.name, before.reason)
        for planned in part.databases:
            one = observation.databases.get(planned.id)
            if not isinstance(one, ObservedDatabase) or one.state is DatabaseState.STOPPED:
                continue
            for step in planned.steps:
                if request := _request(step, databases[planned.id], at):
                    found[str(planned.id)] = request
                    break
    return found


def _request(step: object, database: Database, at: datetime) -> Request | None:
    id = str(database.id)
    match step:
        case RepairDatabase() | StartDatabase():
            return Mend(id, step.reason)
        case SetReplicas() if step.target > step.current:
            return Replicas(id, step.target, step.reason)
        case RestartInstance() if is_maintenance(database, at):
            return Restart(id, step.instance, step.reason)
        case Switchover() if is_maintenance(database, at):
            return HandOver(id, step.target, step.reason)
        case _:
            return None


def sure(before: Mapping[str, Request], now: Mapping[str, Request]) -> dict[str, Request]:
    """Those of `now` that the look before found too."""
    return {name: r for name, r in now.items() if type(before.get(name)) is type(r)}
