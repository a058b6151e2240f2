"""`up`: the world is made to match the fleet file, and what it would take (`plan`)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace

from pgherd.control.act import Actor, Migrations
from pgherd.control.clock import Clock, Patience, SystemClock
from pgherd.control.events import OnEvent, ignore
from pgherd.control.lookout import Lookout
from pgherd.control.loop import loop
from pgherd.control.outcome import Outcome, Trouble
from pgherd.decide.plan import Observations, Plan, plan
from pgherd.engine import Engine
from pgherd.errors import InputError
from pgherd.fleet.desired import DatabaseId, Fleet

Heads = dict[DatabaseId, str | None]


async def converge(
    fleet: Fleet,
    engines: Mapping[str, Engine],
    *,
    allow_destroy: Collection[str] = (),
    migrations: Migrations | None = None,
    on_event: OnEvent = ignore,
    clock: Clock | None = None,
    patience: Patience | None = None,
) -> Outcome:
    """Act until the world is as the fleet file wants it, as far as that is possible.

    Trouble with one database never stops the others: it is in the outcome. Raises InputError
    where an environment names an engine that is not among `engines`.
    """
    heads, troubles = await asyncio.to_thread(newest_migrations, fleet, migrations)
    objections = await objections_to(fleet, engines)

    def decide(observations: Observations) -> Plan:
        return plan(
            fleet, observations, heads=heads, objections=objections, allow_destroy=allow_destroy
        )

    outcome = await loop(
        engines,
        Actor(fleet, migrations),
        decide,
        on_event=on_event,
        clock=clock or SystemClock(),
        patience=patience or Patience(),
    )
    return replace(outcome, troubles=outcome.troubles + troubles)


async def preview(
    fleet: Fleet,
    engines: Mapping[str, Engine],
    *,
    allow_destroy: Collection[str] = (),
    migrations: Migrations | None = None,
) -> tuple[Plan, tuple[Trouble, ...]]:
    """What `converge` would do now, and the databases whose migrations cannot be read."""
    heads, troubles = await asyncio.to_thread(newest_migrations, fleet, migrations)
    objections = await objections_to(fleet, engines)
    seen = await Lookout(engines).look_everywhere()
    planned = plan(fleet, seen, heads=heads, objections=objections, allow_destroy=allow_destroy)
    return planned, troubles


async def objections_to(
    fleet: Fleet, engines: Mapping[str, Engine]
) -> dict[DatabaseId, InputError]:
    """The databases that their engine cannot make as the fleet file wants them, and why."""
    objections: dict[DatabaseId, InputError] = {}
    for name, engine in engines.items():
        databases = [d for d in fleet.databases if d.environment.engine == name]
        objections |= await engine.objections(databases)
    return objections


def newest_migrations(
    fleet: Fleet, migrations: Migrations | None
) -> tuple[Heads, tuple[Trouble, ...]]:
    """The newest revision of each database, and those where it cannot be read."""
    heads: Heads = {}
    troubles: list[Trouble] = []
    for database in fleet.databases if migrations else ():
        try:
            heads[database.id] = migrations.head(database) if migrations else None
        except InputError as error:
            troubles.append(Trouble(str(database.id), error))
    return heads, tuple(troubles)
