"""What an engine promises that restores a database to another environment."""

from __future__ import annotations

from contextlib import suppress

import pytest
from clients import Client
from engine_contract import is_whole, new_row, seen
from promises_of_backups import Past, WithBackups

from pgherd.contract.backups import Backups, Latest, Moment
from pgherd.contract.engine import Engine
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, Environment
from pgherd.testing.fleets import database, environment

MASKING = "UPDATE note SET line = 'masked ' || md5(line);"


class ClonePromises(WithBackups):
    @pytest.fixture
    async def elsewhere(self, engine: Engine, contract: Environment) -> Environment:
        other = environment(
            "elsewhere", engine=engine.name, network="10.78.0.0/16", **contract.values
        )
        await engine.ensure_environment(other)
        return other

    @pytest.fixture
    async def twin(self, engine: Engine, elsewhere: Environment) -> Database:
        """The same service there, which is not there yet."""
        twin = database("auth", elsewhere)
        await engine.ensure_absent(twin.id)
        return twin

    async def test_a_copy_is_masked_and_the_source_stays(
        self,
        engine: Engine,
        backups: Backups,
        alone: Database,
        past: Past,
        twin: Database,
        client: Client,
    ) -> None:
        assert not (await backups.predict(alone.id, twin, Latest(), masking=MASKING)).overwrites
        await backups.restore(alone.id, twin, Latest(), masking=MASKING)
        rows = await client.rows(alone.id)
        copied = await client.rows(twin.id)
        assert {past.before, past.after} <= set(rows)
        assert len(copied) == len(rows)
        assert all(row.startswith("masked") for row in copied)
        is_whole(await seen(engine, twin.id), 0)

    async def test_unmasked_it_is_as_the_source_was(
        self, backups: Backups, alone: Database, past: Past, twin: Database, client: Client
    ) -> None:
        for _ in range(2):
            await backups.restore(alone.id, twin, Moment(past.moment))
            rows = await client.rows(twin.id)
            assert past.before in rows
            assert past.after not in rows

    async def test_the_same_copy_is_there_and_one_that_is_masked_otherwise_is_another(
        self, backups: Backups, alone: Database, past: Past, twin: Database, client: Client
    ) -> None:
        first = await backups.restore(alone.id, twin, Latest(), masking=MASKING)
        row = new_row()
        await client.write(twin.id, row)
        assert (await backups.predict(alone.id, twin, Latest(), masking=MASKING)).was_there
        again = await backups.restore(alone.id, twin, Latest(), masking=MASKING)
        assert (again.until, again.was_there) == (first.until, True)
        assert row in await client.rows(twin.id)
        for masking in ("", f"{MASKING} "):
            found = await backups.predict(alone.id, twin, Latest(), masking=masking)
            assert (found.was_there, found.overwrites) == (False, True)
            with pytest.raises(InputError, match="is there already"):
                await backups.restore(alone.id, twin, Latest(), masking=masking)

    async def test_it_takes_the_place_of_another_where_that_is_wanted_and_is_undone(
        self,
        engine: Engine,
        backups: Backups,
        alone: Database,
        past: Past,
        twin: Database,
        client: Client,
    ) -> None:
        await engine.ensure_database(twin)
        row = new_row()
        await client.write(twin.id, row)
        with pytest.raises(InputError, match="is there already"):
            await backups.restore(alone.id, twin, Moment(past.moment))
        assert await client.rows(twin.id) == [row]
        await backups.restore(alone.id, twin, Moment(past.moment), overwrites=True)
        rows = await client.rows(twin.id)
        assert past.before in rows
        assert not {past.after, row} & set(rows)
        assert past.after in await client.rows(alone.id)
        await backups.undo(twin.id)
        assert await client.rows(twin.id) == [row]
        with suppress(InputError):
            await backups.discard(twin.id)
