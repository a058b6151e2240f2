"""The steps of one database: a table of what is seen and what follows."""

from dataclasses import replace

import pytest

from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    ObservedDatabase,
    ObservedInstance,
    Role,
)
from pgherd.decide.actions import (
    ApplyMigrations,
    CreateDatabase,
    DatabaseAction,
    Interruption,
    RepairDatabase,
    RestartInstance,
    SetDurability,
    SetOcpus,
    SetReplicas,
    StartDatabase,
    Switchover,
)
from pgherd.decide.database import database_steps, refusal
from pgherd.decide.wish import Wish
from pgherd.fleet.desired import Durability
from pgherd.testing.fleets import PRODUCTION, database

ORDER = database("order", ocpus=(2, 8), replicas=(1, 3), postgresql=17)
SINGLE = database("order", replicas=(0, 0))


def primary(n: int = 1, state: InstanceState = InstanceState.RUNNING) -> ObservedInstance:
    return ObservedInstance(f"order-{n}", Role.PRIMARY, state, 1)


def replica(
    n: int, state: InstanceState = InstanceState.STREAMING, lag: int | None = 0
) -> ObservedInstance:
    return ObservedInstance(f"order-{n}", Role.REPLICA, state, n, lag)


def seen(*instances: ObservedInstance, state: DatabaseState | None = None) -> ObservedDatabase:
    return ObservedDatabase(
        ORDER.id,
        state or DatabaseState.RUNNING,
        instances,
        ocpus=2,
        durability=Durability.ASYNCHRONOUS,
        postgresql=17,
        schema_revision="0001",
    )


def kinds(steps: tuple[DatabaseAction, ...]) -> list[type]:
    return [type(step) for step in steps]


def test_what_is_not_there_is_created_whole() -> None:
    steps = database_steps(Wish(ORDER, migration="0001"), None)
    assert kinds(steps) == [CreateDatabase, SetReplicas, ApplyMigrations]
    assert steps[1] == SetReplicas(ORDER.id, 0, 1, "the fleet file says 1..3 replicas")


def test_a_single_instance_without_migrations_is_just_created() -> None:
    assert kinds(database_steps(Wish(SINGLE), None)) == [CreateDatabase]


def test_what_is_as_wanted_is_left_alone() -> None:
    assert database_steps(Wish(ORDER, migration="0001"), seen(primary(), replica(2))) == ()


@pytest.mark.parametrize("ocpus", [2, 3, 8])
@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_what_the_autopilot_chose_within_the_bounds_stays(ocpus: int, replicas: int) -> None:
    instances = (primary(), *(replica(n + 2) for n in range(replicas)))
    assert (
        database_steps(Wish(ORDER, migration="0001"), replace(seen(*instances), ocpus=ocpus)) == ()
    )


@pytest.mark.parametrize(("ocpus", "target"), [(1, 2), (9, 8), (128, 8)])
def test_sizes_are_moved_into_the_bounds_and_no_further(ocpus: int, target: int) -> None:
    steps = database_steps(
        Wish(ORDER, migration="0001"), replace(seen(primary(), replica(2)), ocpus=ocpus)
    )
    reason = "the fleet file says 2..8 OCPUs"
    assert steps == (SetOcpus(ORDER.id, ocpus, target, reason, Interruption.ROLLING_RESTART),)


def test_another_size_interrupts_a_single_instance_for_longer() -> None:
    (step,) = database_steps(Wish(SINGLE), replace(seen(primary()), ocpus=1))
    assert isinstance(step, SetOcpus)
    assert step.interruption is Interruption.RESTART


def test_another_size_interrupts_for_longer_where_the_last_replica_goes_before() -> None:
    steps = database_steps(Wish(SINGLE), replace(seen(primary(), replica(2)), ocpus=1))
    assert [(type(s), s.interruption) for s in steps] == [
        (SetReplicas, Interruption.NONE),
        (SetOcpus, Interruption.RESTART),
    ]


def test_another_size_pauses_where_a_replica_is_left_or_comes_before() -> None:
    free = database("order", replicas=(0, 2))
    single = database("order", replicas=(1, 1))
    for wanted, instances in ((free, (primary(), replica(2))), (single, (primary(),))):
        steps = database_steps(Wish(wanted), replace(seen(*instances), ocpus=1))
        assert steps[-1].interruption is Interruption.ROLLING_RESTART


@pytest.mark.parametrize(("count", "target"), [(0, 1), (4, 3), (5, 3)])
def test_replica_counts_are_moved_into_the_bounds(count: int, target: int) -> None:
    instances = (primary(), *(replica(n + 2) for n in range(count)))
    (step,) = database_steps(Wish(ORDER, migration="0001"), seen(*instances))
    assert step == SetReplicas(ORDER.id, count, target, "the fleet file says 1..3 replicas")


def test_one_number_for_both_bounds_is_printed_once() -> None:
    (step,) = database_steps(Wish(SINGLE), seen(primary(), replica(2)))
    assert step == SetReplicas(ORDER.id, 1, 0, "the fleet file says 0 replicas")


def test_an_unknown_size_or_durability_is_no_reason_to_set_it() -> None:
    blurred = replace(seen(primary(), replica(2)), ocpus=None, durability=None)
    assert database_steps(Wish(ORDER), blurred) == ()


