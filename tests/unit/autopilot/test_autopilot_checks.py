"""Which requests are allowed: by what was applied, and by what people have paused alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone

import pytest

from pgherd.autopilot.checks import checked, pause_of
from pgherd.autopilot.requests import (
    HandOver,
    Mend,
    Pause,
    Renew,
    Replicas,
    Request,
    Resize,
    Restart,
)
from pgherd.decide.actions import (
    EnsureEnvironment,
    Interruption,
    RepairDatabase,
    RestartInstance,
    SetOcpus,
    SetReplicas,
    Switchover,
)
from pgherd.errors import InputError
from pgherd.fleet.calendar import Weekday, Window
from pgherd.testing.fleets import database, environment, fleet

NOW = datetime(2026, 5, 4, 2, 30, tzinfo=UTC)
NIGHTS = Window(tuple(Weekday), time(2), time(4))
STAGING = environment("staging", network="10.1.0.0/16")
AUTH = replace(database("auth", ocpus=(2, 8), replicas=(1, 3)), maintenance=(NIGHTS,))
ORDER = replace(database("order", ocpus=(2, 2)), autoscale=None)
FLEET = fleet(AUTH, ORDER, database("auth", STAGING))
ID = "production/auth"
EACH: tuple[Request, ...] = (
    Resize(ID, 4, "why"),
    Replicas(ID, 2, "why"),
    Mend(ID, "why"),
    Restart(ID, "auth-2", "why"),
    HandOver(ID, "auth-2", "why"),
    Renew("production", "why"),
)
HOSTILE = (
    "",
    "/",
    "production",
    "production/",
    "/auth",
    "production/cart",
    "qa/auth",
    "production/auth/auth-1",
    "../production/auth",
    "production/../auth",
    "production/auth\0",
    "production/auth\n",
    "PRODUCTION/auth",
    "production /auth",
    "-f/etc",
    "\x1b]0;owned\x07/auth",
)


def pause(subject: str, until: float | None = None) -> Pause:
    return Pause(subject, f"audit of {subject or 'all'}", 0.0, until)


def test_each_becomes_the_action_that_it_is() -> None:
    id = AUTH.id
    assert [checked(request, FLEET, (), NOW) for request in EACH] == [
        SetOcpus(id, 0, 4, "why", Interruption.NONE),
        SetReplicas(id, 0, 2, "why"),
        RepairDatabase(id, "why"),
        RestartInstance(id, "auth-2", "why", Interruption.REPLICA_RESTART),
        Switchover(id, "", "auth-2", "why"),
        EnsureEnvironment("production", "why"),
    ]


@pytest.mark.parametrize("ocpus", [2, 3, 8])
def test_sizes_within_the_bounds_are_allowed(ocpus: int) -> None:
    found = checked(Resize(ID, ocpus, ""), FLEET, (), NOW)
    assert isinstance(found, SetOcpus)
    assert found.target == ocpus


@pytest.mark.parametrize("ocpus", [-1, 0, 1, 9, 100_000])
def test_sizes_outside_of_the_bounds_are_refused(ocpus: int) -> None:
    with pytest.raises(InputError, match=rf"may have 2\.\.8 OCPUs, not {ocpus}"):
        checked(Resize(ID, ocpus, ""), FLEET, (), NOW)


@pytest.mark.parametrize("count", [1, 3])
def test_replicas_within_the_bounds_are_allowed(count: int) -> None:
    found = checked(Replicas(ID, count, ""), FLEET, (), NOW)
    assert isinstance(found, SetReplicas)
    assert found.target == count


@pytest.mark.parametrize("count", [-1, 0, 4, 100_000])
def test_replicas_outside_of_the_bounds_are_refused(count: int) -> None:
    with pytest.raises(InputError, match=r"may have 1\.\.3 replicas"):
        checked(Replicas(ID, count, ""), FLEET, (), NOW)


def test_what_is_not_scaled_gets_no_other_size() -> None:
    with pytest.raises(InputError, match="autoscale: false"):
        checked(Resize("production/order", 2, ""), FLEET, (), NOW)
    checked(Mend("production/order", ""), FLEET, (), NOW)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_are_not_in_the_fleet_are_refused(name: str) -> None:
    for request in (
        Resize(name, 4, ""),
        Replicas(name, 2, ""),
        Mend(name, ""),
        Restart(name, "auth-1", ""),
        HandOver(name, "auth-1", ""),
    ):
        with pytest.raises(InputError):
            checked(request, FLEET, (), NOW)
    if name != "production":
        with pytest.raises(InputError):
            checked(Renew(name, ""), FLEET, (), NOW)


@pytest.mark.parametrize("request_", EACH)
@pytest.mark.parametrize("subject", ["production", ""])
def test_what_is_paused_with_others_is_left_alone(request_: Request, subject: str) -> None:
    with pytest.raises(InputError, match=f"is paused: audit of {subject or 'all'}"):
        checked(request_, FLEET, (pause("staging"), pause(subject)), NOW)


@pytest.mark.parametrize("request_", EACH[:-1])
def test_what_is_paused_by_itself_is_left_alone(request_: Request) -> None:
    with pytest.raises(InputError, match="audit of production/auth"):
        checked(request_, FLEET, (pause(ID),), NOW)
    checked(Renew("production", ""), FLEET, (pause(ID),), NOW)


@pytest.mark.parametrize("request_", EACH)
def test_pauses_of_others_and_those_that_have_ended_stop_nothing(request_: Request) -> None:
    others = [
        pause(name) for name in ("staging", "production/order", "staging/auth", "prod", "auth")
    ]
    ended = [pause(name, NOW.timestamp()) for name in ("", "production", ID)]
    checked(request_, FLEET, (*others, *ended), NOW)


def test_a_pause_holds_until_its_end() -> None:
    ending = (pause(ID, NOW.timestamp() + 1),)
    assert pause_of(ID, ending, NOW) is ending[0]
    assert pause_of(ID, ending, NOW + timedelta(seconds=1)) is None


def test_an_ended_pause_hides_no_other() -> None:
    holds = pause("production")
    assert pause_of(ID, (pause(ID, 1.0), holds), NOW) is holds


@pytest.mark.parametrize("request_", [Restart(ID, "auth-2", ""), HandOver(ID, "auth-2", "")])
def test_restarts_are_for_maintenance_windows(request_: Request) -> None:
    plus_nine = timezone(timedelta(hours=9))
    for at in (NOW, NOW.astimezone(plus_nine), NOW.replace(hour=3, minute=59)):
        checked(request_, FLEET, (), at)
    for at in (NOW.replace(hour=1), NOW.replace(hour=4, minute=0)):
        with pytest.raises(InputError, match="no maintenance window now"):
            checked(request_, FLEET, (), at)


def test_without_a_maintenance_window_nothing_is_restarted() -> None:
    with pytest.raises(InputError, match="no maintenance window"):
        checked(Restart("staging/auth", "auth-1", ""), FLEET, (), NOW)
