"""What the promises of every engine are tested with: an engine, a client, and a way to a beginning.

The promises are in the files `promises_of_*.py`, a class for each subject and a test for each
promise. A test class inherits such a class together with one that has the fixtures `engine` and
`client` of an engine.

To make servers takes its time. So the promises of a class may share one place: each opens it anew,
as another process would, and brings it to its own beginning first, whatever the one before left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest
from clients import Client

from pgherd.contract.engine import Engine
from pgherd.contract.observed import DatabaseState, ObservedDatabase
from pgherd.engines.local.values import LocalValues
from pgherd.fleet.desired import Database, DatabaseId, Durability, Environment
from pgherd.testing.fleets import GIBIBYTE, database, environment

NOWHERE = DatabaseId("contract", "nowhere")


class EngineContract:
    """An engine's own class overrides `engine` and `client`, and what else differs there."""

    chooses_durability = True
    """Whether a commit waits for a replica is up to the fleet file, not to the place."""

    is_slow = True
    """Calls take long enough to be cut off after a while rather than after a few turns."""

    seconds = 1.1
    """More than what a moment of a restore is exact to."""

    @pytest.fixture
    async def engine(self) -> AsyncIterator[Engine]:
        """An engine of a fleet that nobody else uses; nothing of it is left after the class."""
        raise NotImplementedError
        yield

    @pytest.fixture
    def client(self, engine: Engine) -> Client:
        raise NotImplementedError

    @pytest.fixture
    def use(self) -> Callable[[DatabaseId], None]:
        """Lets there be something to measure, where there is not by itself."""
        return lambda id: None

    @pytest.fixture
    def contract(self, engine: Engine) -> Environment:
        """The environment that the tests use, which need not be there."""
        local = LocalValues(core_per_ocpu=0.25, memory_per_ocpu_bytes=GIBIBYTE // 16)
        return environment("contract", engine=engine.name, network="10.77.0.0/16", local=local)

    @pytest.fixture
    def auth(self, contract: Environment) -> Database:
        """A database, which need not be there."""
        return database("auth", contract, ocpus=(2, 8), replicas=(0, 3))

    @pytest.fixture
    async def empty(self, engine: Engine) -> None:
        """Nothing is there."""
        await clear(engine)

    @pytest.fixture
    async def vacant(self, engine: Engine, contract: Environment) -> Environment:
        """The environment runs and has no databases."""
        for id in (await engine.observe()).databases:
            await engine.ensure_absent(id)
        await engine.ensure_environment(contract)
        return contract

    @pytest.fixture
    async def alone(self, engine: Engine, contract: Environment, auth: Database) -> Database:
        """`auth` serves, with a primary alone and 2 OCPUs."""
        await engine.ensure_environment(contract)
        await engine.ensure_database(auth)
        await engine.ensure_durability(auth, Durability.ASYNCHRONOUS)
        await engine.ensure_replicas(auth, 0)
        await engine.ensure_ocpus(auth, 2)
        await restart_all(engine, await seen(engine, auth.id))
        return auth

    @pytest.fixture
    async def pair(self, engine: Engine, contract: Environment, auth: Database) -> Database:
        """`auth` serves, with a replica that its commits wait for."""
        await engine.ensure_environment(contract)
        await engine.ensure_database(auth)
        await engine.ensure_replicas(auth, 1)
        await engine.ensure_durability(auth, Durability.SYNCHRONOUS)
        return auth

    def is_durable(self, found: ObservedDatabase, durability: Durability) -> None:
        assert found.durability is (durability if self.chooses_durability else None)


async def clear(engine: Engine) -> None:
    """Nothing is left of all that an engine has."""
    found = await engine.observe()
    for id in found.databases:
        await engine.ensure_absent(id)
    for name in found.environments:
        await engine.ensure_environment_absent(name)


async def seen(engine: Engine, id: DatabaseId) -> ObservedDatabase:
    """What is seen of a database now."""
    found = (await engine.observe()).databases[id]
    assert isinstance(found, ObservedDatabase), found
    return found


def primary(found: ObservedDatabase) -> str:
    """The name of the primary."""
    assert found.primary is not None, found
    return found.primary.name


def is_whole(found: ObservedDatabase, replicas: int) -> None:
    """All of its instances serve, each in an availability domain of its own."""
    assert found.state is DatabaseState.RUNNING, found
    roles = sorted((i.role.value, i.state.value) for i in found.instances)
    assert roles == [("primary", "running")] + [("replica", "streaming")] * replicas, found
    assert len({i.name for i in found.instances}) == replicas + 1
    domains = {i.availability_domain for i in found.instances}
    assert len(domains) == replicas + 1, found
    assert domains <= {1, 2, 3}


async def restart_all(engine: Engine, found: ObservedDatabase) -> None:
    """Instances that wait for it take over their settings, the primary last."""
    for instance in sorted(found.instances, key=lambda i: i is found.primary):
        if instance.name in found.restart_pending:
            await engine.ensure_restarted(found.id, instance.name)


def new_row() -> str:
    """A row that no other promise writes."""
    return uuid4().hex
