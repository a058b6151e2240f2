"""Whether a request of the controller's is one that what was applied allows. Pure.

Whoever has the controller's rights may ask for anything, so nothing but the fleet that was
applied, and what people have paused, decides here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from pgherd.autopilot.requests import (
    HandOver,
    Mend,
    Notify,
    Pause,
    Renew,
    Replicas,
    Request,
    Resize,
    Restart,
)
from pgherd.contract.observed import Observation, ObservedDatabase
from pgherd.decide.actions import (
    DatabaseAction,
    EnsureEnvironment,
    Interruption,
    RepairDatabase,
    RestartInstance,
    SetOcpus,
    SetReplicas,
    Switchover,
)
from pgherd.errors import InputError
from pgherd.fleet.calendar import contains
from pgherd.fleet.desired import Database, Fleet
from pgherd.fleet.receivers import Receiver
from pgherd.units import quoted


def checked(
    request: Request, fleet: Fleet, pauses: Iterable[Pause], now: datetime
) -> DatabaseAction | EnsureEnvironment:
    """The action that it is; InputError where the fleet does not allow it."""
    if isinstance(request, Renew):
        require_running(request.environment, pauses, now)
        fleet.environment(request.environment)
        return EnsureEnvironment(request.environment, request.reason)
    database = fleet.database(fleet.id(request.database))
    require_running(request.database, pauses, now)
    match request:
        case Resize():
            return _resize(request, database)
        case Replicas():
            return _replicas(request, database)
        case Mend():
            return RepairDatabase(database.id, request.reason)
        case Restart():
            _require_maintenance(database, now)
            return RestartInstance(
                database.id, request.instance, request.reason, Interruption.REPLICA_RESTART
            )
        case HandOver():
            _require_maintenance(database, now)
            return Switchover(database.id, "", request.instance, request.reason)
        case _:
            assert_never(request)


def require_gentle(action: SetOcpus, database: Database, seen: Observation, now: datetime) -> None:
    """InputError for a smaller size outside of maintenance, where another size ends connections."""
    found = seen.databases.get(action.id)
    if not isinstance(found, ObservedDatabase) or not found.resize_ends_connections:
        return
    is_larger = found.ocpus is not None and action.target > found.ocpus
    if not is_larger and not is_maintenance(database, now):
        raise InputError(f"{action.id} gets smaller within its maintenance only")


def receiver_of(request: Notify, fleet: Fleet) -> Receiver:
    """Who is told; InputError where the fleet says that it does not hear of that."""
    receiver = fleet.receiver(request.receiver)
    fleet.environment(request.environment)
    if not receiver.hears_of(request.environment):
        raise InputError(f"{receiver.name} does not hear of {request.environment}")
    for alert in (*request.firing, *request.ended):
        if alert.subject.partition("/")[0] != request.environment:
            raise InputError(f"{quoted(alert.subject)} is not in {request.environment}")
    return receiver


def is_maintenance(database: Database, at: datetime) -> bool:
    """Whether it may be restarted then without being asked for."""
    return any(contains(window, at) for window in database.maintenance)


def pause_of(subject: str, pauses: Iterable[Pause], now: datetime) -> Pause | None:
    """What keeps it from being changed: a pause of its own, of its environment, or of all."""
    names = {subject, subject.partition("/")[0], ""}
    for pause in pauses:
        if pause.subject in names and (pause.until is None or now.timestamp() < pause.until):
            return pause
    return None


def _resize(request: Resize, database: Database) -> SetOcpus:
    low, high = database.ocpus.initial, database.ocpus.max
    if not low <= request.ocpus <= high:
        raise InputError(f"{database.id} may have {low}..{high} OCPUs, not {request.ocpus}")
    if database.autoscale is None:
        raise InputError(f"{database.id} is not scaled: the fleet file says autoscale: false")
    return SetOcpus(database.id, 0, request.ocpus, request.reason, Interruption.NONE)


def _replicas(request: Replicas, database: Database) -> SetReplicas:
    low, high = database.replicas.min, database.replicas.max
    if not low <= request.count <= high:
        raise InputError(f"{database.id} may have {low}..{high} replicas, not {request.count}")
    return SetReplicas(database.id, 0, request.count, request.reason)


def require_running(subject: str, pauses: Iterable[Pause], now: datetime) -> None:
    """InputError where it is paused."""
    if pause := pause_of(subject, pauses, now):
        raise InputError(f"{subject} is paused: {pause.reason}")


def _require_maintenance(database: Database, now: datetime) -> None:
    if not is_maintenance(database, now):
        raise InputError(f"{database.id} has no maintenance window now")
