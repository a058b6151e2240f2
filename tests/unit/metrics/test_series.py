"""Which series a fleet has, and that what is not known has none."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from exposition_parser import parse
from hypothesis import given
from hypothesis import strategies as st
from metered_fleet import COUNTED, observed, picture

from pgherd.contract.meter import DatabaseCounters, InstanceCounters
from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.fleet.desired import DatabaseId
from pgherd.metrics.exposition import printable
from pgherd.metrics.families import document, families
from pgherd.metrics.picture import OfAutopilot, Picture
from pgherd.metrics.series import (
    OF_AUTOPILOT,
    OF_DATABASE,
    OF_ENGINE,
    OF_ENVIRONMENT,
    OF_INSTANCE,
)

AUTH = DatabaseId("production", "auth")
OF_AUTH = {"environment": "production", "service": "auth"}
FIRST = {**OF_AUTH, "instance": "auth-1", "role": "primary"}
SECOND = {**OF_AUTH, "instance": "auth-2", "role": "replica"}
ALL = [*OF_AUTOPILOT, *OF_ENGINE, *OF_ENVIRONMENT, *OF_DATABASE, *OF_INSTANCE]


def value(picture: Picture, name: str, **labels: str) -> float | None:
    """Of the one sample with these labels; None where there is none."""
    found = parse(document(picture)).get(name)
    return found.samples.get(tuple(labels.items())) if found else None


def with_auth(picture: Picture, **changes: object) -> Picture:
    """The same with another observation of production/auth."""
    seen = picture.seen["memory"]
    assert isinstance(seen, Observation)
    auth = replace(observed(picture.fleet.database(AUTH)), **changes)  # type: ignore[arg-type]
    return replace(
        picture, seen={"memory": replace(seen, databases={**seen.databases, AUTH: auth})}
    )


def test_everything_that_is_known_is_there() -> None:
    found = parse(document(picture()))
    assert set(found) == {"pgherd_info", *(series.name for series in ALL)}
    assert value(picture(), "pgherd_instance_cpu_seconds_total", **FIRST) == COUNTED.cpu_seconds
    assert value(picture(), "pgherd_instance_replication_lag_bytes", **SECOND) == COUNTED.lag_bytes
    assert value(picture(), "pgherd_database_cpu_usage_ratio", **OF_AUTH) == 0.5
    assert value(picture(), "pgherd_database_max_ocpus", **OF_AUTH) == 128
    assert value(picture(), "pgherd_database_state", **OF_AUTH, state="running") == 1
    assert value(picture(), "pgherd_autopilot_resizes_total", **OF_AUTH) == 12
    assert value(picture(), "pgherd_autopilot_last_round_timestamp_seconds") == 1_800_000_000.5


def test_sixty_instances_have_at_most_forty_series_each() -> None:
    found = parse(document(picture()))
    of_instances = [labels for f in found.values() for labels in f.samples if len(labels) == 4]
    assert len(set(of_instances)) == 60
    assert len(of_instances) <= 40 * 60
    assert len(OF_INSTANCE) <= 40 - len(OF_DATABASE)


@pytest.mark.parametrize("series", ALL, ids=lambda series: series.name)
def test_names_are_by_the_conventions(series: object) -> None:
    name, help = series.name, series.help  # type: ignore[attr-defined]
    assert re.fullmatch(r"pgherd_[a-z]+(_[a-z]+)*", name)
    assert help.endswith(".") and help[0].isupper() and help.isascii()
    assert not re.search(r"_(percent|milliseconds|ms|kb|mb|minutes|hours|count|sum)(_|$)", name)


def test_what_is_not_known_is_left_out_and_never_0() -> None:
    bare = Picture(picture().fleet, OfAutopilot(is_up=False))
    found = parse(document(bare))
    assert set(found) == {
        "pgherd_info",
        "pgherd_autopilot_up",
        "pgherd_database_min_ocpus",
        "pgherd_database_max_ocpus",
    }
    assert found["pgherd_autopilot_up"].samples == {(): 0.0}
    nothing = replace(
        picture(), counters={AUTH: DatabaseCounters(instances={"auth-1": InstanceCounters()})}
    )
    assert value(nothing, "pgherd_instance_connections", **FIRST) is None
    assert value(nothing, "pgherd_database_up", **OF_AUTH) == 1


def test_a_known_0_is_told() -> None:
    idle = DatabaseCounters(waiting_clients=0, instances={"auth-1": InstanceCounters(active=0)})
    found = replace(picture(), counters={AUTH: idle})
    assert value(found, "pgherd_pooler_waiting_clients", **OF_AUTH) == 0
    assert value(found, "pgherd_instance_active_connections", **FIRST) == 0
    assert (
        value(found, "pgherd_autopilot_resizes_total", environment="staging", service="auth") == 0
    )


@pytest.mark.parametrize(
    ("state", "up"),
    [
        (DatabaseState.RUNNING, 1),
        (DatabaseState.DEGRADED, 1),
        (DatabaseState.STARTING, 0),
        (DatabaseState.UNAVAILABLE, 0),
        (DatabaseState.STOPPED, None),
        (DatabaseState.UNKNOWN, None),
    ],
)
def test_a_database_is_up_while_its_primary_serves(state: DatabaseState, up: int | None) -> None:
    found = with_auth(picture(), state=state)
    assert value(found, "pgherd_database_up", **OF_AUTH) == up
    assert value(found, "pgherd_database_state", **OF_AUTH, state=state.value) == 1


@pytest.mark.parametrize(
    ("state", "up"),
    [
        (InstanceState.RUNNING, 1),
        (InstanceState.STREAMING, 1),
        (InstanceState.FAILED, 0),
        (InstanceState.STOPPED, 0),
        (InstanceState.UNKNOWN, None),
    ],
)
def test_an_instance_is_up_while_it_serves(state: InstanceState, up: int | None) -> None:
    one = (ObservedInstance("auth-1", Role.PRIMARY, state),)
    found = with_auth(picture(), state=DatabaseState.DEGRADED, instances=one)
    assert value(found, "pgherd_instance_up", **FIRST) == up
    stopped = with_auth(picture(), state=DatabaseState.STOPPED, instances=one)
    assert value(stopped, "pgherd_instance_up", **FIRST) is None


def test_a_role_that_is_not_seen_is_the_server_s_own_word() -> None:
    one = (ObservedInstance("auth-1", Role.UNKNOWN, InstanceState.RUNNING),)
    for is_primary, role in ((True, {"role": "primary"}), (False, {"role": "replica"}), (None, {})):
        counted = DatabaseCounters(instances={"auth-1": InstanceCounters(is_primary, active=4)})
        found = with_auth(replace(picture(), counters={AUTH: counted}), instances=one)
        labels = {**OF_AUTH, "instance": "auth-1", **role}
        assert value(found, "pgherd_instance_active_connections", **labels) == 4


def test_an_engine_that_does_not_answer_hides_its_databases_only() -> None:
    blind = replace(picture(), seen={"memory": Unknown("no route")})
    assert value(blind, "pgherd_engine_up", engine="memory") == 0
    assert value(blind, "pgherd_database_up", **OF_AUTH) is None
    assert value(blind, "pgherd_database_state", **OF_AUTH, state="unknown") == 1
    assert value(blind, "pgherd_environment_up", environment="production") is None
    assert value(blind, "pgherd_pooler_clients", **OF_AUTH) == 7


def test_an_environment_is_up_unless_something_ails_it_or_it_is_stopped() -> None:
    seen = picture().seen["memory"]
    assert isinstance(seen, Observation)
    ill = replace(seen, impaired={"production": "etcd"}, stopped=frozenset({"staging"}))
    found = replace(picture(), seen={"memory": ill})
    values = {
        name: value(found, "pgherd_environment_up", environment=name)
        for name in ("production", "staging", "development")
    }
    assert values == {"production": 0, "staging": None, "development": 1}


def test_a_database_that_is_not_there_says_so() -> None:
    found = replace(picture(), seen={"memory": Observation()})
    assert value(found, "pgherd_database_state", **OF_AUTH, state="absent") == 1
    assert value(found, "pgherd_database_up", **OF_AUTH) is None


@given(name=st.text(st.characters(), min_size=1, max_size=12))
def test_no_name_of_an_instance_breaks_the_document(name: str) -> None:
    counted = DatabaseCounters(instances={name: InstanceCounters(active=4), "auth-1": COUNTED})
    found = parse(document(replace(picture(), counters={AUTH: counted})))
    labels = found["pgherd_instance_active_connections"].samples
    assert any(("instance", printable(name)) in one for one in labels)
    assert len(found["pgherd_instance_cpu_seconds_total"].samples) == 1


def test_the_document_is_the_same_each_time() -> None:
    assert document(picture()) == document(picture())
    names = [family.name for family in families(picture())]
    assert len(names) == len(set(names))


def test_sixty_instances_are_written_at_once() -> None:
    whole = picture()
    began = time.process_time()
    for _ in range(5):
        document(whole)
    assert (time.process_time() - began) / 5 < 0.1
