"""What a run says while nothing happens: whom it waits for, why, and not too often."""

from __future__ import annotations

import asyncio

import pytest

from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.control.events import Event, Finished, Started, Waiting
from pgherd.control.up import converge
from pgherd.control.waits import FIRST_SECONDS, LONGEST_SECONDS, why
from pgherd.decide.actions import Action, CreateDatabase, EnsureEnvironment
from pgherd.errors import TryLater
from pgherd.fleet.desired import Database, Environment
from pgherd.testing.clock import FakeClock
from pgherd.testing.fleets import database, fleet
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World

AUTH, ORDER = database("auth"), database("order")
CREATE = CreateDatabase(AUTH.id, "it is not there")


class Slow(MemoryEngine):
    """Takes so long to make auth, in steps of a second. Others wait for nothing."""

    def __init__(self, world: World, clock: FakeClock, seconds: int) -> None:
        super().__init__(world)
        self.clock = clock
        self.seconds = seconds

    async def ensure_database(self, database: Database) -> None:
        await super().ensure_database(database)
        if database.id == AUTH.id:
            self.world.databases[AUTH.id].is_ready = False
            await self.pass_time()
            self.world.databases[AUTH.id].is_ready = True

    async def pass_time(self) -> None:
        for _ in range(self.seconds):
            await self.clock.sleep(1)
            for _ in range(3):
                await asyncio.sleep(0)


class SlowEnvironment(Slow):
    """Takes so long to set up what databases share."""

    async def ensure_environment(self, environment: Environment) -> None:
        await self.pass_time()
        await super().ensure_environment(environment)


async def told(engine: type[Slow], seconds: int, world: World | None = None) -> list[Event]:
    events: list[Event] = []
    clock = FakeClock()
    engines = {"memory": engine(world or World(), clock, seconds)}
    outcome = await converge(fleet(AUTH, ORDER), engines, on_event=events.append, clock=clock)
    assert outcome.is_complete
    return events


def waits(events: list[Event]) -> list[Waiting]:
    return [event for event in events if isinstance(event, Waiting)]


async def test_where_all_goes_on_nothing_is_said() -> None:
    assert waits(await told(Slow, 0)) == []
    assert waits(await told(Slow, int(FIRST_SECONDS) - 1)) == []


async def test_it_says_whom_it_waits_for_and_how_that_is() -> None:
    (said,) = waits(await told(Slow, int(FIRST_SECONDS) + 1))
    assert said.subject == "production/auth"
    assert said.why == "create goes on; it is starting"


async def test_it_is_said_again_and_less_often_later() -> None:
    events = await told(Slow, 400)
    (began,) = (e.at for e in events if isinstance(e, Started) and _makes_auth(e.action))
    times = [said.at - began for said in waits(events)]
    gaps = [after - before for before, after in zip([0.0, *times], times, strict=False)]
    assert gaps[:3] == [FIRST_SECONDS, 2 * FIRST_SECONDS, LONGEST_SECONDS]
    assert set(gaps[3:]) == {LONGEST_SECONDS}
    assert not isinstance(events[-1], Waiting)


def _makes_auth(action: Action) -> bool:
    return isinstance(action, CreateDatabase) and action.id == AUTH.id


async def test_an_environment_is_waited_for_too() -> None:
    said = waits(await told(SlowEnvironment, 20))
    assert said[0].subject == "production"
    assert said[0].why.startswith("set up what its databases share goes on")


async def test_a_look_that_fails_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    class Blind(Slow):
        async def observe(self, *, roles: bool = True) -> Observation:
            if 0 < self.clock.now() < 400:
                seen.append(self.clock.now())
                raise TryLater("no answer")
            return await super().observe(roles=roles)

    events = await told(Blind, 400)
    assert len(seen) > 3
    assert {said.why for said in waits(events)} == {"create goes on; it is not seen: no answer"}
    assert any(isinstance(event, Finished) for event in events)


def test_what_is_said_is_what_is_seen() -> None:
    def of(seen: ObservedDatabase | Unknown | None) -> str:
        return why(CREATE, Observation(databases={AUTH.id: seen} if seen else {}))

    ill = ObservedInstance("auth-2", Role.REPLICA, InstanceState.FAILED)
    degraded = ObservedDatabase(AUTH.id, DatabaseState.DEGRADED, (ill,))
    assert of(None) == "create goes on"
    assert of(Unknown("no route")) == "create goes on; it is not seen: no route"
    assert of(degraded) == "create goes on; auth-2 is failed"
    assert of(ObservedDatabase(AUTH.id, DatabaseState.STARTING, detail="no instance leads")) == (
        "create goes on; no instance leads"
    )
    assert of(ObservedDatabase(AUTH.id, DatabaseState.RUNNING)) == "create goes on; it is running"
    assert why(CREATE, Unknown("odd")) == "create goes on; it is not seen: odd"
    share = EnsureEnvironment("production", "it is not there")
    assert why(share, Observation()) == "set up what its databases share goes on"
    impaired = Observation(impaired={"production": "etcd does not answer"})
    assert why(share, impaired).endswith("; etcd does not answer")
