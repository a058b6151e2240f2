"""Which part of a fleet is to serve again after a reboot."""

from __future__ import annotations

import pytest

from pgherd.contract.observed import DatabaseState, Observation, ObservedDatabase, Unknown
from pgherd.decide.resumption import resumed
from pgherd.testing.fleets import database, environment, fleet

STAGING = environment("staging", network="10.1.0.0/16")
AUTH, ORDER, TEST = database("auth"), database("order"), database("auth", STAGING)
FLEET = fleet(AUTH, ORDER, TEST)
BOTH = frozenset({"production", "staging"})


def sees(
    environments: frozenset[str] = BOTH,
    stopped: frozenset[str] = frozenset(),
    order: DatabaseState = DatabaseState.UNAVAILABLE,
) -> Observation:
    states = {AUTH.id: DatabaseState.UNAVAILABLE, ORDER.id: order, TEST.id: DatabaseState.RUNNING}
    databases = {id: ObservedDatabase(id, state) for id, state in states.items()}
    return Observation(environments, databases, stopped=stopped)


@pytest.mark.parametrize("state", [s for s in DatabaseState if s is not DatabaseState.STOPPED])
def test_all_that_is_not_stopped_is_to_serve(state: DatabaseState) -> None:
    assert resumed(FLEET, {"memory": sees(order=state)}) == FLEET


def test_one_that_was_stopped_is_left_out() -> None:
    found = resumed(FLEET, {"memory": sees(order=DatabaseState.STOPPED)})
    assert found.databases == (AUTH, TEST)
    assert found.environments == FLEET.environments


@pytest.mark.parametrize(
    "seen", [sees(stopped=frozenset({"staging"})), sees(environments=frozenset({"production"}))]
)
def test_an_environment_that_is_stopped_or_gone_is_left_out_with_all_in_it(
    seen: Observation,
) -> None:
    found = resumed(FLEET, {"memory": seen})
    assert [e.name for e in found.environments] == ["production"]
    assert found.databases == (AUTH, ORDER)


def test_what_is_not_there_or_not_seen_is_left_out() -> None:
    gone = sees()
    seen = Observation(BOTH, {AUTH.id: gone.databases[AUTH.id], TEST.id: Unknown("no answer")})
    assert resumed(FLEET, {"memory": seen}).databases == (AUTH,)


def test_an_engine_that_sees_nothing_leaves_its_environments_out() -> None:
    for seen in ({}, {"memory": Unknown("no answer")}):
        found = resumed(FLEET, seen)
        assert (found.environments, found.databases) == ((), ())
