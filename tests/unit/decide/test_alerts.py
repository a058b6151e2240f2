"""Alerts: what is so raises them, what is not known raises none, and thresholds are no alerts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pgherd.contract.meter import InstanceUsage, Usage
from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.decide.alerts import (
    LAG_BYTES,
    LONGEST_TRANSACTION,
    LONGEST_WAIT,
    WRAPAROUND_AGE,
    Alert,
    of_database,
    starting,
)
from pgherd.fleet.desired import DatabaseId

ID = "production/auth"
PRIMARY = ObservedInstance("auth-1", Role.PRIMARY, InstanceState.RUNNING)
REPLICA = ObservedInstance("auth-2", Role.REPLICA, InstanceState.STREAMING, lag_bytes=0)
SEEN = ObservedDatabase(DatabaseId("production", "auth"), DatabaseState.RUNNING, (PRIMARY, REPLICA))
USAGE = Usage(datetime(2026, 5, 4, tzinfo=UTC))


def raised(
    seen: ObservedDatabase | Unknown | None = None, usage: Usage | None = None
) -> list[Alert]:
    return list(of_database(ID, seen, usage))


def of_instance(**usage: float | None) -> list[Alert]:
    return raised(usage=replace(USAGE, instances={"auth-1": InstanceUsage(**usage)}))  # type: ignore[arg-type]


@pytest.mark.parametrize("usage", [None, USAGE, replace(USAGE, instances={"a": InstanceUsage()})])
def test_what_is_well_or_absent_raises_none(usage: Usage | None) -> None:
    assert raised(SEEN, usage) == []
    assert raised(None, usage) == []


@pytest.mark.parametrize(
    "state", [DatabaseState.RUNNING, DatabaseState.STARTING, DatabaseState.STOPPED]
)
def test_states_that_are_meant_raise_none(state: DatabaseState) -> None:
    assert raised(replace(SEEN, state=state)) == []


def test_what_is_not_seen_says_why() -> None:
    (alert,) = raised(Unknown("no route"))
    assert (alert.name, alert.subject) == ("unseen", ID)
    assert "no route" in alert.summary
    assert alert.remedy


@pytest.mark.parametrize("state", [DatabaseState.UNAVAILABLE, DatabaseState.UNKNOWN])
@pytest.mark.parametrize("detail", ["", "the disk is full"])
def test_what_does_not_serve(state: DatabaseState, detail: str) -> None:
    (alert,) = raised(replace(SEEN, state=state, detail=detail))
    assert alert.name == "unavailable"
    assert (detail or "no primary") in alert.summary
    assert f"pgherd logs {ID}" in alert.remedy


@pytest.mark.parametrize("detail", ["", "no instance leads"])
def test_what_starts_for_too_long_says_why(detail: str) -> None:
    seen = replace(SEEN, state=DatabaseState.STARTING, detail=detail)
    (alert,) = of_database(ID, seen, None, starts_too_long=True)
    assert (alert.name, alert.subject) == ("starting", ID)
    why = detail or "it is starting, and nothing says why it takes so long"
    assert alert.summary == f"it does not come up: {why}"
    assert f"pgherd logs {ID}" in alert.remedy


@pytest.mark.parametrize("state", set(DatabaseState) - {DatabaseState.STARTING})
def test_what_has_another_state_is_not_said_to_start(state: DatabaseState) -> None:
    found = of_database(ID, replace(SEEN, state=state), None, starts_too_long=True)
    assert [alert for alert in found if alert.name == "starting"] == []


def test_since_when_databases_start() -> None:
    starts = replace(SEEN, state=DatabaseState.STARTING)
    assert starting({}, {ID: starts}, 7.0) == {ID: 7.0}
    assert starting({ID: 7.0}, {ID: starts}, 9.0) == {ID: 7.0}
    assert starting({ID: 7.0}, {ID: SEEN}, 9.0) == {}
    assert starting({ID: 7.0}, {}, 9.0) == {}  # it has left the fleet


@pytest.mark.parametrize("seen", [None, Unknown("no route")])
def test_who_is_not_seen_has_neither_come_up_nor_begun_to_start(seen: Unknown | None) -> None:
    assert starting({ID: 7.0}, {ID: seen}, 9.0) == {ID: 7.0}
    assert starting({}, {ID: seen}, 9.0) == {}


def test_what_serves_in_part_names_those_that_do_not() -> None:
    failed = replace(REPLICA, state=InstanceState.FAILED)
    (alert,) = raised(replace(SEEN, state=DatabaseState.DEGRADED, instances=(PRIMARY, failed)))
    assert alert.name == "degraded"
    assert alert.summary.endswith(": auth-2 is failed")


def test_what_serves_in_part_for_another_reason_says_that() -> None:
    (alert,) = raised(replace(SEEN, state=DatabaseState.DEGRADED, detail="its pooler is gone"))
    assert alert.summary.endswith(": its pooler is gone")


def test_a_replica_that_lags() -> None:
    def lagging(by: int | None, role: Role = Role.REPLICA) -> list[Alert]:
        return raised(replace(SEEN, instances=(replace(REPLICA, lag_bytes=by, role=role),)))

    (alert,) = lagging(LAG_BYTES + 1)
    assert (alert.name, alert.subject) == ("replica-lags", f"{ID}/auth-2")
    assert "behind" in alert.summary
    assert lagging(LAG_BYTES) == []
    assert lagging(None) == []
    assert lagging(LAG_BYTES + 1, Role.PRIMARY) == []


def test_clients_that_wait() -> None:
    waiting = replace(USAGE, longest_wait_seconds=LONGEST_WAIT + 1, waiting_clients=7)
    (alert,) = raised(SEEN, waiting)
    assert (alert.name, alert.subject) == ("clients-wait", ID)
    assert alert.summary == "7 clients wait for a connection, the first for 6 s"
    assert raised(SEEN, replace(waiting, longest_wait_seconds=LONGEST_WAIT)) == []
    assert raised(SEEN, replace(waiting, longest_wait_seconds=None)) == []
    (alert,) = raised(SEEN, replace(waiting, waiting_clients=None))
    assert alert.summary.startswith("0 clients")


def test_transaction_ids_that_come_to_an_end() -> None:
    (alert,) = of_instance(transaction_age=WRAPAROUND_AGE + 1)
    assert (alert.name, alert.subject) == ("wraparound", f"{ID}/auth-1")
    assert "1000 million" in alert.summary
    assert of_instance(transaction_age=WRAPAROUND_AGE) == []


def test_a_transaction_that_is_open_for_long() -> None:
    longer = LONGEST_TRANSACTION * 1.5
    (alert,) = of_instance(is_primary=True, oldest_transaction_seconds=longer)
    assert (alert.name, alert.subject) == ("old-transaction", f"{ID}/auth-1")
    assert "1.5 h" in alert.summary
    assert of_instance(is_primary=True, oldest_transaction_seconds=LONGEST_TRANSACTION) == []
    assert of_instance(is_primary=True, oldest_transaction_seconds=None) == []
    assert of_instance(is_primary=False, oldest_transaction_seconds=longer) == []
    assert of_instance(is_primary=None, oldest_transaction_seconds=longer) == []


def test_all_that_is_wrong_is_said_at_once_and_each_once() -> None:
    ill = InstanceUsage(True, transaction_age=2 * WRAPAROUND_AGE, oldest_transaction_seconds=1e6)
    usage = replace(USAGE, longest_wait_seconds=60.0, instances={"auth-1": ill, "auth-2": ill})
    replica = replace(REPLICA, lag_bytes=2 * LAG_BYTES, state=InstanceState.FAILED)
    seen = replace(SEEN, state=DatabaseState.DEGRADED, instances=(PRIMARY, replica))
    found = raised(seen, usage)
    assert len(found) == 7
    assert len({(alert.name, alert.subject) for alert in found}) == 7
