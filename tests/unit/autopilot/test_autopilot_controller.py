"""The controller, round after round: what it asks for, what it tells, and whom it waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from played_controller import Played

from pgherd.autopilot import asking, sizes, watching
from pgherd.autopilot.requests import Pause, Renew, Replicas, Resize
from pgherd.contract.meter import InstanceUsage, Usage
from pgherd.contract.observed import Observation
from pgherd.decide import replicas
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import DatabaseId
from pgherd.testing.fleets import database, environment

AUTH = database("auth", ocpus=(2, 8), replicas=(1, 2))
ORDER = database("order", ocpus=(2, 8))
OTHER = database("auth", environment("staging", engine="other", network="10.1.0.0/16"))
ID = "production/auth"


async def up(*databases: Any) -> Played:
    return await Played(*(databases or (AUTH,))).up()


def resizes(played: Played) -> list[Resize]:
    return [request for request in played.helper.asked if isinstance(request, Resize)]


async def test_where_all_is_well_nothing_is_asked() -> None:
    played = await up(AUTH, ORDER)
    await played.rounds(3)
    assert played.helper.asked == []
    assert played.store.told == []
    assert played.store.open_alerts == {}
    assert played.store.samples.keys() == {ID, "production/order"}
    assert played.store.samples[ID].cpu == pytest.approx(0.2)
    assert (played.now.databases[ID].ocpus, played.now.databases[ID].wanted) == (2, 2)
    assert played.opened == 1


async def test_it_knows_how_busy_databases_were_lately_and_forgets_what_has_left() -> None:
    played = await up(AUTH, ORDER)
    await played.rounds(2)
    lately = played.controller._watching.lately.told(time.time())
    assert lately.keys() == {ID, "production/order"}
    assert 10 in lately[ID][-2:]
    played.helper.apply(AUTH)
    await played.rounds()
    assert played.controller._watching.lately.told(time.time()).keys() == {ID}


async def test_what_is_saturated_is_resized_once_and_not_again_while_that_goes_on() -> None:
    played = await up()
    played.use(AUTH, 100.0)
    played.helper.is_open.clear()
    await played.rounds(3)
    (asked,) = played.helper.asked
    assert asked == Resize(ID, 4, asked.reason)
    assert "of 2 OCPUs" in asked.reason
    assert played.now.databases[ID].wanted == 4
    assert played.store.told == []
    played.grow(AUTH, 4)
    played.use(AUTH, 50.0, transactions_per_second=20.0)
    played.helper.is_open.set()
    await played.rounds(3)
    assert len(played.helper.asked) == 1
    (event,) = played.store.told
    assert (event.kind, event.database, event.reason) == ("scale", ID, asked.reason)
    assert event.details["ocpus"] == {"from": 2, "to": 4}
    assert (event.details["rule"], event.details["seconds"]) == ("saturated", 1.5)


async def test_the_effect_of_a_change_is_added_to_what_was_told() -> None:
    played = await up()
    played.use(AUTH, 100.0)
    played.helper.is_open.clear()
    await played.rounds()
    played.grow(AUTH, 4)
    played.use(AUTH, 50.0, transactions_per_second=20.0)
    await played.rounds()
    played.helper.is_open.set()
    await played.until(lambda: bool(played.store.told))
    await played.until(lambda: "after" in played.store.told[0].details["throughput"])
    assert played.store.told[0].details["throughput"] == {"before": 9.0, "after": 20.0}


async def test_an_effect_that_cannot_be_measured_is_left_out() -> None:
    played = await up()
    played.use(AUTH, 100.0)
    played.helper.is_open.clear()
    await played.rounds()
    played.world.hide(AUTH.id)
    await played.rounds()
    played.helper.is_open.set()
    await played.rounds(2)
    assert played.store.told[0].details["throughput"] == {"before": 9.0}


@pytest.mark.parametrize("error", [InputError("no room"), TryLater("busy")])
async def test_what_is_refused_waits_and_is_told_once(
    error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = await up()
    played.use(AUTH, 100.0)
    played.helper.error = error
    await played.rounds(3)
    assert len(played.helper.asked) == 1
    for name in ("SOON_SECONDS", "AGAIN_SECONDS", "LONGEST_AGAIN"):
        monkeypatch.setattr(asking, name, 0.0)
    played.helper.apply(ORDER)
    await played.rounds()
    played.helper.apply(AUTH)  # it is another one now
    await played.rounds(4)
    assert len(played.helper.asked) > 3
    assert played.kinds() == ["scale-failed", "scale-failed"]
    (event, _) = played.store.told
    assert event.details["ocpus"] == {"from": 2, "to": 4}
    assert event.details["failed"] == error.message


@pytest.mark.parametrize("subject", ["", "production", ID])
async def test_what_is_paused_is_left_alone_and_told_of(subject: str) -> None:
    played = await up()
    played.use(AUTH, 100.0)
    played.world.break_instance(AUTH.id, "auth-2")
    played.helper.pauses = (Pause(subject, "an audit", 1.0),)
    await played.rounds(3)
    assert [type(request) for request in played.helper.asked] == [Renew] * (
        3 - 1 if subject == ID else 0
    )
    now = played.now.databases[ID]
    assert (now.wanted, now.paused) == (4, "an audit")
    assert ("degraded", ID) in played.store.open_alerts
    played.helper.pauses = ()
    await played.rounds(2)
    assert any(isinstance(request, Resize) for request in played.helper.asked)


async def test_what_is_not_scaled_keeps_its_size() -> None:
    fixed = replace(AUTH, autoscale=None)
    played = await up(fixed)
    played.use(fixed, 100.0)
    await played.rounds(3)
    assert played.helper.asked == []
    assert played.now.databases[ID].is_scaled is False


class TroubledMeter:
    """It never answers, or fails."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        if self._error:
            raise self._error
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("error", [None, TryLater("busy"), OSError("odd"), ValueError("odd")])
async def test_a_meter_that_hangs_or_fails_hides_only_its_own_databases(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MEASURE_SECONDS", 0.01)
    played = await up(AUTH, OTHER)
    played.use(AUTH, 100.0)
    played.memory("other").meter = TroubledMeter(error)
    await played.rounds()
    assert played.store.samples.keys() == {ID}
    assert [request.database for request in resizes(played)] == [ID]
    assert played.now.databases["staging/auth"].ocpus is None
    played.memory("other").meter = None
    await played.rounds()
    assert played.store.samples.keys() == {ID}


@pytest.mark.parametrize("error", [None, TryLater("down"), NeedsHuman("odd"), ValueError("odd")])
async def test_an_engine_that_does_not_see_decides_nothing_and_hides_no_other(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.01)
    played = await up(AUTH, OTHER)
    played.world.break_instance(AUTH.id, "auth-2")

    async def observe(*, roles: bool = True) -> Observation:
        if error:
            raise error
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(played.engines["other"], "observe", observe)
    await played.rounds(3)
    assert played.helper.asked
    assert not [r for r in played.helper.asked if "staging" in str(r)]
    assert ("unseen", "staging/auth") in played.store.open_alerts
    assert ("degraded", ID) in played.store.open_alerts


async def test_a_database_that_is_not_seen_is_neither_mended_nor_resized() -> None:
    played = await up()
    played.use(AUTH, 100.0)
    played.world.hide(AUTH.id, "no route")
    await played.rounds(3)
    assert played.helper.asked == []
    summary, remedy = played.store.open_alerts["unseen", ID]
    assert "no route" in summary
    assert remedy


async def test_what_a_meter_says_raises_alerts() -> None:
    played = await up()
    old = InstanceUsage(True, oldest_transaction_seconds=1e5)
    played.use(AUTH, 1.0, instances={"auth-1": old})
    await played.rounds()
    assert played.store.open_alerts.keys() == {("old-transaction", f"{ID}/auth-1")}
    played.use(AUTH, 1.0)
    await played.rounds()
    assert played.store.open_alerts == {}


async def test_round_after_round_nothing_grows() -> None:
    played = await up(AUTH, ORDER)
    played.use(AUTH, 100.0)
    played.world.break_instance(AUTH.id, "auth-2")
    await played.rounds(3)
    before = (len(asyncio.all_tasks()), _held(played))
    await played.rounds(30)
    assert (len(asyncio.all_tasks()), _held(played)) == before


def _held(played: Played) -> dict[str, int]:
    """How much each of the controller's collections holds, those of its parts too."""
    parts = {**vars(played.controller), **vars(played.controller._asking)}
    return {name: len(part) for name, part in parts.items() if hasattr(part, "__len__")}


async def test_what_has_left_the_fleet_is_forgotten() -> None:
    played = await up(AUTH, ORDER)
    played.helper.error = InputError("no room")
    played.use(ORDER, 100.0)
    await played.rounds(2)
    assert sizes.decode(played.store.known["sizes"]).keys() == {ID, "production/order"}
    assert len(resizes(played)) == 1
    played.helper.apply(AUTH)
    await played.rounds(2)
    assert played.opened == 2
    assert sizes.decode(played.store.known["sizes"]).keys() == {ID}
    assert played.store.samples.keys() == {ID}
    assert played.now.databases.keys() == {ID}
    played.helper.apply(AUTH, ORDER)
    await played.rounds()
    assert len(resizes(played)) == 2  # its refusal was forgotten too


async def test_a_fleet_of_which_no_file_was_applied_is_for_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played = await up()

    async def nothing(number: int, digest: str) -> Any:
        raise TryLater("nothing is applied yet")

    monkeypatch.setattr(played.helper, "applied", nothing)
    with pytest.raises(TryLater):
        await played.controller.round()
    assert played.helper.asked == []


async def test_it_goes_on_after_rounds_that_fail_and_remembers_what_it_had_learnt(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    played = await up()
    await played.rounds()
    learnt = sizes.decode(played.store.known["sizes"])
    again = await up()
    again.store.known["sizes"] = sizes.encode(learnt)
    errors: list[Exception] = [TryLater("busy"), ValueError("odd")]
    seen: list[Mapping[str, Any]] = []

    async def troubled() -> None:
        seen.append(again.controller._memories)
        if errors:
            raise errors.pop(0)
        raise KeyboardInterrupt  # the end of this test

    async def no_time(seconds: float) -> None:
        assert seconds > 0

    monkeypatch.setattr(again.controller, "round", troubled)
    monkeypatch.setattr("asyncio.sleep", no_time)
    with pytest.raises(KeyboardInterrupt):
        await again.controller.run()
    assert again.helper.beats == []
    assert [dict(memories) for memories in seen] == [learnt] * 3
    assert "busy" in caplog.text
    assert "odd" in caplog.text


def read_by(clients: int) -> dict[str, Any]:
    """A usage in which so many read, of a pair that streams."""
    return {
        "readers": clients,
        "readers_each": 25,
        "instances": {
            "auth-1": InstanceUsage(True, 10.0),
            "auth-2": InstanceUsage(False, 10.0),
        },
    }


async def test_who_is_read_from_by_too_many_gets_another_replica(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MORE_SECONDS", "MORE_COOLDOWN_SECONDS"):
        monkeypatch.setattr(replicas, name, 0.0)
    played = await up()
    played.use(AUTH, 10.0, **read_by(20))
    await played.rounds(3)
    assert played.helper.asked == []
    played.use(AUTH, 10.0, **read_by(21))
    await played.rounds(2)
    asked = next(iter(played.helper.asked))
    assert asked == Replicas(ID, 2, asked.reason)
    assert "clients that read" in asked.reason
    assert played.store.told[0].details["replicas"] == 2


async def test_who_reads_is_asked_of_a_paused_database_too_and_nothing_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replicas, "MORE_SECONDS", 0.0)
    played = await up()
    played.use(AUTH, 10.0, **read_by(100))
    played.helper.pauses = (Pause(ID, "an audit", 1.0),)
    await played.rounds(3)
    assert played.helper.asked == []
