"""What every engine promises when the primary changes, a database stops, or a call is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

import pytest
from clients import Client
from engine_contract import EngineContract, is_whole, new_row, primary, seen

from pgherd.contract.engine import Engine
from pgherd.contract.observed import DatabaseState, InstanceState
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Environment
from pgherd.testing.fleets import database


class PrimaryPromises(EngineContract):
    async def test_without_a_replica_there_is_no_other_primary(
        self, engine: Engine, alone: Database
    ) -> None:
        with pytest.raises(InputError):
            await engine.switchover(alone.id)

    async def test_a_switchover_makes_another_primary_and_names_it(
        self, engine: Engine, pair: Database
    ) -> None:
        before = primary(await seen(engine, pair.id))
        after = await engine.switchover(pair.id)
        assert after != before
        assert primary(await seen(engine, pair.id)) == after

    async def test_a_switchover_to_the_primary_changes_nothing(
        self, engine: Engine, pair: Database
    ) -> None:
        before = primary(await seen(engine, pair.id))
        assert await engine.switchover(pair.id, before) == before
        assert primary(await seen(engine, pair.id)) == before

    async def test_a_switchover_keeps_the_data_and_takes_more(
        self, engine: Engine, pair: Database, client: Client
    ) -> None:
        before, after = new_row(), new_row()
        await client.write(pair.id, before)
        await engine.switchover(pair.id)
        await client.write(pair.id, after)
        assert {before, after} <= set(await client.rows(pair.id))

    async def test_a_failover_makes_the_named_one_the_primary(
        self, engine: Engine, pair: Database
    ) -> None:
        heir = await self.replica(engine, pair.id)
        assert await engine.failover(pair.id, heir) == heir
        assert primary(await seen(engine, pair.id)) == heir

    async def test_a_failover_keeps_the_data(
        self, engine: Engine, pair: Database, client: Client
    ) -> None:
        before, after = new_row(), new_row()
        await client.write(pair.id, before)
        await engine.failover(pair.id)
        await client.write(pair.id, after)
        assert {before, after} <= set(await client.rows(pair.id))

    async def test_after_a_failover_all_instances_are_mended(
        self, engine: Engine, pair: Database
    ) -> None:
        await engine.failover(pair.id, await self.replica(engine, pair.id))
        await engine.ensure_database(pair)
        is_whole(await seen(engine, pair.id), 1)

    async def replica(self, engine: Engine, id: DatabaseId) -> str:
        found = await seen(engine, id)
        return next(i.name for i in found.instances if i.name != primary(found))


class StopPromises(EngineContract):
    @pytest.fixture
    async def stopped(self, engine: Engine, pair: Database) -> Database:
        await engine.ensure_stopped(pair.id)
        return pair

    async def test_nothing_of_it_runs(self, engine: Engine, stopped: Database) -> None:
        found = await seen(engine, stopped.id)
        assert found.state is DatabaseState.STOPPED
        assert [i.state for i in found.instances] == [InstanceState.STOPPED] * 2

    async def test_to_stop_it_again_changes_nothing(
        self, engine: Engine, stopped: Database
    ) -> None:
        before = await seen(engine, stopped.id)
        await engine.ensure_stopped(stopped.id)
        assert await seen(engine, stopped.id) == before

    async def test_another_size_starts_nothing(self, engine: Engine, stopped: Database) -> None:
        """Where it is taken; an engine may refuse it."""
        with suppress(InputError, TryLater):
            await engine.ensure_ocpus(stopped, 4)
        assert (await seen(engine, stopped.id)).state is DatabaseState.STOPPED

    async def test_its_environment_is_there_when_it_is_stopped_too(
        self, engine: Engine, stopped: Database
    ) -> None:
        await engine.ensure_environment_stopped("contract")
        assert "contract" in (await engine.observe()).environments

    async def test_it_does_not_start_before_its_environment(
        self, engine: Engine, stopped: Database
    ) -> None:
        await engine.ensure_environment_stopped("contract")
        with pytest.raises(TryLater):
            await engine.ensure_database(stopped)

    async def test_it_starts_with_all_its_instances_and_data(
        self, engine: Engine, pair: Database, client: Client
    ) -> None:
        row = new_row()
        await client.write(pair.id, row)
        await engine.ensure_stopped(pair.id)
        await engine.ensure_environment_stopped("contract")
        await engine.ensure_environment(pair.environment)
        await engine.ensure_database(pair)
        is_whole(await seen(engine, pair.id), 1)
        assert row in await client.rows(pair.id)


class CrashPromises(EngineContract):
    @pytest.fixture
    def order(self, contract: Environment) -> Database:
        """Another database, which need not be there."""
        return database("order", contract)

    async def test_a_making_that_was_cut_off_is_finished(
        self, engine: Engine, vacant: Environment, auth: Database
    ) -> None:
        await self.cut_off(engine.ensure_database(auth))
        await engine.ensure_database(auth)
        is_whole(await seen(engine, auth.id), 0)

    async def test_databases_are_made_at_once(
        self,
        engine: Engine,
        vacant: Environment,
        auth: Database,
        order: Database,
        client: Client,
    ) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.ensure_database(auth))
            group.create_task(engine.ensure_database(order))
        await client.write(auth.id, "auth's")
        await client.write(order.id, "order's")
        assert await client.rows(auth.id) == ["auth's"]
        assert await client.rows(order.id) == ["order's"]

    async def test_a_replica_that_was_cut_off_is_finished(
        self, engine: Engine, alone: Database
    ) -> None:
        await self.cut_off(engine.ensure_replicas(alone, 1))
        await engine.ensure_database(alone)
        await engine.ensure_replicas(alone, 1)
        is_whole(await seen(engine, alone.id), 1)

    async def test_a_deletion_that_was_cut_off_is_finished(
        self, engine: Engine, alone: Database, order: Database
    ) -> None:
        await engine.ensure_database(order)
        await self.cut_off(engine.ensure_absent(order.id))
        for _ in range(2):
            await engine.ensure_absent(order.id)
        assert order.id not in (await engine.observe()).databases

    async def test_a_deletion_leaves_neighbours_alone(
        self, engine: Engine, alone: Database, order: Database, client: Client
    ) -> None:
        row = new_row()
        await client.write(alone.id, row)
        await engine.ensure_database(order)
        await engine.ensure_absent(order.id)
        is_whole(await seen(engine, alone.id), 0)
        assert row in await client.rows(alone.id)

    async def cut_off(self, call: Coroutine[object, object, None]) -> None:
        """End a call somewhere in its midst, if it lasts that long."""
        task = asyncio.create_task(call)
        for _ in range(4):
            await asyncio.sleep(0)
        await asyncio.sleep(0.2 if not task.done() and self.is_slow else 0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None
