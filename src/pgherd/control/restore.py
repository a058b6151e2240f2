"""`restore`: a database as it was at a time, in its own place or as a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pgherd.contract.backups import Goal, Restored
from pgherd.contract.engine import Engine
from pgherd.control.abilities import backups_of
from pgherd.control.clock import Clock, Patience
from pgherd.control.wishes import wishes
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Fleet
from pgherd.fleet.names import check_name, resource_name


def restored(fleet: Fleet, source: DatabaseId, name: str | None) -> Database:
    """What a database is restored to: itself, or one of that name with the same profile.

    Raises InputError where the source is not in the fleet file, or the name does not fit.
    """
    wanted = fleet.database(source)
    if name is None:
        return wanted
    check_name("service", name)
    id = DatabaseId(source.environment, name)
    if id == source:
        raise InputError(f"{id} is itself", "leave --as out to restore it in place")
    return replace(
        wanted,
        id=id,
        name=resource_name(fleet.name, id.environment, name),
        deletion_protection=False,
    )


async def restore(
    engines: Mapping[str, Engine],
    source: DatabaseId,
    target: Database,
    goal: Goal,
    *,
    region: str | None,
    clock: Clock,
    patience: Patience,
) -> Restored:
    """The target is there and serves. What passes by itself is waited for."""
    engine = engines[target.environment.engine]
    backups = backups_of(engine)
    (wish,) = await wishes((target,), {engine.name: engine}, None)
    if wish.objections:
        raise wish.objections[0]
    failures = 0
    while True:
        try:
            return await backups.restore(source, wish.database, goal, region=region)
        except TryLater:
            failures += 1
            if failures >= patience.attempts:
                raise
            await clock.sleep(patience.delay(failures))
