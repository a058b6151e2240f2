"""Finding out what is wanted of databases: asks their engines, and reads their migrations."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pgherd.contract.engine import Engine
from pgherd.contract.offers import Offer
from pgherd.control.act import Migrations
from pgherd.decide.wish import Wish
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database, DatabaseId


async def wishes(
    databases: Sequence[Database], engines: Mapping[str, Engine], migrations: Migrations | None
) -> tuple[Wish, ...]:
    """What is wanted of each of them, in their order. Changes nothing.

    A database whose engine is not among `engines` is wanted as the fleet file says. An engine that
    cannot say what it offers has an objection to each of its databases; an only one raises.
    """
    wanted = await asyncio.to_thread(lambda: [_migrated(d, engines, migrations) for d in databases])
    offers = await _offers(databases, engines)
    return tuple(_offered(wish, offers.get(wish.id), engines) for wish in wanted)


def _migrated(
    database: Database, engines: Mapping[str, Engine], migrations: Migrations | None
) -> Wish:
    """As the fleet file says, with the newest migration where the database can be reached."""
    engine = engines.get(database.environment.engine)
    if migrations is None or engine is None or engine.reach is None:
        return Wish(database)
    try:
        return Wish(database, migration=migrations.head(database))
    except InputError as error:
        return Wish(database, migration_error=error)


def _offered(wish: Wish, offer: Offer | None, engines: Mapping[str, Engine]) -> Wish:
    """The same as its engine can make it."""
    if offer is not None:
        wish = replace(
            wish,
            database=offer.database,
            concessions=offer.concessions,
            objections=offer.objections,
        )
    engine = engines.get(wish.database.environment.engine)
    if engine is None or engine.settings is None:
        return wish
    settings = engine.settings
    return replace(wish, settings=settings.wanted(wish.database), restarting=settings.restarting)


async def _offers(
    databases: Sequence[Database], engines: Mapping[str, Engine]
) -> dict[DatabaseId, Offer]:
    """For those that cannot be made just as the fleet file says."""
    offers: dict[DatabaseId, Offer] = {}
    for name, engine in engines.items():
        own = [d for d in databases if d.environment.engine == name]
        try:
            offers |= {o.database.id: o for o in await engine.offers(own)}
        except (InputError, TryLater) as error:
            if len(engines) == 1:
                raise
            # The other engines' databases are not held up by it.
            problem = InputError(error.message, error.hint)
            offers |= {d.id: Offer(d, objections=(problem,)) for d in own}
    return offers
