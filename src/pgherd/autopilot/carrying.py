"""One piece of the controller's work, as whoever runs pgherd, in a process of its own."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import msgspec

from pgherd.autopilot import variables
from pgherd.autopilot.checks import checked, receiver_of, require_gentle, require_running
from pgherd.autopilot.looked import Looked, look
from pgherd.autopilot.notice import notice_of
from pgherd.autopilot.pauses import read_pauses
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.requests import (
    BackUp,
    BackupsSeen,
    Done,
    DropArchive,
    Failure,
    Look,
    LookAtBackups,
    Notify,
    OfBackups,
    Prove,
    Request,
    Work,
)
from pgherd.autopilot.sending import send
from pgherd.autopilot.variables import signed_in
from pgherd.contract.observed import DatabaseState, Observation, Unknown
from pgherd.control.abilities import backups_of, proofs_of
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
from pgherd.decide.backups import unproven
from pgherd.decide.wish import Wish, Wishes
from pgherd.engines.opening import open_engine
from pgherd.errors import Busy, InputError, NeedsHuman, PgherdError, TryLater
from pgherd.fleet.desired import DatabaseId, Fleet, WhenFull
from pgherd.state import lock_path
from pgherd.units import quoted

log = logging.getLogger(__name__)

TURN_SECONDS = 10.0
"""Others that have a backup begun are done with that by then."""
KINDS = {kind.__name__: kind for kind in (InputError, Busy, TryLater, NeedsHuman)}


def done(work: Work, place: AutopilotPlace, history: History, is_dry: bool) -> Done:
    """Do it; why not, where it is refused or fails, or would change something and this `is_dry`."""
    try:
        fleet = _applied(history)
        variables.take(place, fleet)
        match work:
            case Look():
                return Done(looked=msgspec.Raw(msgspec.json.encode(_look(work, fleet))))
            case LookAtBackups():
                seen = _backups(work, fleet, is_dry=is_dry)
                return Done(looked=msgspec.Raw(msgspec.json.encode(seen)))
            case BackUp() | Prove() | DropArchive():
                _of_backups(work, fleet, place, is_dry=is_dry)
            case Notify():
                _notify(work, fleet, is_dry=is_dry)
            case _:
                _carry_out(work, fleet, place, history, is_dry=is_dry)
    except PgherdError as error:
        return Done(failure_of(error))
    except Exception as error:
        log.exception("%s failed", work)
        return Done(Failure("NeedsHuman", f"unexpected: {error!r}", f"see {place.log}"))
    return Done()


def _applied(history: History) -> Fleet:
    applied = history.newest()
    if applied is None:
        raise TryLater("nothing is applied yet")
    return history.fleet(applied)


def _look(work: Look, fleet: Fleet) -> Looked:
    """InputError where the controller can look at that engine itself, or the fleet has none."""
    if work.engine not in signed_in(fleet):
        raise InputError(f"engine {quoted(work.engine)} is none to ask for")
    return asyncio.run(look(open_engine(work.engine, fleet.name, fleet.environments)))


def _backups(work: LookAtBackups, fleet: Fleet, *, is_dry: bool) -> dict[str, BackupsSeen]:
    """Of each database there, or why nobody knows. Copies that are due are begun."""
    if work.engine not in {environment.engine for environment in fleet.environments}:
        raise InputError(f"engine {quoted(work.engine)} is none of the fleet")
    engine = open_engine(work.engine, fleet.name, fleet.environments)
    backups = backups_of(engine)
    wanted = [
        d.id
        for d in fleet.databases
        if d.environment.engine == work.engine and work.database in ("", str(d.id))
    ]

    async def look(id: DatabaseId) -> BackupsSeen:
        try:
            if not is_dry:
                await backups.ensure_copied(id)
            history = await backups.history(id)
            proofs = None if engine.proofs is None else (await engine.proofs.known(id))[:1]
            return BackupsSeen(history.backups, proofs=proofs, copies=history.copies)
        except PgherdError as error:
            return BackupsSeen(trouble=error.message)

    async def look_at_all() -> dict[str, BackupsSeen]:
        found = await asyncio.gather(*(look(id) for id in wanted))
        return {str(id): seen for id, seen in zip(wanted, found, strict=True)}

    return asyncio.run(look_at_all())


def _of_backups(work: OfBackups, fleet: Fleet, place: AutopilotPlace, *, is_dry: bool) -> None:
    """Nobody else is at work while one is made possible; the backup itself changes nothing."""
    id, now = fleet.id(work.database), datetime.now(UTC)
    database = fleet.database(id)
    environment = database.environment
    if isinstance(work, DropArchive) and database.backup.when_full is not WhenFull.DROP_ARCHIVE:
        raise InputError(f"the archive of {id} is to be kept, whatever happens")
    require_running(work.database, read_pauses(place), now)
    _require_wet(is_dry=is_dry)
    engine = open_engine(environment.engine, fleet.name, fleet.environments)
    if isinstance(work, Prove):
        proofs = proofs_of(engine)
        if asyncio.run(proofs.hire(id)) is not None:
            raise InputError(f"a proof of {id} costs: it is begun by `pgherd drill restore` alone")
        proof = asyncio.run(proofs.prove(id))
        if not proof.ok:
            raise NeedsHuman(unproven(proof), f"see `pgherd backup list {id}`")
        return
    backups = backups_of(engine)
    if isinstance(work, DropArchive):
        with _locked(fleet, now):
            asyncio.run(backups.give_up(id))
        return
    with _locked(fleet, now, TURN_SECONDS):
        asyncio.run(backups.ensure_enabled(id))
    asyncio.run(backups.back_up(id))


def _locked(fleet: Fleet, now: datetime, seconds: float = 0.0) -> AbstractContextManager[None]:
    """Busy where somebody else is at work for so long."""
    return fleet_lock(
        lock_path(fleet.name),
        "run",
        seconds=seconds,
        on_wait=lambda _: None,
        now=now.astimezone(),
    )


def _notify(work: Notify, fleet: Fleet, *, is_dry: bool) -> None:
    receiver = receiver_of(work, fleet)
    _require_wet(is_dry=is_dry)
    send(receiver, notice_of(work, fleet.name))


def _carry_out(
    work: Request, fleet: Fleet, place: AutopilotPlace, history: History, *, is_dry: bool
) -> None:
    now = datetime.now(UTC)
    checked(work, fleet, read_pauses(place), now)
    _require_wet(is_dry=is_dry)
    with _locked(fleet, now):
        # Another file may have been applied in between, and from here on none is.
        fleet = _applied(history)
        action = checked(work, fleet, read_pauses(place), now)
        if isinstance(action, EnsureEnvironment):
            environment = fleet.environment(action.environment)
        else:
            environment = fleet.database(action.id).environment
        is_far = environment.engine in signed_in(fleet)
        if not is_far:
            asyncio.run(_act(action, fleet, environment.engine, now))
    # A place of its own may take half an hour, and keeps two changes of one thing apart itself.
    if is_far:
        asyncio.run(_act(action, fleet, environment.engine, now))


def failure_of(error: PgherdError) -> Failure:
    """As it is told to the controller."""
    kinds = (name for name, kind in KINDS.items() if isinstance(error, kind))
    return Failure(next(kinds, NeedsHuman.__name__), error.message, error.hint)


def _require_wet(*, is_dry: bool) -> None:
    if is_dry:
        raise InputError("it is told only: this runs with --dry-run")


async def _act(
    action: DatabaseAction | EnsureEnvironment, fleet: Fleet, name: str, now: datetime
) -> None:
    engine = open_engine(name, fleet.name, fleet.environments)
    # Here a size starts nothing and ends nothing, and somebody waits for it.
    if not isinstance(action, SetOcpus) or name in signed_in(fleet):
        seen = await engine.observe(roles=False)
        require_there(action, seen)
        if isinstance(action, SetOcpus):
            require_gentle(action, fleet.database(action.id), seen, now)
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
