"""`up`: the world is made to match the fleet file, and what it would take (`plan`)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from pgherd.contract.engine import Engine
from pgherd.contract.offers import Offer
from pgherd.control.act import Actor, Migrations
from pgherd.control.clock import Clock, Patience, SystemClock
from pgherd.control.events import OnEvent, ignore
from pgherd.control.lookout import Lookout
from pgherd.control.loop import loop
from pgherd.control.outcome import Outcome, Trouble
from pgherd.decide.plan import Observations, Plan, plan
from pgherd.errors import InputError, TryLater
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
    bargain = await _bargain(fleet, engines, migrations)

    def decide(observations: Observations) -> Plan:
        return bargain.plan(observations, allow_destroy)

    outcome = await loop(
        engines,
        Actor(bargain.fleet, migrations),
        decide,
        on_event=on_event,
        clock=clock or SystemClock(),
        patience=patience or Patience(),
    )
    return replace(outcome, troubles=outcome.troubles + bargain.troubles)


@dataclass(frozen=True, slots=True)
class Preview:
    """What `converge` would do now, and what it was decided from.

    `troubles` are the databases whose migrations cannot be read; `concessions` say where
    less is made than the fleet file asks for, as it accepts.
    """

    plan: Plan
    seen: Observations
    troubles: tuple[Trouble, ...] = ()
    concessions: tuple[tuple[DatabaseId, str], ...] = ()


async def preview(
    fleet: Fleet,
    engines: Mapping[str, Engine],
    *,
    allow_destroy: Collection[str] = (),
    migrations: Migrations | None = None,
) -> Preview:
    """What `converge` would do now."""
    bargain = await _bargain(fleet, engines, migrations)
    seen = await Lookout(engines, roles=False).look_everywhere()
    planned = bargain.plan(seen, allow_destroy)
    return Preview(planned, seen, bargain.troubles, bargain.concessions)


@dataclass(frozen=True, slots=True)
class _Bargain:
    """The fleet as the engines can make it, what they cannot, and its newest migrations."""

    fleet: Fleet
    heads: Heads
    troubles: tuple[Trouble, ...]
    concessions: tuple[tuple[DatabaseId, str], ...]
    objections: Mapping[DatabaseId, tuple[InputError, ...]]
    settings: Mapping[DatabaseId, Mapping[str, str]]

    def plan(self, seen: Observations, allow_destroy: Collection[str]) -> Plan:
        """What makes the world match it."""
        return plan(
            self.fleet,
            seen,
            heads=self.heads,
            objections=self.objections,
            settings=self.settings,
            allow_destroy=allow_destroy,
        )


async def _bargain(
    fleet: Fleet, engines: Mapping[str, Engine], migrations: Migrations | None
) -> _Bargain:
    heads, troubles = await asyncio.to_thread(newest_migrations, fleet, engines, migrations)
    offers: dict[DatabaseId, Offer] = {}
    for name, engine in engines.items():
        databases = [d for d in fleet.databases if d.environment.engine == name]
        try:
            offers |= {o.database.id: o for o in await engine.offers(databases)}
        except (InputError, TryLater) as error:
            if len(engines) == 1:
                raise
            # The other engines' databases are not held up by it.
            problem = InputError(error.message, error.hint)
            offers |= {d.id: Offer(d, objections=(problem,)) for d in databases}
    made = tuple(offers[d.id].database if d.id in offers else d for d in fleet.databases)
    settings = {
        d.id: found.wanted(d)
        for d in made
        if d.environment.engine in engines and (found := engines[d.environment.engine].settings)
    }
    return _Bargain(
        replace(fleet, databases=made),
        heads,
        troubles,
        tuple((id, text) for id, offer in offers.items() for text in offer.concessions),
        {id: offer.objections for id, offer in offers.items() if offer.objections},
        settings,
    )


def newest_migrations(
    fleet: Fleet, engines: Mapping[str, Engine], migrations: Migrations | None
) -> tuple[Heads, tuple[Trouble, ...]]:
    """The newest revision of each database that can be reached, and where it cannot be read."""
    heads: Heads = {}
    troubles: list[Trouble] = []
    if migrations is None:
        return heads, ()
    for database in fleet.databases:
        engine = engines.get(database.environment.engine)
        if engine is None or engine.reach is None:
            continue
        try:
            heads[database.id] = migrations.head(database)
        except InputError as error:
            troubles.append(Trouble(str(database.id), error))
    return heads, tuple(troubles)
