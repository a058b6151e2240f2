"""What every engine promises, as tests that each engine inherits.

Give a class two fixtures, `engine` and `client`, and the databases are made, used and
removed through the contract alone. Starting servers takes its time, so few databases go
through many stations: each test is one life.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from clients import Client

from pgherd.contract.access import AccessRole
from pgherd.contract.backups import BackupState
from pgherd.contract.engine import Engine
from pgherd.contract.observed import DatabaseState, InstanceState, ObservedDatabase, Role
from pgherd.engines.local.section import LocalValues
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import (
    Backup,
    Database,
    DatabaseId,
    Durability,
    Environment,
)
from pgherd.testing.fleets import GIBIBYTE, database, environment

NOWHERE = DatabaseId("contract", "nowhere")


class EngineContract:
    """Inherit from it, and override `engine` and `client`."""

    @pytest.fixture
    async def engine(self) -> AsyncIterator[Engine]:
        """An engine without any environment; nothing of it is left afterwards."""
        raise NotImplementedError
        yield

    @pytest.fixture
    def client(self, engine: Engine) -> Client:
        raise NotImplementedError

    @pytest.fixture
    def contract(self, engine: Engine) -> Environment:
        """The environment that the tests use."""
        local = LocalValues(core_per_ocpu=0.25, memory_per_ocpu_bytes=GIBIBYTE // 16)
        return environment("contract", engine=engine.name, network="10.77.0.0/16", local=local)

    @pytest.fixture
    def auth(self, contract: Environment) -> Database:
        return database("auth", contract, ocpus=(2, 8), replicas=(0, 3))

    async def test_nothing_is_there_at_first(self, engine: Engine, auth: Database) -> None:
        for capability in await engine.capabilities():
            assert capability.name
            assert capability.detail
            assert capability.available or capability.remedy
        seen = await engine.observe()
        assert (seen.environments, dict(seen.databases)) == (frozenset(), {})
        assert not await engine.certificates()
        await engine.ensure_absent(auth.id)
        await engine.ensure_environment_absent("contract")
        with pytest.raises(TryLater):
            await engine.ensure_database(auth)

    async def test_what_cannot_be_made_is_said_before(self, engine: Engine, auth: Database) -> None:
        future = replace(auth, postgresql=99)
        (offer,) = await engine.offers([future])
        assert offer.database.postgresql == 99
        (objection,) = offer.objections
        assert "99" in objection.message
        assert objection.hint
        assert not any(offer.objections for offer in await engine.offers([auth]))
        assert not (await engine.observe()).databases

    async def test_what_is_not_there_is_an_input_error(
        self, engine: Engine, contract: Environment, auth: Database
    ) -> None:
        await engine.ensure_environment(contract)
        await engine.ensure_environment(contract)
        seen = await engine.observe()
        assert seen.environments == {"contract"}
        assert (dict(seen.impaired), seen.databases) == ({}, {})
        for call in (
            engine.ensure_replicas(auth, 1),
            engine.ensure_ocpus(auth, 4),
            engine.ensure_durability(auth, Durability.SYNCHRONOUS),
            engine.ensure_settings(auth),
            engine.ensure_restarted(auth.id, "auth-1"),
            engine.ensure_stopped(auth.id),
            engine.switchover(auth.id),
            engine.failover(auth.id),
            engine.access(NOWHERE, AccessRole.SERVICE),
            engine.ensure_environment_stopped("nowhere"),
            engine.ensure_certificates("nowhere"),
        ):
            with pytest.raises(InputError):
                await call
        with pytest.raises(InputError):
            [line async for line in engine.logs(NOWHERE)]
        await engine.ensure_environment_stopped("contract")
        assert (await engine.observe()).environments == {"contract"}
        await engine.ensure_environment_absent("contract")
        assert (await engine.observe()).environments == frozenset()

    async def test_a_database_grows_and_shrinks_with_its_data(
        self, engine: Engine, client: Client, contract: Environment, auth: Database
    ) -> None:
        await engine.ensure_environment(contract)
        await engine.ensure_database(auth)
        first = await self.seen(engine, auth.id)
        assert first.state is DatabaseState.RUNNING
        assert [i.role for i in first.instances] == [Role.PRIMARY]
        assert first.ocpus == 2
        self.is_durable(first, Durability.ASYNCHRONOUS)
        assert first.postgresql is not None
        assert first.schema_revision is None
        assert not first.restart_pending
        await client.write(auth.id, "one")

        await engine.ensure_database(auth)
        assert await self.seen(engine, auth.id) == first
        await self.every_role_gets_in(engine, auth.id)

        for count in (2, 2, 1):
            await engine.ensure_replicas(auth, count)
            self.is_whole(await self.seen(engine, auth.id), count)
        await client.write(auth.id, "two")

        await engine.ensure_durability(auth, Durability.SYNCHRONOUS)
        self.is_durable(await self.seen(engine, auth.id), Durability.SYNCHRONOUS)
        await engine.ensure_ocpus(auth, 4)
        grown = await self.seen(engine, auth.id)
        assert grown.ocpus == 4
        self.is_whole(grown, 1)
        await self.everything_is_restarted(engine, grown)
        await client.write(auth.id, "three")

        assert grown.settings == engine.settings(auth)
        auth = replace(auth, backup=Backup(retention_days=9))
        await engine.ensure_settings(auth)
        assert (await self.seen(engine, auth.id)).settings == engine.settings(auth)

        await engine.ensure_durability(auth, Durability.ASYNCHRONOUS)
        await engine.ensure_replicas(auth, 0)
        self.is_whole(await self.seen(engine, auth.id), 0)
        assert sorted(await client.rows(auth.id)) == ["one", "three", "two"]
        assert [line async for line in engine.logs(auth.id, lines=1)]

    async def test_another_primary_and_a_stop_keep_the_data(
        self, engine: Engine, client: Client, contract: Environment, auth: Database
    ) -> None:
        auth = replace(auth, durability=Durability.SYNCHRONOUS)
        await engine.ensure_environment(contract)
        await engine.ensure_database(auth)
        with pytest.raises(InputError):
            await engine.switchover(auth.id)
        await engine.ensure_replicas(auth, 1)
        await client.write(auth.id, "one")
        first = self.primary(await self.seen(engine, auth.id))

        second = await engine.switchover(auth.id)
        assert second != first
        assert self.primary(await self.seen(engine, auth.id)) == second
        assert await engine.switchover(auth.id, second) == second
        await client.write(auth.id, "two")
        assert await engine.failover(auth.id, first) == first
        await engine.ensure_database(auth)
        self.is_whole(await self.seen(engine, auth.id), 1)
        await client.write(auth.id, "three")

        for _ in range(2):
            await engine.ensure_stopped(auth.id)
        stopped = await self.seen(engine, auth.id)
        assert stopped.state is DatabaseState.STOPPED
        assert [i.state for i in stopped.instances] == [InstanceState.STOPPED] * 2
        await engine.ensure_environment_stopped("contract")
        assert "contract" in (await engine.observe()).environments
        with pytest.raises(TryLater):
            await engine.ensure_database(auth)
        await engine.ensure_environment(contract)
        await engine.ensure_database(auth)
        self.is_whole(await self.seen(engine, auth.id), 1)
        assert sorted(await client.rows(auth.id)) == ["one", "three", "two"]

    async def test_what_was_cut_off_is_finished_and_neighbours_stay(
        self, engine: Engine, client: Client, contract: Environment, auth: Database
    ) -> None:
        order = database("order", contract)
        await engine.ensure_environment(contract)
        await self.cut_off(asyncio.create_task(engine.ensure_database(auth)))
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.ensure_database(auth))
            group.create_task(engine.ensure_database(order))
        await client.write(auth.id, "auth's")
        await client.write(order.id, "order's")
        await self.cut_off(asyncio.create_task(engine.ensure_replicas(auth, 1)))
        await engine.ensure_database(auth)
        await engine.ensure_replicas(auth, 1)
        self.is_whole(await self.seen(engine, auth.id), 1)

        with pytest.raises(InputError):
            await engine.ensure_environment_absent("contract")
        await self.cut_off(asyncio.create_task(engine.ensure_absent(order.id)))
        for _ in range(2):
            await engine.ensure_absent(order.id)
        assert set((await engine.observe()).databases) == {auth.id}
        assert await client.rows(auth.id) == ["auth's"]

        in_use = await engine.certificates()
        assert {c.environment for c in in_use} == {"contract"}
        assert await engine.ensure_certificates("contract") == 0
        assert await engine.ensure_certificates("contract", renew=True) > 0
        assert await client.rows(auth.id) == ["auth's"]

    async def test_backups_bring_a_moment_back(
        self, engine: Engine, client: Client, contract: Environment, auth: Database
    ) -> None:
        if not self.takes_backups:
            with pytest.raises(InputError, match="no backups"):
                await engine.backups(auth.id)
            with pytest.raises(InputError, match="no backups"):
                await engine.back_up(auth.id)
            with pytest.raises(InputError, match="no backups"):
                await engine.restore(auth.id, auth, datetime.now(UTC))
            return
        await engine.ensure_environment(contract)
        await engine.ensure_database(auth)
        await client.write(auth.id, "one")
        backup = await engine.back_up(auth.id)
        history = await engine.backups(auth.id)
        assert [b.name for b in history.backups] == [backup.name]
        assert backup.state is BackupState.AVAILABLE
        assert history.windows
        await asyncio.sleep(self.seconds)
        moment = datetime.now(UTC)
        await asyncio.sleep(self.seconds)
        await client.write(auth.id, "two")

        copy = database("copy", contract)
        with pytest.raises(InputError):
            await engine.restore(NOWHERE, copy, moment)
        with pytest.raises(InputError):
            await engine.restore(auth.id, copy, moment - timedelta(days=1000))
        for _ in range(2):
            await engine.restore(auth.id, copy, moment)
        assert await client.rows(copy.id) == ["one"]
        assert sorted(await client.rows(auth.id)) == ["one", "two"]
        with pytest.raises(InputError):
            await engine.restore(copy.id, auth, moment)
        await engine.restore(auth.id, auth, moment)
        assert await client.rows(auth.id) == ["one"]
        self.is_whole(await self.seen(engine, auth.id), 0)

    async def test_use_is_of_databases_that_are_there(
        self, engine: Engine, contract: Environment, auth: Database
    ) -> None:
        assert await engine.usage(timedelta(minutes=5)) == {}
        await engine.ensure_environment(contract)
        await engine.ensure_database(auth)
        self.make_use_of(engine, auth.id)
        begin = datetime.now(UTC) - timedelta(minutes=6)
        usage = await engine.usage(timedelta(minutes=5))
        assert set(usage) == ({auth.id} if self.measures else set())
        for sample in usage.get(auth.id, ()):
            assert begin <= sample.at <= datetime.now(UTC)
            assert sample.cpu_percent is None or 0 <= sample.cpu_percent <= 100
            assert sample.memory_percent is None or 0 <= sample.memory_percent <= 100
            assert sample.storage_bytes is None or sample.storage_bytes > 0

    def make_use_of(self, engine: Engine, id: DatabaseId) -> None:
        """Let there be something to measure, where there is not by itself."""

    async def seen(self, engine: Engine, id: DatabaseId) -> ObservedDatabase:
        found = (await engine.observe()).databases[id]
        assert isinstance(found, ObservedDatabase), found
        return found

    def primary(self, seen: ObservedDatabase) -> str:
        assert seen.primary is not None, seen
        return seen.primary.name

    def is_durable(self, seen: ObservedDatabase, durability: Durability) -> None:
        assert seen.durability is (durability if self.chooses_durability else None)

    def is_whole(self, seen: ObservedDatabase, replicas: int) -> None:
        assert seen.state is DatabaseState.RUNNING, seen
        roles = sorted((i.role.value, i.state.value) for i in seen.instances)
        assert roles == [("primary", "running")] + [("replica", "streaming")] * replicas, seen
        assert len({i.name for i in seen.instances}) == replicas + 1
        domains = {i.availability_domain for i in seen.instances}
        assert len(domains) == replicas + 1, seen
        assert domains <= {1, 2, 3}

    async def every_role_gets_in(self, engine: Engine, id: DatabaseId) -> None:
        ways = [await engine.access(id, role) for role in AccessRole]
        assert all(w.host and w.port and w.database for w in ways)
        assert len({w.user for w in ways}) == len(AccessRole)

    async def everything_is_restarted(self, engine: Engine, seen: ObservedDatabase) -> None:
        """Instances that wait for it, and no other: that is a repetition."""
        primary = self.primary(seen)
        for instance in sorted(seen.instances, key=lambda i: i.name == primary):
            await engine.ensure_restarted(seen.id, instance.name)
            await engine.ensure_restarted(seen.id, instance.name)
        after = await self.seen(engine, seen.id)
        self.is_whole(after, len(seen.instances) - 1)
        assert not after.restart_pending
        with pytest.raises(InputError):
            await engine.ensure_restarted(seen.id, "nobody")

    async def cut_off(self, call: asyncio.Task[None]) -> None:
        """End a call somewhere in its midst, if it lasts that long."""
        for _ in range(4):
            await asyncio.sleep(0)
        await asyncio.sleep(0.2 if not call.done() and self.is_slow else 0)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled() or call.exception() is None

    seconds = 1.1
    """More than what a moment of a restore is exact to."""

    takes_backups = True
    measures = True
    chooses_durability = True
    """Whether a commit waits for a replica is up to the fleet file, not to the place."""

    is_slow = True
    """Calls take long enough to be cut off after a while rather than after a few turns."""
