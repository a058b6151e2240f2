"""Carrying out requests: what is stopped or gone stays so, and how refusals are told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path

import msgspec
import pytest

from pgherd.autopilot import variables
from pgherd.autopilot.carrying import done, failure_of, require_there
from pgherd.autopilot.checks import require_gentle
from pgherd.autopilot.looked import Looked
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.requests import DropArchive, Failure, Look, Mend, Prove, Resize, Work
from pgherd.contract.meter import Usage
from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.contract.proofs import Hire
from pgherd.control.applied import History
from pgherd.control.up import converge
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
from pgherd.fleet.calendar import Weekday, Window
from pgherd.fleet.desired import Database, DatabaseId, Fleet
from pgherd.store.values import StoreDamaged
from pgherd.testing.clock import FakeClock
from pgherd.testing.fleets import database, environment, fleet
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World

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
    place: AutopilotPlace, request: Work, applied: Fleet | None = None
) -> Failure | None:
    return done(request, place, history(place, applied), is_dry=True).failure


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


def test_what_was_applied_just_before_the_lock_was_taken_decides(
    place: AutopilotPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = history(place, fleet(database(ocpus=(2, 8))))

    @contextmanager
    def taken_late(*lock: object, **how: object) -> Iterator[None]:
        smaller = replace(fleet(database(ocpus=(2, 4))), text="another file")
        past.record(smaller, datetime(2026, 5, 5), "bob")
        yield

    monkeypatch.setattr("pgherd.autopilot.carrying.fleet_lock", taken_late)
    failure = done(Resize(str(ID), 8, ""), place, past, False).failure
    assert failure == Failure("InputError", f"{ID} may have 2..4 OCPUs, not 8", "")


def test_a_file_of_pauses_that_is_damaged_lets_nothing_be_done(place: AutopilotPlace) -> None:
    past = history(place, fleet(database()))
    place.pauses.write_bytes(b"[[[")
    failure = done(Mend(str(ID), ""), place, past, is_dry=True).failure
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
    failure = done(Mend(str(ID), ""), place, past, is_dry=True).failure
    assert failure == Failure("NeedsHuman", "unexpected: ValueError('odd')", f"see {place.log}")
    assert "odd" in caplog.text


@pytest.mark.parametrize("engine", ["memory", "local", "oci", "", "../oci", "x" * 100])
def test_no_engine_is_looked_at_that_the_fleet_does_not_sign_in_to(
    place: AutopilotPlace, engine: str
) -> None:
    failure = carried_out(place, Look(engine), fleet(database()))
    assert failure
    assert (failure.kind, "is none to ask for" in failure.message) == ("InputError", True)


def test_an_engine_is_looked_at_where_nothing_is_changed_too(
    place: AutopilotPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    auth = database(environment=environment(engine="oci"))
    opened = MemoryEngine(world, name="oci")
    asyncio.run(converge(fleet(auth), {"oci": opened}, clock=FakeClock()))
    world.usage[ID] = [Usage(datetime.now(UTC), 50.0, ocpus=2)]
    monkeypatch.setattr("pgherd.autopilot.carrying.open_engine", lambda *_: opened)
    end = done(Look("oci"), place, history(place, fleet(auth)), is_dry=True)
    assert end.failure is None
    looked = msgspec.json.decode(end.looked, type=Looked)
    assert looked.observation == asyncio.run(opened.observe(roles=False))
    assert looked.usages[str(ID)].cpu_percent == 50.0
    world.blind_next(TryLater("no route"))
    failure = done(Look("oci"), place, history(place, fleet(auth)), is_dry=True).failure
    assert failure == Failure("TryLater", "no route", "")


def test_who_is_cut_off_by_a_smaller_size_gets_it_in_maintenance_only() -> None:
    auth = database()
    found = ObservedDatabase(ID, DatabaseState.RUNNING, INSTANCES, 4, resize_ends_connections=True)
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)

    def resize(ocpus: int, of: Database = auth, now: ObservedDatabase = found) -> None:
        require_gentle(SetOcpus(ID, 0, ocpus, "", Interruption.NONE), of, seen(now), noon)

    resize(8)
    for ocpus in (2, 4):
        with pytest.raises(InputError, match="within its maintenance only"):
            resize(ocpus)
    with pytest.raises(InputError, match="within its maintenance only"):
        resize(8, now=replace(found, ocpus=None))
    resize(2, now=replace(found, resize_ends_connections=False))
    window = Window(frozenset({Weekday.MON}), time(11), time(13), "UTC")
    resize(2, of=replace(auth, maintenance=(window,)))


def test_what_signs_in_is_kept_for_its_engines_alone(
    place: AutopilotPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {"HOME": "/home/alice", "OCI_CONFIG_FILE": "/home/alice/oci", "PGPASSWORD": "secret"}
    on_oci = fleet(database(environment=environment(engine="oci")))
    place.applied.mkdir()
    variables.keep(place, on_oci, mine)
    assert place.variables.stat().st_mode & 0o777 == 0o600
    assert "secret" not in place.variables.read_text()
    monkeypatch.setattr(os, "environ", {"HOME": "/"})
    variables.take(place, fleet(database()))
    assert os.environ == {"HOME": "/"}
    variables.take(place, on_oci)
    assert os.environ == {"HOME": "/home/alice", "OCI_CONFIG_FILE": "/home/alice/oci"}
    place.variables.write_text('{"LD_PRELOAD": "/tmp/x", "HOME": "/root"}')
    variables.take(place, on_oci)
    assert "LD_PRELOAD" not in os.environ
    for damaged in ("{", "[]", '{"HOME": 1}'):
        place.variables.write_text(damaged)
        variables.take(place, on_oci)
    variables.keep(place, fleet(database()), mine)
    assert not place.variables.exists()


def test_what_others_could_have_written_signs_nobody_in(place: AutopilotPlace) -> None:
    place.applied.mkdir()
    place.variables.write_text('{"HOME": "/tmp/evil"}')
    place.variables.chmod(0o666)
    with pytest.raises(InputError, match="may be changed by others"):
        variables.take(place, fleet(database(environment=environment(engine="oci"))))


def test_an_archive_that_the_fleet_file_keeps_is_not_given_up(place: AutopilotPlace) -> None:
    failure = done(
        DropArchive(str(ID), ""), place, history(place, fleet(database())), False
    ).failure
    assert failure is not None
    assert (failure.kind, failure.message) == (
        "InputError",
        f"the archive of {ID} is to be kept, whatever happens",
    )


@pytest.mark.parametrize("hire", [None, Hire(2, 3600.0)])
def test_a_proof_that_costs_is_not_begun_unasked(
    place: AutopilotPlace, monkeypatch: pytest.MonkeyPatch, hire: Hire | None
) -> None:
    world, auth = World(hire=hire), database()
    engine = MemoryEngine(world)

    async def make() -> None:
        await engine.ensure_environment(auth.environment)
        await engine.ensure_database(auth)
        assert engine.backups is not None
        await engine.backups.back_up(ID)

    asyncio.run(make())
    monkeypatch.setattr("pgherd.autopilot.carrying.open_engine", lambda *_: engine)
    failure = done(Prove(str(ID), ""), place, history(place, fleet(auth)), False).failure
    assert len(world.databases[ID].proofs) == (hire is None)
    refused = f"a proof of {ID} costs: it is begun by `pgherd drill restore` alone"
    assert failure == (hire and Failure("InputError", refused, ""))
