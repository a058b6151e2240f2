"""Carrying out requests: what is stopped or gone stays so, and how refusals are told."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from pgherd.autopilot.carrying import carry_out, failure_of, require_there
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.requests import Failure, Mend, Request, Resize
from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.control.applied import History
from pgherd.decide.actions import (
    DatabaseAction,
    EnsureEnvironment,
    Interruption,
    RepairDatabase,
    RestartInstance,
    SetOcpus,
    Switchover,
)
from pgherd.engines import known
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.store.values import StoreDamaged
from pgherd.testing.fleets import database, fleet

ID = DatabaseId("production", "auth")
INSTANCES = (ObservedInstance("auth-1", Role.PRIMARY, InstanceState.RUNNING),)
MEND = RepairDatabase(ID, "")
RENEW = EnsureEnvironment("production", "")


def seen(found: ObservedDatabase | Unknown | None) -> Observation:
    return Observation(frozenset({"production"}), {ID: found} if found else {})


def there(state: DatabaseState) -> Observation:
    return seen(ObservedDatabase(ID, state, INSTANCES))


@pytest.mark.parametrize("state", set(DatabaseState) - {DatabaseState.STOPPED})
def test_what_is_there_may_be_changed(state: DatabaseState) -> None:
    require_there(MEND, there(state))


@pytest.mark.parametrize("observation", [there(DatabaseState.STOPPED), seen(None), Observation()])
def test_what_is_stopped_or_absent_stays_so(observation: Observation) -> None:
    with pytest.raises(InputError, match="is stopped, or is not there"):
        require_there(MEND, observation)


def test_what_is_unknown_is_for_later() -> None:
    with pytest.raises(TryLater, match="is not seen: no route"):
        require_there(MEND, seen(Unknown("no route")))


def test_an_environment_that_is_stopped_or_absent_stays_so() -> None:
    require_there(RENEW, Observation(frozenset({"production"})))
    stopped = Observation(frozenset({"production"}), stopped=frozenset({"production"}))
    for observation in (stopped, Observation(frozenset({"staging"}))):
        with pytest.raises(InputError, match="is stopped, or is not there"):
            require_there(RENEW, observation)


@pytest.mark.parametrize("name", ["auth-2", "", "../auth-1", "auth-1\n", "x" * 100])
def test_only_instances_that_are_seen_are_restarted_or_lead(name: str) -> None:
    observation = there(DatabaseState.RUNNING)
    restart = RestartInstance(ID, name, "", Interruption.REPLICA_RESTART)
    for action in (restart, Switchover(ID, "", name, "")):
        with pytest.raises(InputError, match="production/auth has no instance"):
            require_there(action, observation)


@pytest.mark.parametrize(
    "action",
    [
        RestartInstance(ID, "auth-1", "", Interruption.REPLICA_RESTART),
        Switchover(ID, "", "auth-1", ""),
        SetOcpus(ID, 0, 4, "", Interruption.NONE),
    ],
)
def test_those_that_are_seen_may_be(action: DatabaseAction) -> None:
    require_there(action, there(DatabaseState.RUNNING))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InputError("no", "do"), "InputError"),
        (TryLater("no", "do"), "TryLater"),
        (StoreDamaged("no", "do"), "TryLater"),
        (NeedsHuman("no", "do"), "NeedsHuman"),
        (PgherdError("no", "do"), "NeedsHuman"),
    ],
)
def test_errors_are_told_as_their_kind(error: PgherdError, kind: str) -> None:
    assert failure_of(error) == Failure(kind, "no", "do")


@pytest.fixture
def place(tmp_path: Path) -> AutopilotPlace:
    return AutopilotPlace("ecommerce", tmp_path / "e.applied", tmp_path / "e.history")


def history(place: AutopilotPlace, applied: Fleet | None) -> History:
    def read(text: str, path: Path) -> Fleet:
        raise AssertionError("it was stored")

    found = History(place.applied, known.values, read)
    if applied:
        found.record(applied, datetime(2026, 5, 4), "alice")
    return found


def carried_out(
    place: AutopilotPlace, request: Request, applied: Fleet | None = None
) -> Failure | None:
    return carry_out(request, place, history(place, applied), is_dry=True)


def test_before_anything_is_applied_it_is_for_later(place: AutopilotPlace) -> None:
    later = Failure("TryLater", "nothing is applied yet", "")
    assert carried_out(place, Mend(str(ID), "")) == later


def test_a_dry_run_says_that_nothing_was_done(place: AutopilotPlace) -> None:
    failure = carried_out(place, Mend(str(ID), ""), fleet(database()))
    assert failure
    assert (failure.kind, "--dry-run" in failure.message) == ("InputError", True)


def test_a_dry_run_refuses_what_any_other_does(place: AutopilotPlace) -> None:
    failure = carried_out(place, Resize(str(ID), 1000, ""), fleet(database(ocpus=(2, 4))))
    assert failure == Failure("InputError", f"{ID} may have 2..4 OCPUs, not 1000", "")


def test_a_file_of_pauses_that_is_damaged_lets_nothing_be_done(place: AutopilotPlace) -> None:
    past = history(place, fleet(database()))
    place.pauses.write_bytes(b"[[[")
    failure = carry_out(Mend(str(ID), ""), place, past, is_dry=True)
    assert failure
    assert "is paused" in failure.message
    assert "is damaged" in failure.message


def test_what_nobody_expected_is_for_a_person(
    place: AutopilotPlace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    past = history(place, fleet(database()))

    def broken(place: AutopilotPlace) -> None:
        raise ValueError("odd")

    monkeypatch.setattr("pgherd.autopilot.carrying.read_pauses", broken)
    failure = carry_out(Mend(str(ID), ""), place, past, is_dry=True)
    assert failure == Failure("NeedsHuman", "unexpected: ValueError('odd')", f"see {place.log}")
    assert "odd" in caplog.text
