"""Every story ends the same wherever pgherd dies on the way, and no row is lost.

The careless ones at the end are kept to prove that the harness bites.
"""

from dataclasses import replace

import pytest

from pgherd.control.clock import Patience
from pgherd.control.destroy import destroy
from pgherd.control.stop import stop
from pgherd.control.up import converge
from pgherd.fleet.desired import Database, DatabaseId, Durability, Fleet
from pgherd.testing.clock import FakeClock
from pgherd.testing.crash import Careless, MakeWorld, Story, crash_everywhere
from pgherd.testing.fleets import database, environment, fleet
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.memory.migrations import MemoryMigrations
from pgherd.testing.world import StoredDatabase, World

AUTH = database("auth", replicas=(2, 5), durability=Durability.SYNCHRONOUS)
ORDER = database("order", environment("staging", network="10.1.0.0/16"), replicas=(1, 2))
FLEET = fleet(AUTH, ORDER)
PAID = "order 4711 is paid"


def up(fleet: Fleet, revision: str = "0001", allow_destroy: tuple[str, ...] = ()) -> Story:
    async def story(world: World) -> None:
        heads = {wanted.id: revision for wanted in fleet.databases}
        outcome = await converge(
            fleet,
            {"memory": MemoryEngine(world)},
            allow_destroy=allow_destroy,
            migrations=MemoryMigrations(world, heads),
            clock=FakeClock(),
            patience=Patience(),
        )
        assert outcome.errors == ()

    return story


async def empty() -> World:
    return World()


async def running() -> World:
    world = World()
    await up(FLEET)(world)
    for wanted in FLEET.databases:
        world.write(wanted.id, PAID)
    return world


async def waiting_for_restarts() -> World:
    world = await running()
    for stored in world.databases.values():
        stored.ocpus = 4
    return world


async def rebooted() -> World:
    world = await running()
    world.reboot()
    return world


async def broken() -> World:
    world = await running()
    primary = world.databases[AUTH.id].primary
    assert primary is not None
    world.break_instance(AUTH.id, primary.name)
    return world


async def stopped() -> World:
    world = await running()
    await down(world)
    return world


async def down(world: World) -> None:
    outcome = await stop({"memory": MemoryEngine(world)}, clock=FakeClock())
    assert outcome.errors == ()


async def gone(world: World) -> None:
    outcome = await destroy(FLEET, {"memory": MemoryEngine(world)}, clock=FakeClock())
    assert outcome.errors == ()


SHRUNK = fleet(replace(AUTH, replicas=replace(AUTH.replicas, min=0, max=1)))
GROWN = fleet(
    replace(AUTH, replicas=replace(AUTH.replicas, min=4), ocpus=replace(AUTH.ocpus, initial=8)),
    replace(ORDER, durability=Durability.SYNCHRONOUS),
    database("cart"),
)


@pytest.mark.parametrize(
    "make_world", [empty, running, waiting_for_restarts, rebooted, broken, stopped]
)
async def test_up_ends_the_same_wherever_it_dies(make_world: MakeWorld) -> None:
    steps = await crash_everywhere(make_world, up(FLEET))
    assert (steps == 0) == (make_world is running)


@pytest.mark.parametrize("story", [up(GROWN, "0002"), up(SHRUNK, "0001", ("staging",)), down, gone])
async def test_a_change_ends_the_same_wherever_it_dies(story: Story) -> None:
    assert await crash_everywhere(running, story) > 5


@pytest.mark.parametrize("make_world", [rebooted, broken, stopped, waiting_for_restarts])
async def test_whatever_happened_every_row_is_there_after_up(make_world: MakeWorld) -> None:
    world = await make_world()
    await up(FLEET)(world)
    assert world.rows(AUTH.id) == world.rows(ORDER.id) == [PAID]


class RemembersTooEarly(MemoryEngine):
    """Writes down that a database is ready before it is, and believes what it wrote."""

    async def ensure_database(self, database: Database) -> None:
        stored = self.world.databases.get(database.id)
        if stored is None:
            async with self.world.step("record it as ready"):
                stored = StoredDatabase(
                    database.id, database.ocpus.initial, database.durability, 17, is_ready=True
                )
                self.world.databases[database.id] = stored
            await super().ensure_database(database)


async def test_the_harness_bites_an_engine_that_remembers_too_early() -> None:
    async def story(world: World) -> None:
        engine = RemembersTooEarly(world)
        await engine.ensure_environment(AUTH.environment)
        await engine.ensure_database(AUTH)

    with pytest.raises(Careless, match="record it as ready"):
        await crash_everywhere(empty, story)


async def test_the_harness_bites_a_story_that_counts_its_steps() -> None:
    async def story(world: World) -> None:
        engine = MemoryEngine(world)
        # It takes an existing environment for a finished one.
        if AUTH.environment.name not in world.environments:
            await engine.ensure_environment(AUTH.environment)
        await engine.ensure_database(AUTH)

    with pytest.raises(Careless, match="record production"):
        await crash_everywhere(empty, story)


async def test_the_harness_bites_a_story_that_loses_rows() -> None:
    async def story(world: World) -> None:
        # Carries the rows over the re-creation in its own memory.
        rows = world.rows(AUTH.id) if is_serving(world, AUTH.id) else []
        engine = MemoryEngine(world)
        await engine.ensure_absent(AUTH.id)
        await engine.ensure_database(AUTH)
        for row in rows:
            world.write(AUTH.id, row)

    with pytest.raises(Careless, match="instead of"):
        await crash_everywhere(running, story)


async def test_the_harness_bites_a_story_without_headway() -> None:
    async def story(world: World) -> None:
        for part in ("wipe", "fill"):
            async with world.step(part):
                pass

    with pytest.raises(Careless, match="leads nowhere"):
        await crash_everywhere(empty, story)


def is_serving(world: World, id: DatabaseId) -> bool:
    stored = world.databases.get(id)
    return stored is not None and stored.primary is not None and stored.primary.serves
