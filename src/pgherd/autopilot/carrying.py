"""Carrying out one request of the controller's, as whoever runs pgherd, in a process of its own."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from pgherd.autopilot.checks import checked, receiver_of
from pgherd.autopilot.notice import notice_of
from pgherd.autopilot.pauses import read_pauses
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.requests import Failure, Notify, Request
from pgherd.autopilot.sending import send
from pgherd.contract.observed import DatabaseState, Observation, Unknown
from pgherd.control.act import Actor
from pgherd.control.applied import History
from pgherd.control.lock import fleet_lock
from pgherd.decide.actions import (
    DatabaseAction,
    EnsureEnvironment,
    RestartInstance,
    SetOcpus,
    Switchover,
)
from pgherd.decide.wish import Wish, Wishes
from pgherd.engines.opening import open_engine
from pgherd.errors import Busy, InputError, NeedsHuman, PgherdError, TryLater
from pgherd.fleet.desired import Fleet
from pgherd.state import lock_path
from pgherd.units import quoted

log = logging.getLogger(__name__)

KINDS = {kind.__name__: kind for kind in (InputError, Busy, TryLater, NeedsHuman)}


def carry_out(
    request: Request | Notify, place: AutopilotPlace, history: History, *, is_dry: bool
) -> Failure | None:
    """Carry it out; why not, where it is refused or fails, or where this `is_dry`."""
    try:
        applied = history.newest()
        if applied is None:
            raise TryLater("nothing is applied yet")
        fleet = history.fleet(applied)
        now = datetime.now(UTC)
        if isinstance(request, Notify):
            receiver = receiver_of(request, fleet)
            _require_wet(is_dry=is_dry)
            send(receiver, notice_of(request, fleet.name))
            return None
        action = checked(request, fleet, read_pauses(place), now)
        _require_wet(is_dry=is_dry)
        with fleet_lock(
            lock_path(fleet.name),
            "run",
            wait=False,
            on_wait=lambda _: None,
            now=now.astimezone(),
        ):
            asyncio.run(_act(action, fleet))
    except PgherdError as error:
        return failure_of(error)
    except Exception as error:
        log.exception("%s failed", request)
        return Failure("NeedsHuman", f"unexpected: {error!r}", f"see {place.log}")
    return None


def failure_of(error: PgherdError) -> Failure:
    """As it is told to the controller."""
    kinds = (name for name, kind in KINDS.items() if isinstance(error, kind))
    return Failure(next(kinds, NeedsHuman.__name__), error.message, error.hint)


def _require_wet(*, is_dry: bool) -> None:
    if is_dry:
        raise InputError("it is told only: this runs with --dry-run")


async def _act(action: DatabaseAction | EnsureEnvironment, fleet: Fleet) -> None:
    if isinstance(action, EnsureEnvironment):
        environment = fleet.environment(action.environment)
    else:
        environment = fleet.database(action.id).environment
    engine = open_engine(environment.engine, fleet.name, fleet.environments)
    # A size starts nothing, and somebody waits for it.
    if not isinstance(action, SetOcpus):
        require_there(action, await engine.observe(roles=False))
    wishes = Wishes(fleet.environments, tuple(Wish(d) for d in fleet.databases))
    await Actor(wishes, None).act(action, engine)


def require_there(action: DatabaseAction | EnsureEnvironment, seen: Observation) -> None:
    """InputError where it is about what somebody has stopped or destroyed: it stays so.

    So it is where it names an instance that nobody has seen.
    """
    if isinstance(action, EnsureEnvironment):
        if action.environment not in seen.environments - seen.stopped:
            raise InputError(f"{action.environment} is stopped, or is not there")
        return
    found = seen.databases.get(action.id)
    if isinstance(found, Unknown):
        raise TryLater(f"{action.id} is not seen: {found.reason}")
    if found is None or found.state is DatabaseState.STOPPED:
        raise InputError(f"{action.id} is stopped, or is not there")
    match action:
        case RestartInstance(instance=name) | Switchover(target=name):
            if name not in {instance.name for instance in found.instances}:
                raise InputError(f"{action.id} has no instance {quoted(name)}")
        case _:
            pass
