"""What every engine promises of a database that serves: its instances, its size, its data."""

from __future__ import annotations

import pytest
from clients import Client
from engine_contract import EngineContract, is_whole, new_row, primary, restart_all, seen

from pgherd.contract.access import AccessRole
from pgherd.contract.engine import Engine
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, Durability


class DatabasePromises(EngineContract):
    async def test_it_runs_with_its_primary_alone(self, engine: Engine, alone: Database) -> None:
        is_whole(await seen(engine, alone.id), 0)

    async def test_it_is_as_it_was_wanted(self, engine: Engine, alone: Database) -> None:
        found = await seen(engine, alone.id)
        assert found.ocpus == 2
        self.is_durable(found, Durability.ASYNCHRONOUS)
        assert found.postgresql is not None

    async def test_it_has_no_migrations_and_nothing_waits(
        self, engine: Engine, alone: Database
    ) -> None:
        found = await seen(engine, alone.id)
        assert found.schema_revision is None
        assert not found.restart_pending

    async def test_to_ensure_it_again_changes_nothing(
        self, engine: Engine, alone: Database
    ) -> None:
        before = await seen(engine, alone.id)
        await engine.ensure_database(alone)
        assert await seen(engine, alone.id) == before

    async def test_what_is_written_can_be_read(self, alone: Database, client: Client) -> None:
        row = new_row()
        await client.write(alone.id, row)
        assert row in await client.rows(alone.id)

    async def test_each_role_has_a_user_of_its_own(self, engine: Engine, alone: Database) -> None:
        ways = [await engine.access(alone.id, role) for role in AccessRole]
        assert all(w.host and w.port and w.database for w in ways)
        assert len({w.user for w in ways}) == len(AccessRole)

    async def test_an_environment_does_not_go_before_its_databases(
        self, engine: Engine, alone: Database
    ) -> None:
        with pytest.raises(InputError):
            await engine.ensure_environment_absent("contract")
        is_whole(await seen(engine, alone.id), 0)

    async def test_durability_changes(self, engine: Engine, pair: Database) -> None:
        for durability in (Durability.ASYNCHRONOUS, Durability.SYNCHRONOUS):
            await engine.ensure_durability(pair, durability)
            self.is_durable(await seen(engine, pair.id), durability)


class ReplicaPromises(EngineContract):
    async def test_replicas_are_added_each_in_a_domain_of_its_own(
        self, engine: Engine, alone: Database
    ) -> None:
        await engine.ensure_replicas(alone, 2)
        is_whole(await seen(engine, alone.id), 2)

    async def test_as_many_again_changes_nothing(self, engine: Engine, pair: Database) -> None:
        before = {i.name for i in (await seen(engine, pair.id)).instances}
        await engine.ensure_replicas(pair, 1)
        assert {i.name for i in (await seen(engine, pair.id)).instances} == before

    async def test_replicas_are_taken_away_and_the_primary_stays(
        self, engine: Engine, pair: Database
    ) -> None:
        before = primary(await seen(engine, pair.id))
        await engine.ensure_durability(pair, Durability.ASYNCHRONOUS)
        await engine.ensure_replicas(pair, 0)
        found = await seen(engine, pair.id)
        is_whole(found, 0)
        assert primary(found) == before

    async def test_data_stays_when_replicas_come_and_go(
        self, engine: Engine, alone: Database, client: Client
    ) -> None:
        first, second = new_row(), new_row()
        await client.write(alone.id, first)
        await engine.ensure_replicas(alone, 1)
        await client.write(alone.id, second)
        await engine.ensure_replicas(alone, 0)
        assert {first, second} <= set(await client.rows(alone.id))


class SizePromises(EngineContract):
    async def test_another_size_is_seen_and_every_instance_serves(
        self, engine: Engine, pair: Database
    ) -> None:
        for ocpus in (4, 2):
            await engine.ensure_ocpus(pair, ocpus)
            found = await seen(engine, pair.id)
            assert found.ocpus == ocpus
            is_whole(found, 1)

    async def test_nothing_waits_after_the_restarts(self, engine: Engine, pair: Database) -> None:
        for ocpus in (4, 2):
            await engine.ensure_ocpus(pair, ocpus)
            await restart_all(engine, await seen(engine, pair.id))
            found = await seen(engine, pair.id)
            is_whole(found, 1)
            assert not found.restart_pending

    async def test_a_restart_that_nothing_waits_for_changes_nothing(
        self, engine: Engine, alone: Database
    ) -> None:
        before = await seen(engine, alone.id)
        await engine.ensure_restarted(alone.id, primary(before))
        assert await seen(engine, alone.id) == before

    async def test_an_unknown_instance_cannot_be_restarted(
        self, engine: Engine, alone: Database
    ) -> None:
        with pytest.raises(InputError):
            await engine.ensure_restarted(alone.id, "nobody")

    async def test_data_outlives_another_size(
        self, engine: Engine, alone: Database, client: Client
    ) -> None:
        row = new_row()
        await client.write(alone.id, row)
        await engine.ensure_ocpus(alone, 4)
        await restart_all(engine, await seen(engine, alone.id))
        assert row in await client.rows(alone.id)
