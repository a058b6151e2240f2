"""`restore`: a database as it was at a time, in its own place, as a new one, or elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

from pgherd.contract.backups import Backups, Goal, Prediction, Restored
from pgherd.contract.engine import Engine
from pgherd.control.abilities import backups_of
from pgherd.control.clock import Clock, Patience
from pgherd.control.wishes import wishes
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Fleet
from pgherd.fleet.names import check_name, resource_name

_Answer = TypeVar("_Answer")


def restored(fleet: Fleet, source: DatabaseId, name: str | None) -> Database:
    """What a database is restored to: itself, or one of that name, in another environment or not.

    Its profile is what the fleet file says of it, else that of the source. Raises InputError where
    the source is not in the fleet file, where the name does not fit, and where a backup of the one
    is of no use to the engine of the other.
    """
    wanted = fleet.database(source)
    if name is None:
        return wanted
    id = fleet.id(name) if "/" in name else DatabaseId(source.environment, name)
    check_name("service", id.service)
    if id == source:
        raise InputError(f"{id} is itself", "leave --as out to restore it in place")
    environment = fleet.environment(id.environment)
    if environment.engine != wanted.environment.engine:
        raise InputError(
            f"{source} is on engine {wanted.environment.engine}, and {id} on {environment.engine}, "
            "which cannot read its backups",
            f"`pgherd import {id}` copies the data of a running database, where it is on `local`",
        )
    known = next((d for d in fleet.databases if d.id == id), None)
    return known or replace(
        wanted,
        id=id,
        name=resource_name(fleet.name, id.environment, id.service),
        environment=environment,
        deletion_protection=False,
    )


async def predict(
    engines: Mapping[str, Engine],
    source: DatabaseId,
    target: Database,
    goal: Goal,
    *,
    region: str | None,
    masking: str,
    clock: Clock,
    patience: Patience,
) -> Prediction:
    """What that restore would take. What passes by itself is waited for."""
    backups, wanted = await _wanted(engines, target)
    call = partial(backups.predict, source, wanted, goal, region=region, masking=masking)
    return await _patiently(call, clock, patience)


async def restore(
    engines: Mapping[str, Engine],
    source: DatabaseId,
    target: Database,
    goal: Goal,
    *,
    region: str | None,
    masking: str,
    overwrites: bool,
    clock: Clock,
    patience: Patience,
) -> Restored:
    """The target is there and serves. What passes by itself is waited for."""
    backups, wanted = await _wanted(engines, target)
    call = partial(
        backups.restore,
        source,
        wanted,
        goal,
        region=region,
        masking=masking,
        overwrites=overwrites,
    )
    return await _patiently(call, clock, patience)


async def undo(engine: Engine, id: DatabaseId, clock: Clock, patience: Patience) -> None:
    """What was there before the restore in place is there again. What passes is waited for."""
    await _patiently(partial(backups_of(engine).undo, id), clock, patience)


async def discard(engine: Engine, id: DatabaseId, clock: Clock, patience: Patience) -> None:
    """Nothing of that is kept. What passes by itself is waited for."""
    await _patiently(partial(backups_of(engine).discard, id), clock, patience)


async def _wanted(engines: Mapping[str, Engine], target: Database) -> tuple[Backups, Database]:
    engine = engines[target.environment.engine]
    backups = backups_of(engine)
    (wish,) = await wishes((target,), {engine.name: engine}, None)
    if wish.objections:
        raise wish.objections[0]
    return backups, wish.database


async def _patiently(
    once: Callable[[], Awaitable[_Answer]], clock: Clock, patience: Patience
) -> _Answer:
    failures = 0
    while True:
        try:
            return await once()
        except TryLater:
            failures += 1
            if failures >= patience.attempts:
                raise
            await clock.sleep(patience.delay(failures))
