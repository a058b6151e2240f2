"""The plan of a whole fleet: what comes with what, what is refused, what is not decided."""

import pytest

from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    Observations,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.decide.actions import (
    CreateDatabase,
    DeleteDatabase,
    DeleteEnvironment,
    EnsureEnvironment,
    RepairDatabase,
    subject,
)
from pgherd.decide.plan import EnvironmentPlan, Plan, Unseen, plan
from pgherd.errors import InputError
from pgherd.fleet.desired import DatabaseId, Durability
from pgherd.testing.fleets import PRODUCTION, database, environment, fleet, wishes

STAGING = environment("staging", network="10.1.0.0/16")
CART, ORDER = database("cart"), database("order")
TEST_ORDER = database("order", STAGING)
PRODUCTION_ONLY = fleet(CART, ORDER)
BOTH = fleet(CART, ORDER, TEST_ORDER)


def runs(id: DatabaseId, state: DatabaseState = DatabaseState.RUNNING) -> ObservedDatabase:
    primary = ObservedInstance(f"{id.service}-1", Role.PRIMARY, InstanceState.RUNNING, 1)
    return ObservedDatabase(id, state, (primary,), 2, Durability.ASYNCHRONOUS, 17)


def sees(*ids: DatabaseId, hidden: tuple[DatabaseId, ...] = (), impaired: str = "") -> Observations:
    databases: dict[DatabaseId, ObservedDatabase | Unknown] = {id: runs(id) for id in ids}
    databases |= {id: Unknown("no answer") for id in hidden}
    names = frozenset(id.environment for id in databases)
    reasons = {impaired: "etcd does not run"} if impaired else {}
    return {"memory": Observation(names, databases, reasons)}


NOTHING: Observations = {"memory": Observation()}


def test_everything_is_created_environment_first() -> None:
    found = plan(wishes(BOTH, migrations={CART.id: "0001"}), NOTHING)
    production, staging = found.environments
    assert production.before == (EnsureEnvironment("production", "it does not exist"),)
    assert [d.id for d in production.databases] == [CART.id, ORDER.id]
    assert [type(s).__name__ for s in production.steps] == [
        "EnsureEnvironment",
        "CreateDatabase",
        "ApplyMigrations",
        "CreateDatabase",
    ]
    assert staging.name == "staging"
    assert not found.is_empty


def test_what_an_engine_cannot_make_is_refused_and_the_rest_is_made() -> None:
    objections = {CART.id: (InputError("it has no PostgreSQL 19", "write postgresql: 17"),)}
    found = plan(wishes(PRODUCTION_ONLY, objections=objections), NOTHING)
    assert [subject(s) for s in found.steps] == ["production", "production/order"]
    (no,) = found.refused
    assert (no.subject, no.message) == ("production/cart", "it has no PostgreSQL 19")
    assert no.hint == "write postgresql: 17"


def test_what_is_as_wanted_plans_to_nothing() -> None:
    found = plan(wishes(BOTH), sees(CART.id, ORDER.id, TEST_ORDER.id))
    assert found == Plan()
    assert found.is_empty


def test_an_impaired_environment_is_mended_for_its_own_sake() -> None:
    found = plan(wishes(PRODUCTION_ONLY), sees(CART.id, ORDER.id, impaired="production"))
    assert found.steps == (EnsureEnvironment("production", "etcd does not run"),)


def test_before_a_database_is_brought_to_serve_its_environment_is_ensured() -> None:
    seen = Observation(
        frozenset({"production"}),
        {CART.id: runs(CART.id, DatabaseState.UNAVAILABLE), ORDER.id: runs(ORDER.id)},
    )
    first, second = plan(wishes(PRODUCTION_ONLY), {"memory": seen}).steps
    assert first == EnsureEnvironment("production", "1 of its databases is to serve")
    assert isinstance(second, RepairDatabase)


def test_a_new_service_is_created_beside_the_others() -> None:
    found = plan(wishes(PRODUCTION_ONLY), sees(CART.id))
    assert CreateDatabase(ORDER.id, "it does not exist") in found.steps
    assert {subject(s) for s in found.steps} == {"production", "production/order"}


def test_a_removed_service_keeps_its_data_until_it_is_named() -> None:
    seen = sees(CART.id, ORDER.id)
    found = plan(wishes(fleet(CART)), seen)
    assert found.is_empty
    (refused,) = found.refused
    assert (refused.subject, refused.flag) == ("production/order", "production/order")
    assert "--yes-destroy production/order" in refused.hint


@pytest.mark.parametrize("name", ["production", "order", "staging/order", "production/cart"])
def test_another_name_does_not_destroy_a_removed_service(name: str) -> None:
    found = plan(wishes(fleet(CART)), sees(CART.id, ORDER.id), allow_destroy={name})
    assert found.is_empty
    assert len(found.refused) == 1


def test_a_named_service_is_deleted_and_nothing_else() -> None:
    found = plan(wishes(fleet(CART)), sees(CART.id, ORDER.id), allow_destroy={"production/order"})
    (step,) = found.steps
    assert isinstance(step, DeleteDatabase)
    assert step.id == ORDER.id
    assert found.refused == ()


def test_changes_and_deletions_of_one_environment_are_one_part() -> None:
    found = plan(
        wishes(fleet(CART, database("user"))),
        sees(CART.id, ORDER.id),
        allow_destroy={"production/order"},
    )
    (part,) = found.environments
    assert [str(d.id) for d in part.databases] == ["production/user", "production/order"]


