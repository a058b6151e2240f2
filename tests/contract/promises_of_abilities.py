"""What an engine promises that has certificates, logs, a meter, a reach or settings.

An engine inherits those of the abilities that it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from clients import Client
from engine_contract import NOWHERE, EngineContract, new_row, seen

from pgherd.contract.access import AccessRole, Reach
from pgherd.contract.certificates import Certificates
from pgherd.contract.engine import Engine
from pgherd.contract.logs import Logs
from pgherd.contract.meter import Meter
from pgherd.contract.settings import Settings
from pgherd.errors import InputError
from pgherd.fleet.desired import Backup, Database, DatabaseId


class CertificatePromises(EngineContract):
    @pytest.fixture
    def certificates(self, engine: Engine) -> Certificates:
        assert engine.certificates is not None
        return engine.certificates

    async def test_all_are_of_environments_that_are_there(
        self, certificates: Certificates, alone: Database
    ) -> None:
        assert {c.environment for c in await certificates.in_use()} == {"contract"}

    async def test_none_is_made_anew_while_all_are_valid(
        self, certificates: Certificates, alone: Database
    ) -> None:
        await certificates.ensure_valid("contract")
        assert await certificates.ensure_valid("contract") == 0

    async def test_clients_get_in_with_new_ones(
        self, certificates: Certificates, alone: Database, client: Client
    ) -> None:
        row = new_row()
        await client.write(alone.id, row)
        assert await certificates.ensure_valid("contract", renew=True) > 0
        assert row in await client.rows(alone.id)

    async def test_an_environment_that_is_not_there_is_an_input_error(
        self, certificates: Certificates, alone: Database
    ) -> None:
        with pytest.raises(InputError):
            await certificates.ensure_valid("nowhere")


class LogPromises(EngineContract):
    @pytest.fixture
    def logs(self, engine: Engine) -> Logs:
        assert engine.logs is not None
        return engine.logs

    async def test_they_have_lines(self, logs: Logs, alone: Database) -> None:
        assert [line async for line in logs.read(alone.id, lines=1)]

    async def test_a_database_that_is_not_there_is_an_input_error(
        self, logs: Logs, alone: Database
    ) -> None:
        with pytest.raises(InputError):
            [line async for line in logs.read(NOWHERE)]


class MeterPromises(EngineContract):
    @pytest.fixture
    def meter(self, engine: Engine) -> Meter:
        assert engine.meter is not None
        return engine.meter

    async def test_databases_that_are_there_are_measured(
        self, meter: Meter, alone: Database, use: Callable[[DatabaseId], None]
    ) -> None:
        use(alone.id)
        assert set(await meter.usage(timedelta(minutes=5))) == {alone.id}

    async def test_samples_are_of_the_time_that_was_asked_for(
        self, meter: Meter, alone: Database, use: Callable[[DatabaseId], None]
    ) -> None:
        use(alone.id)
        begin = datetime.now(UTC) - timedelta(minutes=6)
        samples = (await meter.usage(timedelta(minutes=5)))[alone.id]
        assert all(begin <= sample.at <= datetime.now(UTC) for sample in samples)

    async def test_values_are_possible(
        self, meter: Meter, alone: Database, use: Callable[[DatabaseId], None]
    ) -> None:
        use(alone.id)
        for sample in (await meter.usage(timedelta(minutes=5)))[alone.id]:
            assert sample.cpu_percent is None or 0 <= sample.cpu_percent <= 100
            assert sample.memory_percent is None or 0 <= sample.memory_percent <= 100
            assert sample.storage_bytes is None or sample.storage_bytes > 0

    async def test_what_was_measured_is_told_as_it_was_counted(
        self, meter: Meter, alone: Database, use: Callable[[DatabaseId], None]
    ) -> None:
        use(alone.id)
        assert meter.counters() == {}, "nobody has asked yet"
        await meter.usage(timedelta(minutes=5))
        assert set(meter.counters()) == {alone.id}

    async def test_what_it_did_by_itself_is_in_order_and_of_its_databases(
        self, meter: Meter, alone: Database, use: Callable[[DatabaseId], None]
    ) -> None:
        use(alone.id)
        await meter.usage(timedelta(minutes=5))
        if (told := meter.happenings()) is not None:
            numbers = [one.number for one in told.found]
            assert numbers == sorted(set(numbers))
            assert {one.database for one in told.found} <= {alone.id}
            assert all(one.at.tzinfo for one in told.found)

    async def test_what_was_counted_is_possible(
        self, meter: Meter, alone: Database, use: Callable[[DatabaseId], None]
    ) -> None:
        use(alone.id)
        await meter.usage(timedelta(minutes=5))
        found = meter.counters()[alone.id]
        assert found.storage_bytes is None or found.storage_bytes > 0
        for counted in (found, *found.instances.values()):
            values = (getattr(counted, f.name) for f in fields(counted) if f.name != "instances")
            assert all(value is None or value >= 0 for value in values)


class ReachPromises(EngineContract):
    @pytest.fixture
    def reach(self, engine: Engine) -> Reach:
        assert engine.reach is not None
        return engine.reach

    async def test_pgherd_connects_as_the_service(
        self, engine: Engine, reach: Reach, alone: Database
    ) -> None:
        own = await reach.as_service(alone.id)
        assert own.user == (await engine.access(alone.id, AccessRole.SERVICE)).user

    async def test_a_database_that_is_not_there_is_an_input_error(
        self, reach: Reach, alone: Database
    ) -> None:
        with pytest.raises(InputError):
            await reach.as_service(NOWHERE)
        with pytest.raises(InputError):
            await reach.let_make(NOWHERE, allowed=True)

    async def test_what_the_service_may_make_can_be_said_again(
        self, reach: Reach, alone: Database
    ) -> None:
        for allowed in (True, True, False, False):
            await reach.let_make(alone.id, allowed=allowed)


class SettingPromises(EngineContract):
    @pytest.fixture
    def settings(self, engine: Engine) -> Settings:
        assert engine.settings is not None
        return engine.settings

    async def test_what_is_wanted_is_seen_in_the_same_words(
        self, engine: Engine, settings: Settings, alone: Database
    ) -> None:
        await settings.ensure_applied(alone)
        assert (await seen(engine, alone.id)).settings == settings.wanted(alone)

    async def test_what_changes_is_seen(
        self, engine: Engine, settings: Settings, alone: Database
    ) -> None:
        changed = replace(alone, backup=Backup(retention_days=9))
        assert settings.wanted(changed) != settings.wanted(alone)
        await settings.ensure_applied(changed)
        assert (await seen(engine, alone.id)).settings == settings.wanted(changed)

    async def test_a_database_that_is_not_there_is_an_input_error(
        self, settings: Settings, alone: Database
    ) -> None:
        with pytest.raises(InputError):
            await settings.ensure_applied(replace(alone, id=NOWHERE))
