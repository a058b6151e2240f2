"""`down` and `destroy` on the in-memory engine."""

import pytest

from pgherd.contract.observed import InstanceState
from pgherd.control.destroy import destroy
from pgherd.control.stop import stop
from pgherd.control.up import converge
from pgherd.errors import NeedsHuman, TryLater
from pgherd.testing.clock import FakeClock
from pgherd.testing.fleets import database, environment, fleet
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World

AUTH = database("auth", replicas=(1, 2), deletion_protection=True)
ORDER = database("order", deletion_protection=True)
TEST_AUTH = database("auth", environment("staging", network="10.1.0.0/16"))
FLEET = fleet(AUTH, ORDER, TEST_AUTH)


@pytest.fixture
async def world() -> World:
    world = World()
    await converge(FLEET, {"memory": MemoryEngine(world)}, clock=FakeClock())
    world.write(AUTH.id, "paid")
    return world


def running(world: World) -> set[str]:
    return {
        str(id)
        for id, stored in world.databases.items()
        if any(i.state is not InstanceState.STOPPED for i in stored.instances.values())
    }


async def test_down_stops_everything_and_keeps_it(world: World) -> None:
    outcome = await stop({"memory": MemoryEngine(world)}, clock=FakeClock())
    assert outcome.is_complete
    assert running(world) == set()
    assert all(e.is_stopped for e in world.environments.values())
    again = await stop({"memory": MemoryEngine(world)}, clock=FakeClock())
    assert again.done == ()
    await converge(FLEET, {"memory": MemoryEngine(world)}, clock=FakeClock())
    assert world.rows(AUTH.id) == ["paid"]


async def test_down_of_one_environment_leaves_the_other(world: World) -> None:
    engines = {"memory": MemoryEngine(world)}
    await stop(engines, targets=("production",), clock=FakeClock())
    assert running(world) == {"staging/auth"}
    assert not world.environments["staging"].is_stopped


async def test_an_environment_runs_on_for_a_database_that_does_not_stop(world: World) -> None:
    world.fail_next("ensure_stopped", NeedsHuman("auth hangs"), id=AUTH.id)
    outcome = await stop({"memory": MemoryEngine(world)}, clock=FakeClock())
    assert outcome.exit_code == 4
    assert running(world) == {"production/auth"}
    assert not world.environments["production"].is_stopped
    assert world.environments["staging"].is_stopped


async def test_a_lost_answer_does_not_keep_down_from_ending(world: World) -> None:
    world.fail_next("ensure_stopped", TryLater("no answer"), id=AUTH.id, after=True)
    world.fail_next("ensure_environment_stopped", TryLater("no answer"))
    outcome = await stop({"memory": MemoryEngine(world)}, clock=FakeClock())
    assert outcome.is_complete
    assert running(world) == set()


async def test_destroy_refuses_everything_for_one_protected_database(world: World) -> None:
    before = world.picture()
    outcome = await destroy(FLEET, {"memory": MemoryEngine(world)}, clock=FakeClock())
    assert outcome.exit_code == 2
    assert {r.flag for r in outcome.refused} == {"production"}
    assert world.picture() == before


async def test_destroy_of_what_is_not_protected(world: World) -> None:
    engines = {"memory": MemoryEngine(world)}
    outcome = await destroy(FLEET, engines, targets=("staging",), clock=FakeClock())
    assert outcome.is_complete
    assert set(world.environments) == {"production"}
    assert world.rows(AUTH.id) == ["paid"]


async def test_destroy_by_name_leaves_nothing(world: World) -> None:
    engines = {"memory": MemoryEngine(world)}
    outcome = await destroy(FLEET, engines, allow_destroy=("production",), clock=FakeClock())
    assert outcome.is_complete
    assert (world.environments, world.databases) == ({}, {})
    again = await destroy(FLEET, engines, clock=FakeClock())
    assert (again.done, again.exit_code) == ((), 0)