@pytest.mark.parametrize(
    ("state", "kind", "reason"),
    [
        (DatabaseState.STOPPED, StartDatabase, "it is stopped"),
        (DatabaseState.STARTING, StartDatabase, "it does not serve yet"),
        (
            DatabaseState.DEGRADED,
            RepairDatabase,
            "1 of 2 instances serve: order-2 is failed",
        ),
    ],
)
def test_what_does_not_serve_is_made_to(state: DatabaseState, kind: type, reason: str) -> None:
    found = seen(primary(), replica(2, InstanceState.FAILED), state=state)
    (step,) = database_steps(Wish(ORDER, migration="0001"), found)
    assert isinstance(step, kind)
    assert step.reason == reason


def test_the_engines_own_words_are_in_the_reason_where_instances_say_nothing() -> None:
    found = replace(seen(state=DatabaseState.UNAVAILABLE), detail="no leader")
    (step,) = database_steps(Wish(SINGLE), found)
    assert step.reason == "0 of 0 instances serve: no leader"


def test_a_half_made_database_is_started_and_gets_its_replicas() -> None:
    steps = database_steps(Wish(ORDER), seen(state=DatabaseState.STARTING))
    assert kinds(steps) == [StartDatabase, SetReplicas]


def test_an_unknown_state_of_a_seen_database_asks_for_nothing() -> None:
    found = seen(primary(), replica(2), state=DatabaseState.UNKNOWN)
    assert database_steps(Wish(ORDER, migration="0001"), found) == ()


def test_durability_rises_after_the_replicas_and_falls_before_them() -> None:
    synchronous = replace(ORDER, durability=Durability.SYNCHRONOUS)
    rising = database_steps(Wish(synchronous, migration="0001"), seen(primary()))
    assert kinds(rising) == [SetReplicas, SetDurability]
    falls = replace(seen(primary(), replica(2)), durability=Durability.SYNCHRONOUS)
    assert kinds(database_steps(Wish(SINGLE), falls)) == [SetDurability, SetReplicas]


def test_migrations_run_where_a_primary_serves_and_the_newest_is_missing() -> None:
    found = seen(primary(), replica(2))
    (step,) = database_steps(Wish(ORDER, migration="0002"), found)
    assert step == ApplyMigrations(ORDER.id, "0001", "0002", "the newest migration is 0002")
    assert database_steps(Wish(ORDER), found) == ()
    stopped = seen(
        primary(state=InstanceState.STOPPED),
        replica(2, InstanceState.STOPPED),
        state=DatabaseState.STOPPED,
    )
    assert kinds(database_steps(Wish(ORDER, migration="0002"), stopped)) == [StartDatabase]


def test_replicas_restart_first_then_the_best_of_them_takes_over() -> None:
    wide = replace(ORDER, environment=replace(PRODUCTION, availability_domains=9))
    found = replace(
        seen(primary(), replica(2, lag=None), replica(3, lag=9), replica(4, lag=1)),
        restart_pending=("order-1", "order-3"),
    )
    steps = database_steps(Wish(wide, migration="0001"), found)
    why = "settings wait for a restart on 2 instances"
    assert steps == (
        RestartInstance(ORDER.id, "order-3", why, Interruption.REPLICA_RESTART),
        Switchover(ORDER.id, "order-1", "order-4", "order-1 is to be restarted"),
        RestartInstance(ORDER.id, "order-1", why, Interruption.REPLICA_RESTART),
    )


def test_without_a_replica_a_restart_is_a_restart() -> None:
    found = replace(seen(primary()), restart_pending=("order-1",))
    (step,) = database_steps(Wish(SINGLE), found)
    assert step.interruption is Interruption.RESTART


@pytest.mark.parametrize(
    "found",
    [
        seen(primary(), replica(2, InstanceState.FAILED), state=DatabaseState.DEGRADED),
        seen(primary(), replica(2, InstanceState.STARTING)),
        seen(primary(state=InstanceState.FAILED), replica(2)),
    ],
)
def test_nothing_is_restarted_while_an_instance_does_not_serve(found: ObservedDatabase) -> None:
    pending = replace(found, restart_pending=("order-1", "order-2"))
    steps = database_steps(Wish(ORDER, migration="0001"), pending)
    assert not any(isinstance(s, RestartInstance | Switchover) for s in steps)


def test_another_major_version_is_refused_with_the_one_that_is_there() -> None:
    found = replace(seen(primary()), postgresql=16)
    no = refusal(ORDER, found)
    assert no is not None
    assert (no.subject, no.hint) == ("production/order", "write postgresql: 16")
    assert refusal(SINGLE, found) is None
    assert refusal(ORDER, replace(found, postgresql=None)) is None


def test_fewer_availability_domains_than_are_used_are_refused() -> None:
    narrow = replace(ORDER, environment=replace(PRODUCTION, availability_domains=1))
    no = refusal(narrow, seen(primary(), replica(2)))
    assert no is not None
    assert no.message.startswith("order-2 is in availability domain 2 and the fleet file has 1")
    unplaced = ObservedInstance("order-9", Role.REPLICA, InstanceState.STREAMING)
    assert refusal(narrow, seen(primary(), unplaced)) is None
