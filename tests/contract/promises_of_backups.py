"""What an engine promises that has backups."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from clients import Client
from engine_contract import NOWHERE, EngineContract, is_whole, new_row, seen

from pgherd.contract.backups import Backups, BackupState, Moment
from pgherd.contract.engine import Engine
from pgherd.contract.proofs import Proofs
from pgherd.contract.verification import Verifier
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, Environment
from pgherd.testing.fleets import database


@dataclass(frozen=True, slots=True)
class Past:
    """A moment, what was written before it, and what was written after it."""

    moment: datetime
    before: str
    after: str


class WithBackups(EngineContract):
    @pytest.fixture
    def backups(self, engine: Engine) -> Backups:
        assert engine.backups is not None
        return engine.backups

    @pytest.fixture
    async def copy(self, engine: Engine, contract: Environment) -> Database:
        """A database to restore to, which is not there."""
        copy = database("copy", contract)
        await engine.ensure_absent(copy.id)
        return copy

    @pytest.fixture
    async def past(self, backups: Backups, alone: Database, client: Client) -> Past:
        """`auth` has a backup and a moment to go back to."""
        before, after = new_row(), new_row()
        await client.write(alone.id, before)
        await backups.back_up(alone.id)
        await asyncio.sleep(self.seconds)
        moment = datetime.now(UTC)
        await asyncio.sleep(self.seconds)
        await client.write(alone.id, after)
        return Past(moment, before, after)


class ArchivePromises(WithBackups):
    """Of engines that archive by command, and not by themselves."""

    async def test_what_is_given_up_is_followed_by_another_archive(
        self, backups: Backups, alone: Database, client: Client
    ) -> None:
        row = new_row()
        await client.write(alone.id, row)
        first = await backups.back_up(alone.id)
        for _ in range(2):
            await backups.give_up(alone.id)
            assert not (await backups.history(alone.id)).backups
        assert row in await client.rows(alone.id)
        second = await backups.back_up(alone.id)
        assert first not in (await backups.history(alone.id)).backups
        assert [b.name for b in (await backups.history(alone.id)).backups] == [second.name]


class BackupPromises(WithBackups):
    async def test_a_backup_is_complete_and_in_the_history(
        self, backups: Backups, alone: Database
    ) -> None:
        known = [b.name for b in (await backups.history(alone.id)).backups]
        backup = await backups.back_up(alone.id)
        assert backup.state is BackupState.AVAILABLE
        assert [b.name for b in (await backups.history(alone.id)).backups] == [backup.name, *known]

    async def test_there_is_a_time_to_restore_to(self, backups: Backups, alone: Database) -> None:
        await backups.back_up(alone.id)
        assert (await backups.history(alone.id)).windows

    async def test_a_copy_is_as_it_was_and_the_source_stays(
        self, backups: Backups, alone: Database, past: Past, copy: Database, client: Client
    ) -> None:
        await backups.restore(alone.id, copy, Moment(past.moment))
        restored = await client.rows(copy.id)
        assert past.before in restored
        assert past.after not in restored
        assert {past.before, past.after} <= set(await client.rows(alone.id))

    async def test_a_prediction_changes_nothing(
        self,
        engine: Engine,
        backups: Backups,
        alone: Database,
        past: Past,
        copy: Database,
        client: Client,
    ) -> None:
        rows = await client.rows(alone.id)
        for target in (copy, alone):
            found = await backups.predict(alone.id, target, Moment(past.moment))
            assert any(w.begin <= past.moment for w in found.windows)
            assert not found.was_there
        assert await client.rows(alone.id) == rows
        assert copy.id not in (await engine.observe()).databases
        await backups.restore(alone.id, copy, Moment(past.moment))
        assert (await backups.predict(alone.id, copy, Moment(past.moment))).was_there

    async def test_a_prediction_refuses_what_the_restore_would_in_its_words(
        self, backups: Backups, alone: Database, past: Past, copy: Database
    ) -> None:
        calls = [
            (alone.id, copy, Moment(past.moment - timedelta(days=1000))),
            (NOWHERE, copy, Moment(past.moment)),
        ]
        for source, target, goal in calls:
            with pytest.raises(InputError) as foreseen:
                await backups.predict(source, target, goal)
            with pytest.raises(InputError) as raised:
                await backups.restore(source, target, goal)
            assert str(foreseen.value) == str(raised.value)

    async def test_a_copy_serves(
        self, engine: Engine, backups: Backups, alone: Database, past: Past, copy: Database
    ) -> None:
        await backups.restore(alone.id, copy, Moment(past.moment))
        is_whole(await seen(engine, copy.id), 0)

    async def test_the_same_copy_again_is_there_already(
        self, backups: Backups, alone: Database, past: Past, copy: Database, client: Client
    ) -> None:
        await backups.restore(alone.id, copy, Moment(past.moment))
        before = await client.rows(copy.id)
        await backups.restore(alone.id, copy, Moment(past.moment))
        assert await client.rows(copy.id) == before

    async def test_in_its_own_place_what_was_written_since_is_lost(
        self, engine: Engine, backups: Backups, alone: Database, past: Past, client: Client
    ) -> None:
        await backups.restore(alone.id, alone, Moment(past.moment))
        restored = await client.rows(alone.id)
        assert past.before in restored
        assert past.after not in restored
        is_whole(await seen(engine, alone.id), 0)

    async def test_another_database_is_not_restored_over(
        self, backups: Backups, alone: Database, past: Past, copy: Database, client: Client
    ) -> None:
        await backups.restore(alone.id, copy, Moment(past.moment))
        with pytest.raises(InputError):
            await backups.restore(copy.id, alone, Moment(past.moment))
        assert past.after in await client.rows(alone.id)

    async def test_a_time_before_all_backups_is_an_input_error(
        self, backups: Backups, alone: Database, copy: Database
    ) -> None:
        await backups.back_up(alone.id)
        with pytest.raises(InputError):
            await backups.restore(alone.id, copy, Moment(datetime.now(UTC) - timedelta(days=1000)))

    async def test_a_database_that_is_not_there_has_no_history(
        self, backups: Backups, alone: Database
    ) -> None:
        with pytest.raises(InputError):
            await backups.history(NOWHERE)

    async def test_a_database_that_is_not_there_cannot_be_restored(
        self, backups: Backups, alone: Database, copy: Database
    ) -> None:
        with pytest.raises(InputError):
            await backups.restore(NOWHERE, copy, Moment(datetime.now(UTC)))


class ProofPromises(EngineContract):
    """Of an engine that proves backups."""

    @pytest.fixture
    def proofs(self, engine: Engine) -> Proofs:
        assert engine.proofs is not None
        return engine.proofs

    async def test_without_a_backup_there_is_nothing_to_prove(
        self, engine: Engine, proofs: Proofs, alone: Database
    ) -> None:
        new = database("unproven", alone.environment)
        await engine.ensure_absent(new.id)
        await engine.ensure_database(new)
        assert await proofs.known(new.id) == ()
        with pytest.raises(InputError):
            await proofs.prove(new.id)
        await engine.ensure_absent(new.id)

    async def test_a_proof_is_remembered_and_changes_nothing(
        self, engine: Engine, proofs: Proofs, alone: Database, client: Client
    ) -> None:
        row = new_row()
        await client.write(alone.id, row)
        assert engine.backups is not None
        await engine.backups.back_up(alone.id)
        before = await seen(engine, alone.id)
        proof = await proofs.prove(alone.id)
        assert proof.ok
        assert proof.checks
        assert all(check.ok for check in proof.checks)
        assert proof.rto_seconds is not None
        assert (await proofs.known(alone.id))[0] == proof
        after = await seen(engine, alone.id)
        assert [i.name for i in after.instances] == [i.name for i in before.instances]
        assert row in await client.rows(alone.id)

    async def test_what_it_costs_can_be_said_before(
        self, engine: Engine, proofs: Proofs, alone: Database
    ) -> None:
        assert engine.backups is not None
        await engine.backups.back_up(alone.id)
        hire = await proofs.hire(alone.id)
        assert hire is None or (hire.ocpus > 0 and hire.seconds > 0)

    async def test_a_database_unknown_has_no_proof(self, proofs: Proofs) -> None:
        with pytest.raises(InputError):
            await proofs.prove(NOWHERE)


class VerifierPromises(EngineContract):
    """Of an engine that looks at the files of backups."""

    @pytest.fixture
    def verifier(self, engine: Engine) -> Verifier:
        assert engine.verifier is not None
        return engine.verifier

    async def test_without_a_backup_there_is_nothing_to_look_at(
        self, engine: Engine, verifier: Verifier, alone: Database
    ) -> None:
        new = database("unverified", alone.environment)
        await engine.ensure_absent(new.id)
        await engine.ensure_database(new)
        with pytest.raises(InputError):
            await verifier.verify(new.id)
        await engine.ensure_absent(new.id)

    async def test_all_backups_are_looked_at_and_stay_as_they_are(
        self, engine: Engine, verifier: Verifier, alone: Database, client: Client
    ) -> None:
        await client.write(alone.id, new_row())
        assert engine.backups is not None
        for _ in range(2):
            await engine.backups.back_up(alone.id)
        before = await engine.backups.history(alone.id)
        found = await verifier.verify(alone.id)
        assert found.ok, found.flaws
        assert [b.name for b in found.backups] == [b.name for b in before.backups]
        (reach,) = found.reaches
        assert reach.begin <= before.backups[0].taken_at <= reach.end + timedelta(seconds=1)
        assert (await engine.backups.history(alone.id)).backups == before.backups

    async def test_a_database_unknown_has_nothing_to_look_at(self, verifier: Verifier) -> None:
        with pytest.raises(InputError):
            await verifier.verify(NOWHERE)
