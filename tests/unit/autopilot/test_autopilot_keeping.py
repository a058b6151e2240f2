"""What is asked for to keep databases as they are wanted, and what never is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.autopilot import keeping
from pgherd.autopilot.checks import checked
from pgherd.autopilot.requests import HandOver, Mend, Renew, Replicas, Request, Restart
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
from pgherd.decide.actions import DeleteDatabase, StopDatabase
from pgherd.fleet.calendar import Weekday, Window
from pgherd.fleet.desired import Database, DatabaseId, Durability
from pgherd.testing.fleets import database, environment, fleet

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
NIGHT = datetime(2026, 5, 4, 2, 30, tzinfo=UTC)
NIGHTS = Window(tuple(Weekday), time(2), time(4))
AUTH = replace(database("auth", ocpus=(2, 8), replicas=(1, 2)), maintenance=(NIGHTS,))
FLEET = fleet(AUTH)
ID = "production/auth"
PRIMARY = ObservedInstance("auth-1", Role.PRIMARY, InstanceState.RUNNING, 1)
REPLICA = ObservedInstance("auth-2", Role.REPLICA, InstanceState.STREAMING, 2, 0)
WELL = ObservedDatabase(
    AUTH.id, DatabaseState.RUNNING, (PRIMARY, REPLICA), 2, Durability.ASYNCHRONOUS, 17
)
THERE = frozenset({"production"})
FAILED = replace(REPLICA, state=InstanceState.FAILED)
DEGRADED = replace(WELL, state=DatabaseState.DEGRADED, instances=(PRIMARY, FAILED))


def asked(
    found: ObservedDatabase | Unknown | None,
    at: datetime = AT,
    of: Database = AUTH,
    **observed: Any,
) -> Mapping[str, Request]:
    databases = {AUTH.id: found} if found else {}
    observation = Observation(**{"environments": THERE, "databases": databases} | observed)
    return keeping.requests(fleet(of), {"memory": observation}, at)


def test_what_is_well_needs_nothing() -> None:
    assert asked(WELL) == {}


def test_what_is_damaged_is_mended_and_what_its_environment_shares_is_looked_after() -> None:
    found = asked(DEGRADED)
    assert found[ID] == Mend(ID, "1 of 2 instances serve: auth-2 is failed")
    assert found["production"] == Renew("production", "1 of its databases is to serve")


@pytest.mark.parametrize("state", [DatabaseState.UNAVAILABLE, DatabaseState.STARTING])
def test_what_does_not_serve_is_mended(state: DatabaseState) -> None:
    assert isinstance(asked(replace(WELL, state=state))[ID], Mend)


def test_what_an_environment_shares_is_renewed() -> None:
    found = asked(WELL, impaired={"production": "a certificate ends"})
    assert found == {"production": Renew("production", "a certificate ends")}


@pytest.mark.parametrize(
    "found",
    [
        None,
        Unknown("no route"),
        replace(WELL, state=DatabaseState.STOPPED),
        replace(DEGRADED, state=DatabaseState.STOPPED),
        replace(WELL, state=DatabaseState.UNKNOWN),
    ],
)
def test_what_is_stopped_absent_or_unknown_is_left_alone(
    found: ObservedDatabase | Unknown | None,
) -> None:
    assert ID not in asked(found, NIGHT)


def test_an_environment_that_is_stopped_or_absent_is_left_alone() -> None:
    assert asked(DEGRADED, stopped=THERE) == {}
    assert asked(None, environments=frozenset()) == {}
    assert asked(None, environments=frozenset({"staging"})) == {}


def test_nothing_is_decided_about_an_engine_that_sees_nothing() -> None:
    assert keeping.requests(FLEET, {"memory": Unknown("down")}, AT) == {}


def test_one_engine_that_sees_nothing_hides_no_other() -> None:
    staging = environment("staging", engine="other", network="10.1.0.0/16")
    both = fleet(AUTH, database("auth", staging))
    seen: Observations = {
        "memory": Observation(THERE, {AUTH.id: DEGRADED}),
        "other": Unknown("down"),
    }
    assert keeping.requests(both, seen, AT).keys() == {"production", ID}


def test_replicas_that_are_missing_are_asked_for_and_none_is_taken_away() -> None:
    alone = replace(WELL, instances=(PRIMARY,))
    assert asked(alone)[ID] == Replicas(ID, 1, "the fleet file says 1..2 replicas")
    more = tuple(replace(REPLICA, name=f"auth-{n}") for n in (2, 3, 4))
    assert asked(replace(WELL, instances=(PRIMARY, *more))) == {}


def test_sizes_are_not_for_it() -> None:
    assert asked(replace(WELL, ocpus=16)) == {}


def test_restarts_wait_for_a_maintenance_window() -> None:
    waits = replace(WELL, restart_pending=("auth-2",))
    assert asked(waits, AT) == {}
    restart = asked(waits, NIGHT)[ID]
    assert isinstance(restart, Restart)
    assert restart.instance == "auth-2"
    assert asked(waits, NIGHT, replace(AUTH, maintenance=())) == {}


def test_a_primary_that_waits_is_handed_over_first() -> None:
    waits = replace(WELL, restart_pending=("auth-1",))
    assert asked(waits, AT) == {}
    request = asked(waits, NIGHT)[ID]
    assert isinstance(request, HandOver)
    assert request.instance == "auth-2"


def test_what_left_the_fleet_file_is_left_alone() -> None:
    other = replace(DEGRADED, id=DatabaseId("production", "old"))
    lost = replace(DEGRADED, id=DatabaseId("lost", "old"))
    databases = {AUTH.id: WELL, other.id: other, lost.id: lost}
    assert asked(None, databases=databases, environments=THERE | {"lost"}) == {}


def test_something_has_to_be_found_twice_in_a_row_to_be_sure() -> None:
    mend, again, renew = Mend(ID, "one"), Mend(ID, "another"), Renew("production", "")
    assert keeping.sure({}, {ID: mend}) == {}
    assert keeping.sure({ID: mend}, {ID: again}) == {ID: again}
    assert keeping.sure({ID: mend}, {}) == {}
    assert keeping.sure({ID: mend}, {ID: again, "production": renew}) == {ID: again}
    assert keeping.sure({ID: Replicas(ID, 1, "")}, {ID: mend}) == {}


SERVICES = ("auth", "order")
WISHED = fleet(
    *(
        replace(database(name, ocpus=(2, 8), replicas=(1, 2)), maintenance=(NIGHTS,))
        for name in SERVICES
    )
)


@st.composite
def observed(draw: st.DrawFn) -> Observation:
    """Anything that one engine may see."""
    found: dict[DatabaseId, ObservedDatabase | Unknown] = {}
    for service in draw(st.sets(st.sampled_from((*SERVICES, "old")))):
        id = DatabaseId("production", service)
        instances = tuple(
            ObservedInstance(
                f"{service}-{n}",
                draw(st.sampled_from(Role)),
                draw(st.sampled_from(InstanceState)),
                n % 3 + 1,
            )
            for n in range(draw(st.integers(0, 4)))
        )
        names = [instance.name for instance in instances]
        one = ObservedDatabase(
            id,
            draw(st.sampled_from(DatabaseState)),
            instances,
            draw(st.sampled_from((None, 1, 2, 8, 16))),
            draw(st.sampled_from((None, *Durability))),
            draw(st.sampled_from((None, 17))),
            restart_pending=tuple(draw(st.sets(st.sampled_from(names)))) if names else (),
        )
        found[id] = one if draw(st.integers(0, 3)) else Unknown("no route")
    some = st.sets(st.sampled_from(("production", "lost"))).map(frozenset)
    impaired = dict.fromkeys(draw(some), "ill")
    return Observation(draw(some), found, impaired, draw(some))


@given(observed(), st.sampled_from((AT, NIGHT)))
def test_whatever_is_seen_it_stays_within_its_rights(seen: Observation, at: datetime) -> None:
    for name, request in keeping.requests(WISHED, {"memory": seen}, at).items():
        assert "production" not in seen.stopped
        action = checked(request, WISHED, (), at)  # what was applied allows it
        assert not isinstance(action, StopDatabase | DeleteDatabase)
        if isinstance(request, Renew):
            assert name in seen.environments
            continue
        one = seen.databases[DatabaseId.parse(name)]
        assert isinstance(one, ObservedDatabase)
        assert one.state is not DatabaseState.STOPPED
        match request:
            case Replicas():
                assert request.count > len(one.instances) - 1
            case Restart() | HandOver():
                assert at is NIGHT
                assert request.instance in {i.name for i in one.instances}
            case _:
                assert isinstance(request, Mend)
