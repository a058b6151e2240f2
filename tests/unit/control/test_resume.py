"""After a reboot, on the in-memory engine: what comes back, and what stays as it was."""

from __future__ import annotations

import pytest

from pgherd.control.outcome import Outcome
from pgherd.control.resume import resume
from pgherd.control.stop import stop
from pgherd.control.up import converge
from pgherd.decide.actions import CreateDatabase, StartDatabase, subject
from pgherd.errors import NeedsHuman, TryLater
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.testing.clock import FakeClock
from pgherd.testing.fleets import database, environment, fleet
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World

STAGING = environment("staging", network="10.1.0.0/16")
AUTH, ORDER, CART = (database(name, replicas=(1, 3)) for name in ("auth", "order", "cart"))
TEST = database("auth", STAGING)
FLEET = fleet(AUTH, ORDER, CART, TEST)


class Machine:
    """A machine with the fleet on it, that reboots."""

    def __init__(self) -> None:
        self.world = World()
        self.clock = FakeClock()

    @property
    def engine(self) -> MemoryEngine:
        return MemoryEngine(self.world)

    async def up(self) -> None:
        outcome = await converge(FLEET, {"memory": self.engine}, clock=self.clock)
        assert outcome.is_complete

    async def down(self, *targets: str) -> None:
        await stop({"memory": self.engine}, targets=targets, clock=self.clock)

    async def boot(self, fleet: Fleet = FLEET) -> Outcome:
        self.world.reboot()
        return await resume(fleet, {"memory": self.engine}, clock=self.clock)

    def serves(self) -> set[str]:
        databases = self.world.databases
        return {str(id) for id, d in databases.items() if d.primary and d.primary.serves}


@pytest.fixture
async def machine() -> Machine:
    machine = Machine()
    await machine.up()
    return machine


async def test_all_that_ran_runs_again(machine: Machine) -> None:
    outcome = await machine.boot()
    assert outcome.is_complete
    assert machine.serves() == {str(d.id) for d in FLEET.databases}
    assert not (await resume(FLEET, {"memory": machine.engine}, clock=machine.clock)).done


async def test_what_was_stopped_stays_stopped_and_is_no_trouble(machine: Machine) -> None:
    await machine.down("production/cart", "staging")
    outcome = await machine.boot()
    assert outcome.is_complete
    assert machine.serves() == {"production/auth", "production/order"}
    assert not [a for a in outcome.done if subject(a) in ("production/cart", "staging")]
    assert not [a for a in outcome.done if isinstance(a, StartDatabase) and a.id == CART.id]


async def test_a_fleet_that_was_stopped_stays_so(machine: Machine) -> None:
    await machine.down()
    outcome = await machine.boot()
    assert (outcome.is_complete, outcome.done) == (True, ())
    assert machine.serves() == set()


async def test_what_was_destroyed_since_is_not_made_again(machine: Machine) -> None:
    del machine.world.databases[DatabaseId("production", "order")]
    outcome = await machine.boot()
    assert outcome.is_complete
    assert not [a for a in outcome.done if isinstance(a, CreateDatabase)]
    assert machine.serves() == {"production/auth", "production/cart", "staging/auth"}


async def test_trouble_with_one_does_not_stop_the_others(machine: Machine) -> None:
    machine.world.fail_next("ensure_database", NeedsHuman("it is damaged"), id=AUTH.id, times=9)
    outcome = await machine.boot()
    assert [str(t.subject) for t in outcome.troubles] == ["production/auth"]
    assert machine.serves() == {"production/order", "production/cart", "staging/auth"}


async def test_what_is_not_seen_is_left_alone_and_said(machine: Machine) -> None:
    machine.world.hide(AUTH.id, "no answer")
    outcome = await machine.boot()
    assert "production/auth" not in machine.serves()
    assert "production/order" in machine.serves()
    assert [e.message for e in outcome.errors] == ["production/auth is not seen: no answer"]


async def test_an_engine_that_sees_nothing_is_not_waited_for(machine: Machine) -> None:
    machine.world.blind_next(TryLater("the network is not up"), times=99)
    before = machine.clock.now()
    outcome = await machine.boot()
    assert [str(e) for e in outcome.errors] == ["memory is not seen: the network is not up"]
    assert not outcome.done
    assert machine.clock.now() == before
