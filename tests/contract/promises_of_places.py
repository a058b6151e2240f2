"""What every engine promises where there is nothing yet, or an environment alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from engine_contract import NOWHERE, EngineContract

from pgherd.contract.access import AccessRole
from pgherd.contract.engine import Engine
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database, Durability, Environment


@pytest.mark.usefixtures("empty")
class EmptyPlacePromises(EngineContract):
    async def test_each_capability_says_how_it_is_and_what_to_do(self, engine: Engine) -> None:
        for capability in await engine.capabilities():
            assert capability.name
            assert capability.detail
            assert capability.available or capability.remedy

    async def test_nothing_is_seen(self, engine: Engine) -> None:
        seen = await engine.observe()
        assert (seen.environments, dict(seen.databases)) == (frozenset(), {})

    async def test_no_certificate_is_in_use(self, engine: Engine) -> None:
        assert engine.certificates is None or not await engine.certificates.in_use()

    async def test_nothing_is_measured(self, engine: Engine) -> None:
        assert engine.meter is None or await engine.meter.usage(timedelta(minutes=5)) == {}
        assert engine.meter is None or engine.meter.counters() == {}

    async def test_a_database_that_is_not_there_is_gone_already(
        self, engine: Engine, auth: Database
    ) -> None:
        await engine.ensure_absent(auth.id)

    async def test_an_environment_that_is_not_there_is_gone_already(self, engine: Engine) -> None:
        await engine.ensure_environment_absent("contract")

    async def test_a_database_waits_for_its_environment(
        self, engine: Engine, auth: Database
    ) -> None:
        with pytest.raises(TryLater):
            await engine.ensure_database(auth)

    async def test_what_cannot_be_made_is_said_with_a_way_out(
        self, engine: Engine, auth: Database
    ) -> None:
        (offer,) = await engine.offers([replace(auth, postgresql=99)])
        assert offer.database.postgresql == 99
        (objection,) = offer.objections
        assert "99" in objection.message
        assert objection.hint

    async def test_what_can_be_made_meets_no_objection(
        self, engine: Engine, auth: Database
    ) -> None:
        assert not any(offer.objections for offer in await engine.offers([auth]))

    async def test_an_offer_makes_nothing(self, engine: Engine, auth: Database) -> None:
        await engine.offers([auth, replace(auth, postgresql=99)])
        seen = await engine.observe()
        assert (seen.environments, dict(seen.databases)) == (frozenset(), {})


@pytest.mark.usefixtures("vacant")
class EnvironmentPromises(EngineContract):
    async def test_it_is_seen_and_nothing_ails_it(self, engine: Engine) -> None:
        seen = await engine.observe()
        assert seen.environments == {"contract"}
        assert (dict(seen.impaired), seen.databases) == ({}, {})

    async def test_to_ensure_it_again_changes_nothing(
        self, engine: Engine, contract: Environment
    ) -> None:
        before = await engine.observe()
        await engine.ensure_environment(contract)
        assert await engine.observe() == before

    async def test_it_is_there_when_it_is_stopped(self, engine: Engine) -> None:
        await engine.ensure_environment_stopped("contract")
        assert (await engine.observe()).environments == {"contract"}

    async def test_it_can_be_stopped_again(self, engine: Engine) -> None:
        for _ in range(2):
            await engine.ensure_environment_stopped("contract")

    async def test_nothing_is_left_when_it_is_gone(self, engine: Engine) -> None:
        await engine.ensure_environment_absent("contract")
        assert (await engine.observe()).environments == frozenset()

    async def test_another_one_that_is_not_there_cannot_be_stopped(self, engine: Engine) -> None:
        with pytest.raises(InputError):
            await engine.ensure_environment_stopped("nowhere")

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param(lambda e, d: e.ensure_replicas(d, 1), id="ensure_replicas"),
            pytest.param(lambda e, d: e.ensure_ocpus(d, 4), id="ensure_ocpus"),
            pytest.param(
                lambda e, d: e.ensure_durability(d, Durability.SYNCHRONOUS), id="ensure_durability"
            ),
            pytest.param(lambda e, d: e.ensure_restarted(d.id, "auth-1"), id="ensure_restarted"),
            pytest.param(lambda e, d: e.ensure_stopped(d.id), id="ensure_stopped"),
            pytest.param(lambda e, d: e.switchover(d.id), id="switchover"),
            pytest.param(lambda e, d: e.failover(d.id), id="failover"),
            pytest.param(lambda e, d: e.access(NOWHERE, AccessRole.SERVICE), id="access"),
        ],
    )
    async def test_a_database_that_is_not_there_is_an_input_error(
        self,
        engine: Engine,
        auth: Database,
        call: Callable[[Engine, Database], Awaitable[object]],
    ) -> None:
        with pytest.raises(InputError):
            await call(engine, auth)
