"""The in-memory engine keeps all promises, and its faults are what they say."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from clients import MemoryClient
from engine_contract import EngineContract
from promises_of_abilities import (
    CertificatePromises,
    LogPromises,
    MeterPromises,
    ReachPromises,
    SettingPromises,
)
from promises_of_backups import ArchivePromises, BackupPromises, ProofPromises, VerifierPromises
from promises_of_changes import CrashPromises, PrimaryPromises, StopPromises
from promises_of_clones import ClonePromises
from promises_of_databases import DatabasePromises, ReplicaPromises, SizePromises
from promises_of_goals import GoalPromises, Progress, UndoPromises
from promises_of_places import EmptyPlacePromises, EnvironmentPromises

from pgherd.contract.backups import Position, Transaction
from pgherd.contract.engine import Engine
from pgherd.contract.meter import DatabaseCounters, Usage
from pgherd.contract.observed import DatabaseState, InstanceState, ObservedDatabase, Unknown
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import DatabaseId, Durability
from pgherd.testing.fleets import PRODUCTION, database
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World

AUTH = database("auth", replicas=(2, 2), durability=Durability.SYNCHRONOUS)
BUSY = TryLater("busy")


@pytest.fixture(scope="class")
def world() -> World:
    return World()


class InMemory(EngineContract):
    is_slow = False
    seconds = 0.001

    @pytest.fixture
    async def engine(self, world: World) -> AsyncIterator[Engine]:
        yield MemoryEngine(world)

    @pytest.fixture
    def client(self, world: World) -> MemoryClient:
        return MemoryClient(world)

    @pytest.fixture
    def use(self, world: World) -> Callable[[DatabaseId], None]:
        def use(id: DatabaseId) -> None:
            ages = (timedelta(hours=1), timedelta(minutes=1))
            samples = [Usage(datetime.now(UTC) - age, 91.0, 40.0, 2**30) for age in ages]
            world.usage[id] = samples
            world.counters[id] = DatabaseCounters(storage_bytes=2**30)

        return use


class TestEmptyPlace(InMemory, EmptyPlacePromises):
    pass


class TestEnvironments(InMemory, EnvironmentPromises):
    pass


class TestDatabases(InMemory, DatabasePromises):
    pass


class TestReplicas(InMemory, ReplicaPromises):
    pass


class TestSizes(InMemory, SizePromises):
    pass


class TestPrimaries(InMemory, PrimaryPromises):
    pass


class TestStops(InMemory, StopPromises):
    pass


class TestCrashes(InMemory, CrashPromises):
    pass


class TestCertificates(InMemory, CertificatePromises):
    pass


class TestLogs(InMemory, LogPromises):
    pass


class TestMeter(InMemory, MeterPromises):
    pass


class TestReach(InMemory, ReachPromises):
    pass


class TestSettings(InMemory, SettingPromises):
    pass


class TestBackups(InMemory, BackupPromises):
    pass


class TestClones(InMemory, ClonePromises):
    pass


class TestUndoing(InMemory, UndoPromises):
    pass


class TestGoals(InMemory, GoalPromises):
    @pytest.fixture
    def progress(self, world: World) -> Progress:
        async def progress(id: DatabaseId) -> tuple[Position, Transaction]:
            number = len(world.databases[id].written)
            return Position(number), Transaction(number)

        return progress


class TestProofs(InMemory, ProofPromises):
    pass


class TestVerifier(InMemory, VerifierPromises):
    pass


class TestFaults:
    """What only this engine can be asked to do."""

    @pytest.fixture
    def world(self) -> World:
        return World()

    @pytest.fixture
    async def engine(self, world: World) -> MemoryEngine:
        engine = MemoryEngine(world)
        await engine.ensure_environment(PRODUCTION)
        await engine.ensure_database(AUTH)
        await engine.ensure_replicas(AUTH, 2)
        return engine

    async def state(self, engine: MemoryEngine) -> DatabaseState:
        seen = (await engine.observe()).databases[AUTH.id]
        assert isinstance(seen, ObservedDatabase)
        return seen.state

    async def test_a_call_fails_before_it_did_anything(
        self, world: World, engine: MemoryEngine
    ) -> None:
        world.fail_next("ensure_ocpus", BUSY)
        with pytest.raises(TryLater):
            await engine.ensure_ocpus(AUTH, 8)
        assert world.databases[AUTH.id].ocpus == 2
        await engine.ensure_ocpus(AUTH, 8)

    async def test_an_answer_is_lost_after_the_effect(
        self, world: World, engine: MemoryEngine
    ) -> None:
        world.fail_next("ensure_ocpus", BUSY, after=True)
        with pytest.raises(TryLater):
            await engine.ensure_ocpus(AUTH, 8)
        assert world.databases[AUTH.id].ocpus == 8

    async def test_a_failure_is_for_the_database_that_it_names(
        self, world: World, engine: MemoryEngine
    ) -> None:
        world.fail_next("ensure_ocpus", BUSY, id=database("order").id)
        await engine.ensure_ocpus(AUTH, 8)

    async def test_a_hidden_database_is_unknown_and_cannot_be_changed(
        self, world: World, engine: MemoryEngine
    ) -> None:
        world.hide(AUTH.id, "no route")
        assert (await engine.observe()).databases[AUTH.id] == Unknown("no route")
        with pytest.raises(TryLater, match="no route"):
            await engine.ensure_ocpus(AUTH, 8)
        world.show(AUTH.id)
        assert await self.state(engine) is DatabaseState.RUNNING

    async def test_the_primary_dies_and_a_replica_takes_over(
        self, world: World, engine: MemoryEngine
    ) -> None:
        world.write(AUTH.id, "paid")
        world.break_instance(AUTH.id, "auth-1")
        assert await self.state(engine) is DatabaseState.DEGRADED
        assert world.rows(AUTH.id) == ["paid"]
        await engine.ensure_database(AUTH)
        assert await self.state(engine) is DatabaseState.RUNNING
        assert world.databases[AUTH.id].instances["auth-1"].rows == ["paid"]

    async def test_a_replica_that_lags_is_not_promoted_first(
        self, world: World, engine: MemoryEngine
    ) -> None:
        world.databases[AUTH.id].instances["auth-3"].lag_bytes = 1
        world.write(AUTH.id, "paid")
        world.break_instance(AUTH.id, "auth-1")
        primary = world.databases[AUTH.id].primary
        assert primary is not None
        assert primary.name == "auth-2"

    async def test_the_worst_replica_goes_first(self, world: World, engine: MemoryEngine) -> None:
        world.break_instance(AUTH.id, "auth-2")
        await engine.ensure_replicas(AUTH, 1)
        assert set(world.databases[AUTH.id].instances) == {"auth-1", "auth-3"}

    async def test_with_every_instance_broken_but_the_primary_s_data_it_starts_again(
        self, world: World, engine: MemoryEngine
    ) -> None:
        world.write(AUTH.id, "paid")
        for name in ("auth-3", "auth-2", "auth-1"):
            world.break_instance(AUTH.id, name)
        assert await self.state(engine) is DatabaseState.UNAVAILABLE
        for call in (world.rows, lambda id: world.write(id, "lost")):
            with pytest.raises(ConnectionError):
                call(AUTH.id)
        with pytest.raises(TryLater, match="no primary"):
            await engine.ensure_replicas(AUTH, 3)
        with pytest.raises(TryLater, match="no streaming replica"):
            await engine.failover(AUTH.id)
        await engine.ensure_database(AUTH)
        assert world.rows(AUTH.id) == ["paid"]

    async def test_without_any_data_left_a_human_is_needed(
        self, world: World, engine: MemoryEngine
    ) -> None:
        stored = world.databases[AUTH.id]
        del stored.instances["auth-1"]
        for instance in stored.instances.values():
            instance.state = InstanceState.FAILED
        with pytest.raises(NeedsHuman, match="no instance with its data"):
            await engine.ensure_database(AUTH)

    async def test_a_failover_needs_no_primary(self, world: World, engine: MemoryEngine) -> None:
        del world.databases[AUTH.id].instances["auth-1"]
        assert await engine.failover(AUTH.id) == "auth-3"
        assert await engine.failover(AUTH.id, "auth-3") == "auth-3"
        with pytest.raises(InputError, match="'nobody' is not an instance"):
            await engine.failover(AUTH.id, "nobody")

    async def test_an_environment_does_not_stop_under_its_databases(
        self, world: World, engine: MemoryEngine
    ) -> None:
        with pytest.raises(TryLater, match="still runs"):
            await engine.ensure_environment_stopped("production")

    async def test_a_blind_engine_sees_nothing(self, world: World, engine: MemoryEngine) -> None:
        world.blind_next(BUSY)
        with pytest.raises(TryLater):
            await engine.observe()
        assert (await engine.observe()).environments == {"production"}


class TestArchives(InMemory, ArchivePromises):
    pass
