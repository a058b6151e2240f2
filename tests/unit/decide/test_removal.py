"""What `down` stops and `destroy` deletes."""

from collections.abc import Callable

import pytest

from pgherd.contract.observed import (
    DatabaseState,
    Observation,
    Observations,
    ObservedDatabase,
    Unknown,
)
from pgherd.decide.actions import DeleteDatabase, DeleteEnvironment, StopDatabase, StopEnvironment
from pgherd.decide.plan import Plan, Unseen
from pgherd.decide.removal import destroy_plan, stop_plan
from pgherd.fleet.desired import DatabaseId
from pgherd.testing.fleets import database, environment, fleet

Verb = Callable[[Observations], Plan]

STAGING = environment("staging", network="10.1.0.0/16")
CART = database("cart", deletion_protection=True)
TEST_CART = database("cart", STAGING)
FLEET = fleet(CART, TEST_CART)
OLD = DatabaseId("production", "old")
TEST_OLD = DatabaseId("staging", "old")


def sees(
    *ids: DatabaseId, state: DatabaseState = DatabaseState.RUNNING, stopped: tuple[str, ...] = ()
) -> Observations:
    names = frozenset(id.environment for id in ids)
    databases = {id: ObservedDatabase(id, state) for id in ids}
    return {"memory": Observation(names, databases, {}, frozenset(stopped))}


BOTH = sees(CART.id, TEST_CART.id)


def test_everything_stops_databases_first() -> None:
    production, staging = stop_plan(BOTH).environments
    assert [type(s) for s in production.steps] == [StopDatabase, StopEnvironment]
    assert staging.name == "staging"


def test_one_environment_stops_and_the_other_runs_on() -> None:
    found = stop_plan(BOTH, ("staging",))
    assert [e.name for e in found.environments] == ["staging"]


def test_one_database_stops_and_its_environment_runs_on() -> None:
    assert [type(s) for s in stop_plan(BOTH, ("staging/cart",)).steps] == [StopDatabase]


def test_what_is_stopped_is_not_stopped_again() -> None:
    seen = sees(CART.id, state=DatabaseState.STOPPED, stopped=("production",))
    assert stop_plan(seen).is_empty


def test_what_left_the_fleet_file_stops_too() -> None:
    assert any(isinstance(s, StopDatabase) and s.id == OLD for s in stop_plan(sees(OLD)).steps)


@pytest.mark.parametrize("verb", [stop_plan, lambda o: destroy_plan(fleet(), o)])
def test_an_unseen_database_is_left_alone_and_so_is_its_environment(verb: Verb) -> None:
    hidden = {"memory": Observation(frozenset({"production"}), {CART.id: Unknown("no answer")})}
    found = verb(hidden)
    assert found.is_empty
    assert found.unknown == (Unseen("production/cart", "no answer"),)


def test_an_engine_that_cannot_see_decides_nothing() -> None:
    found = stop_plan({"memory": Unknown("no network")})
    assert found.is_empty
    assert found.unknown == (Unseen("memory", "no network"),)


def test_an_unseen_database_elsewhere_is_no_concern() -> None:
    hidden: dict[DatabaseId, ObservedDatabase | Unknown] = {CART.id: Unknown("no answer")}
    seen = {"memory": Observation(frozenset({"production", "staging"}), hidden)}
    assert stop_plan(seen, ("staging",)).unknown == ()


def test_an_unprotected_environment_is_deleted_after_its_databases() -> None:
    found = destroy_plan(FLEET, BOTH, ("staging",))
    assert [type(s) for s in found.steps] == [DeleteDatabase, DeleteEnvironment]
    assert found.refused == ()


def test_protection_refuses_the_whole_command() -> None:
    found = destroy_plan(FLEET, BOTH)
    assert found.is_empty
    assert [(r.subject, r.flag) for r in found.refused] == [("production/cart", "production")]


@pytest.mark.parametrize("name", ["production", "production/cart"])
def test_a_name_lifts_the_protection(name: str) -> None:
    found = destroy_plan(FLEET, BOTH, (), {name})
    assert found.refused == ()
    assert len(found.steps) == 4


def test_one_database_is_deleted_and_its_environment_stays() -> None:
    found = destroy_plan(FLEET, BOTH, ("staging/cart",))
    assert [type(s) for s in found.steps] == [DeleteDatabase]


def test_what_left_the_fleet_file_is_protected_unless_nothing_beside_it_is() -> None:
    assert destroy_plan(FLEET, sees(OLD)).refused
    assert destroy_plan(fleet(TEST_CART), sees(OLD)).refused
    assert not destroy_plan(FLEET, sees(TEST_OLD)).refused