def test_a_removed_environment_is_one_refusal() -> None:
    found = plan(wishes(fleet(TEST_ORDER)), sees(CART.id, ORDER.id, TEST_ORDER.id))
    assert found.is_empty
    (refused,) = found.refused
    assert refused.flag == "production"
    assert refused.message.endswith("has 2 databases with data")


def test_a_named_environment_is_deleted_after_its_databases() -> None:
    seen = sees(CART.id, ORDER.id, TEST_ORDER.id)
    found = plan(wishes(fleet(TEST_ORDER)), seen, allow_destroy={"production"})
    assert [type(s) for s in found.steps] == [DeleteDatabase, DeleteDatabase, DeleteEnvironment]
    assert found.refused == ()


def test_one_named_database_of_a_removed_environment_takes_nothing_else_along() -> None:
    seen = sees(CART.id, ORDER.id, TEST_ORDER.id)
    found = plan(wishes(fleet(TEST_ORDER)), seen, allow_destroy={"production/cart"})
    assert [type(s) for s in found.steps] == [DeleteDatabase]
    assert [r.flag for r in found.refused] == ["production"]


def test_an_environment_with_an_unseen_database_is_not_deleted() -> None:
    seen = sees(CART.id, TEST_ORDER.id, hidden=(ORDER.id,))
    found = plan(wishes(fleet(TEST_ORDER)), seen, allow_destroy={"production"})
    assert [type(s) for s in found.steps] == [DeleteDatabase]
    assert found.unknown == (Unseen("production/order", "no answer"),)


def test_nothing_is_decided_on_what_is_not_seen() -> None:
    found = plan(wishes(PRODUCTION_ONLY), sees(CART.id, hidden=(ORDER.id,)))
    assert found.is_empty
    assert found.hides("production/order") == "no answer"
    assert found.hides("production/cart") is None


def test_an_engine_that_cannot_see_hides_its_environments_only() -> None:
    cloud = database("order", environment("cloud", engine="oci", network="10.9.0.0/16"))
    found = plan(wishes(fleet(CART, cloud)), {**NOTHING, "oci": Unknown("no network")})
    assert found.unknown == (Unseen("cloud", "no network"),)
    assert [e.name for e in found.environments] == ["production"]


def test_an_engine_that_is_not_there_is_an_error() -> None:
    with pytest.raises(InputError, match="production is on engine 'memory'"):
        plan(wishes(PRODUCTION_ONLY), {"local": Observation()})


def test_a_database_is_not_made_a_second_time_on_another_engine() -> None:
    moved = fleet(database("cart", environment("production", engine="oci")))
    found = plan(wishes(moved), {**sees(CART.id), "oci": Observation(), "dark": Unknown("dark")})
    assert found.is_empty
    (refused,) = found.refused
    assert refused.hint == "write engine: memory, or destroy it first"


def test_where_all_is_refused_no_place_is_made_for_it() -> None:
    objections = {CART.id: (InputError("it is too large", "write less"),)}
    assert plan(wishes(fleet(CART), objections=objections), NOTHING).is_empty
    found = plan(wishes(PRODUCTION_ONLY, objections=objections), NOTHING)
    assert found.steps[0] == EnsureEnvironment("production", "it does not exist")


def test_what_cannot_be_changed_is_refused_and_nothing_else_of_it_is_touched() -> None:
    old = fleet(database("cart", postgresql=16, replicas=(2, 2)), ORDER)
    found = plan(wishes(old), sees(CART.id, ORDER.id))
    assert found.is_empty
    assert [r.subject for r in found.refused] == ["production/cart"]
    assert [r.flag for r in found.refused] == [None]


def test_parked_subjects_leave_the_plan_and_hold_back_what_comes_after() -> None:
    everything = plan(
        wishes(fleet()), sees(CART.id, TEST_ORDER.id), allow_destroy={"production", "staging"}
    )
    rest = everything.without({"production/cart", "staging"})
    assert rest.is_empty
    assert everything.without(()) == everything
    created = plan(wishes(BOTH), NOTHING)
    assert created.without({"staging/order"}).environments == created.environments[:1]
    kept = created.without({"production/cart"})
    assert [str(d.id) for d in kept.environment("production", "memory").databases] == [
        "production/order"
    ]


def test_a_part_is_found_by_its_environment_and_its_engine() -> None:
    found = plan(wishes(BOTH), NOTHING)
    assert found.environment("staging", "memory") is found.environments[1]
    assert found.environment("staging", "oci").steps == ()


def test_one_databases_steps_come_with_what_its_environment_needs() -> None:
    part = plan(wishes(PRODUCTION_ONLY), NOTHING).environment("production", "memory")
    assert [type(s) for s in part.steps_of(ORDER.id)] == [EnsureEnvironment, CreateDatabase]
    assert part.steps_of(TEST_ORDER.id) == ()
    assert Plan().environment("production", "memory") == EnvironmentPlan("production", "memory")


def test_an_environment_without_databases_is_refused_by_name_too() -> None:
    seen = {"memory": Observation(frozenset({"old"}), {CART.id: runs(CART.id)})}
    found = plan(wishes(fleet(CART)), seen)
    assert [r.flag for r in found.refused] == ["old"]
    assert PRODUCTION.name not in {r.subject for r in found.refused}
