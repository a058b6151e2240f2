"""What is wanted of databases: what their engines offer, and what their migrations say."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from pgherd.contract.offers import Offer
from pgherd.control.wishes import wishes
from pgherd.decide.wish import Wish
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database
from pgherd.testing.fleets import database, environment
from pgherd.testing.memory.engine import MAX_OCPUS, MemoryEngine
from pgherd.testing.memory.migrations import MemoryMigrations
from pgherd.testing.world import World

AUTH, ORDER = database("auth"), database("order")
SETTINGS = {"backup.retention": "3d"}


class BadFolder(MemoryMigrations):
    def head(self, database: Database) -> str | None:
        raise InputError("it has two heads")


class Blind(MemoryEngine):
    async def offers(self, databases: Collection[Database]) -> Sequence[Offer]:
        raise TryLater("no network", "mend it")


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine(World())


async def test_a_wish_is_as_the_fleet_file_says_where_nothing_hinders(engine: MemoryEngine) -> None:
    migrations = MemoryMigrations(engine.world, {ORDER.id: "0001"})
    found = await wishes((AUTH, ORDER), {"memory": engine}, migrations)
    assert found == (
        Wish(AUTH, settings=SETTINGS),
        Wish(ORDER, settings=SETTINGS, migration="0001"),
    )


async def test_a_wish_is_what_its_engine_can_make(engine: MemoryEngine) -> None:
    large = database("auth", ocpus=(2, 2 * MAX_OCPUS))
    (wish,) = await wishes((large,), {"memory": engine}, None)
    assert wish.database.ocpus.max == MAX_OCPUS
    assert wish.concessions == (f"at most {MAX_OCPUS} of {2 * MAX_OCPUS} OCPUs",)
    assert wish.objections == ()


async def test_a_wish_has_what_its_engine_objects_to(engine: MemoryEngine) -> None:
    future = replace(AUTH, postgresql=99)
    first, second = await wishes((future, ORDER), {"memory": engine}, None)
    assert [o.hint for o in first.objections] == ["write postgresql: 17"]
    assert second.objections == ()


async def test_migrations_that_cannot_be_read_are_in_the_wish(engine: MemoryEngine) -> None:
    (wish,) = await wishes((AUTH,), {"memory": engine}, BadFolder(engine.world, {}))
    assert wish.migration is None
    assert str(wish.migration_error) == "it has two heads"


async def test_what_the_engine_lacks_is_not_in_the_wish(engine: MemoryEngine) -> None:
    engine.settings = engine.reach = None
    migrations = MemoryMigrations(engine.world, {AUTH.id: "0001"})
    assert await wishes((AUTH,), {"memory": engine}, migrations) == (Wish(AUTH),)


async def test_an_engine_that_cannot_offer_holds_up_its_own_databases_only(
    engine: MemoryEngine,
) -> None:
    cloud = database("auth", environment("cloud", engine="dark", network="10.9.0.0/16"))
    engines = {"memory": engine, "dark": Blind(World(), name="dark")}
    first, second = await wishes((AUTH, cloud), engines, None)
    assert first.objections == ()
    assert [(o.message, o.hint) for o in second.objections] == [("no network", "mend it")]


async def test_an_only_engine_that_cannot_offer_is_an_error() -> None:
    with pytest.raises(TryLater, match="no network"):
        await wishes((AUTH,), {"memory": Blind(World())}, None)


async def test_a_database_on_an_engine_that_is_not_there_is_wanted_as_it_is() -> None:
    assert await wishes((AUTH,), {}, None) == (Wish(AUTH),)
