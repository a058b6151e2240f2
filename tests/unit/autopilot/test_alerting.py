"""Alerts of what does not come up: after its engine's patience, seen all the time or not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from played_controller import Played

from pgherd.autopilot import alerting
from pgherd.autopilot.alerting import Alerting
from pgherd.contract.observed import DatabaseState, Observation, ObservedDatabase, Unknown
from pgherd.decide.alerts import START_SECONDS
from pgherd.testing.fleets import database, fleet

AUTH, ORDER = database("auth"), database("order")
FLEET = fleet(AUTH, ORDER)
ENGINE = AUTH.environment.engine


def seen(state: DatabaseState) -> Mapping[str, Observation]:
    return {
        ENGINE: Observation(
            databases={
                AUTH.id: ObservedDatabase(AUTH.id, state, detail="no instance leads"),
                ORDER.id: ObservedDatabase(ORDER.id, DatabaseState.RUNNING),
            }
        )
    }


STARTS, RUNS = seen(DatabaseState.STARTING), seen(DatabaseState.RUNNING)


def told(
    told_of: Alerting,
    seen: Mapping[str, Observation | Unknown],
    now: float,
    deadline: float | None = None,
) -> list[tuple[str, str]]:
    found = told_of.current(FLEET, seen, {}, {ENGINE: deadline}, now)
    return [(alert.name, alert.subject) for alert in found]


def test_it_is_told_after_a_while_and_as_long_as_it_is_so() -> None:
    told_of = Alerting()
    assert told(told_of, STARTS, 10.0) == []
    assert told(told_of, STARTS, 9.9 + START_SECONDS) == []
    assert told(told_of, STARTS, 10.0 + START_SECONDS) == [("starting", "production/auth")]
    assert told(told_of, STARTS, 99.0 + START_SECONDS) == [("starting", "production/auth")]
    assert told(told_of, RUNS, 100.0 + START_SECONDS) == []
    assert told(told_of, STARTS, 101.0 + START_SECONDS) == []


def test_an_engine_that_takes_longer_is_given_longer() -> None:
    told_of = Alerting()
    assert told(told_of, STARTS, 0.0, 3600.0) == []
    assert told(told_of, STARTS, 3599.0, 3600.0) == []
    assert told(told_of, STARTS, 3600.0, 3600.0) == [("starting", "production/auth")]


def test_an_engine_that_is_not_seen_meanwhile_changes_nothing() -> None:
    told_of = Alerting()
    assert told(told_of, {}, 0.0) == []
    assert told(told_of, STARTS, 1.0) == []
    hidden = {ENGINE: Unknown("no route")}
    unseen = {("unseen", "production/auth"), ("unseen", "production/order")}
    assert set(told(told_of, hidden, 2 * START_SECONDS)) == unseen
    assert told(told_of, STARTS, 2 * START_SECONDS) == [("starting", "production/auth")]


async def test_the_controller_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerting, "START_SECONDS", 0.0)
    played = await Played(AUTH).up()
    await played.rounds()
    assert played.store.open_alerts == {}
    played.world.databases[AUTH.id].is_ready = False
    played.controller._due.clear()
    await played.rounds()
    assert played.store.open_alerts.keys() == {("starting", "production/auth")}
