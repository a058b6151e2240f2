"""What an engine promises that restores to more than times."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from clients import Client
from engine_contract import NOWHERE, is_whole, new_row, seen
from promises_of_backups import Past, WithBackups

from pgherd.contract.backups import Backups, Latest, Moment, Point, Position, Transaction
from pgherd.contract.engine import Engine
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId

Progress = Callable[[DatabaseId], Awaitable[tuple[Position, Transaction]]]
"""Where a database has come to; all that was committed before is included."""


class GoalPromises(WithBackups):
    async def test_the_latest_has_all_that_is_committed(
        self, backups: Backups, alone: Database, past: Past, copy: Database, client: Client
    ) -> None:
        done = await backups.restore(alone.id, copy, Latest())
        assert {past.before, past.after} <= set(await client.rows(copy.id))
        assert not done.was_there
        assert done.until is not None
        assert past.moment < done.until <= datetime.now(UTC)

    async def test_what_was_the_latest_stays_so_and_says_since_when(
        self, backups: Backups, alone: Database, past: Past, copy: Database, client: Client
    ) -> None:
        first = await backups.restore(alone.id, copy, Latest())
        row = new_row()
        await client.write(alone.id, row)
        again = await backups.restore(alone.id, copy, Latest())
        assert (again.until, again.was_there) == (first.until, True)
        assert row not in await client.rows(copy.id)
        with pytest.raises(InputError):
            await backups.restore(alone.id, copy, Moment(past.moment))

    async def test_the_latest_in_its_own_place(
        self, backups: Backups, alone: Database, past: Past, client: Client
    ) -> None:
        await backups.restore(alone.id, alone, Latest())
        assert {past.before, past.after} <= set(await client.rows(alone.id))

    async def test_the_latest_of_a_database_that_is_stopped(
        self,
        engine: Engine,
        backups: Backups,
        alone: Database,
        past: Past,
        copy: Database,
        client: Client,
    ) -> None:
        await engine.ensure_stopped(alone.id)
        await backups.restore(alone.id, copy, Latest())
        assert {past.before, past.after} <= set(await client.rows(copy.id))
        await engine.ensure_database(alone)

    async def test_a_point_is_what_was_there_when_it_was_made(
        self, backups: Backups, alone: Database, past: Past, copy: Database, client: Client
    ) -> None:
        name, later = new_row(), new_row()
        made = await backups.make_point(alone.id, name)
        assert made.name == name
        assert (await backups.history(alone.id)).points[0] == made
        await client.write(alone.id, later)
        # A backup that ends after it is not the one that it is restored from.
        await backups.back_up(alone.id)
        for _ in range(2):
            await backups.restore(alone.id, copy, Point(name))
        restored = set(await client.rows(copy.id))
        assert {past.before, past.after} <= restored
        assert later not in restored

    async def test_a_name_is_taken_once(
        self, backups: Backups, alone: Database, past: Past
    ) -> None:
        name = new_row()
        await backups.make_point(alone.id, name)
        with pytest.raises(InputError, match=f"has a point {name} already"):
            await backups.make_point(alone.id, name)

    async def test_a_name_that_is_none(self, backups: Backups, alone: Database, past: Past) -> None:
        for name in ("", "A", "a b", "../a", "-a", "a.b", "a" * 41, "a\n"):
            with pytest.raises(InputError, match="is not a name for a point"):
                await backups.make_point(alone.id, name)

    async def test_an_unknown_point_is_answered_with_those_that_are_known(
        self, backups: Backups, alone: Database, past: Past, copy: Database
    ) -> None:
        name = new_row()
        await backups.make_point(alone.id, name)
        with pytest.raises(InputError, match="has no point nobody-made-it") as raised:
            await backups.restore(alone.id, copy, Point("nobody-made-it"))
        assert name in raised.value.hint

    async def test_a_position_and_a_transaction(
        self,
        engine: Engine,
        backups: Backups,
        alone: Database,
        past: Past,
        copy: Database,
        client: Client,
        progress: Progress,
    ) -> None:
        position, transaction = await progress(alone.id)
        later = new_row()
        await client.write(alone.id, later)
        await backups.back_up(alone.id)
        for goal in (position, transaction):
            await backups.restore(alone.id, copy, goal)
            restored = set(await client.rows(copy.id))
            assert {past.before, past.after} <= restored
            assert later not in restored
            await engine.ensure_absent(copy.id)

    async def test_what_has_not_happened_yet(
        self, backups: Backups, alone: Database, past: Past, copy: Database, progress: Progress
    ) -> None:
        position, transaction = await progress(alone.id)
        for goal in (Position(position.lsn + 2**40), Transaction(transaction.id + 10**6)):
            with pytest.raises(InputError) as raised:
                await backups.restore(alone.id, copy, goal)
            assert "--to latest" in raised.value.hint

    async def test_what_was_before_all_backups(
        self, backups: Backups, alone: Database, past: Past, copy: Database
    ) -> None:
        with pytest.raises(InputError):
            await backups.restore(alone.id, copy, Position(0))


class UndoPromises(WithBackups):
    async def test_what_it_had_before_comes_back_with_its_times(
        self, engine: Engine, backups: Backups, alone: Database, past: Past, client: Client
    ) -> None:
        with suppress(InputError):  # of another promise
            await backups.discard(alone.id)
        assert await has_nothing_kept(backups, alone.id)
        before = await backups.history(alone.id)
        await backups.restore(alone.id, alone, Moment(past.moment))
        kept = (await backups.history(alone.id)).kept
        assert kept is not None
        assert kept.since < kept.until
        assert not kept.is_undone
        later = new_row()
        await client.write(alone.id, later)
        for _ in range(2):
            await backups.undo(alone.id)
            rows = set(await client.rows(alone.id))
            assert {past.before, past.after} <= rows
            assert later not in rows
        is_whole(await seen(engine, alone.id), 0)
        now = await backups.history(alone.id)
        assert set(before.backups) <= set(now.backups)
        assert now.kept is not None
        assert now.kept.is_undone
        # It goes on from there.
        await client.write(alone.id, later)
        await backups.back_up(alone.id)
        await backups.restore(alone.id, alone, Latest())
        assert later in await client.rows(alone.id)
        await backups.discard(alone.id)

    async def test_a_restore_after_one_that_was_undone_is_a_new_one(
        self, backups: Backups, alone: Database, past: Past, client: Client
    ) -> None:
        for _ in range(2):
            await backups.restore(alone.id, alone, Moment(past.moment))
            rows = await client.rows(alone.id)
            assert past.before in rows
            assert past.after not in rows
            await backups.undo(alone.id)
            assert past.after in await client.rows(alone.id)
        await backups.discard(alone.id)

    async def test_what_is_discarded_is_gone(
        self, backups: Backups, alone: Database, past: Past, client: Client
    ) -> None:
        await backups.restore(alone.id, alone, Moment(past.moment))
        await backups.discard(alone.id)
        assert await has_nothing_kept(backups, alone.id)
        for call in (backups.undo, backups.discard):
            with pytest.raises(InputError, match="nothing is kept"):
                await call(alone.id)
        assert past.after not in await client.rows(alone.id)

    async def test_nothing_is_kept_of_a_database_that_is_not_there(self, backups: Backups) -> None:
        for call in (backups.undo, backups.discard):
            with pytest.raises(InputError):
                await call(NOWHERE)


async def has_nothing_kept(backups: Backups, id: DatabaseId) -> bool:
    return (await backups.history(id)).kept is None
