"""The autopilot over a real fleet: it sizes, mends and tells, and nothing that dies stops it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tiny_place import Place, eventually, new_place

from pgherd.autopilot.place import AutopilotPlace, place_of
from pgherd.autopilot.questions import State, Status, ask
from pgherd.engines.local import control_trees, processes
from pgherd.engines.local.layout import data_plane_owner

pytestmark = pytest.mark.integration
needs_quotas = pytest.mark.skipif(
    bool(control_trees.lack(None)), reason=control_trees.lack(None) or "quotas can be set"
)


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """`auth` has a replica, `order` has none and may grow from 1 to 4 OCPUs."""
    with new_place(has_autopilot=True) as place:
        place.up()
        yield place


def autopilot_of(place: Place) -> AutopilotPlace:
    return place_of(place.root.with_name(f"{place.fleet}.applied"))


def state(place: Place) -> State:
    found = ask(autopilot_of(place), Status())
    assert found, "no autopilot answers"
    return found


def rounds_go_on(place: Place, after: float | None = None, seconds: float = 30) -> State:
    """One round more has ended since."""
    since = time.time() if after is None else after

    def has_ended() -> bool:
        found = ask(autopilot_of(place), Status())
        return bool(found and (found.last_round_at or 0) > since)

    eventually(has_ended, seconds)
    return state(place)


def parts(place: Place) -> dict[str, list[int]]:
    """Helpers and controllers, which have one title, and keepers."""
    found: dict[str, list[int]] = {"main": [], "keeper": []}
    folder = str(autopilot_of(place).applied)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            words = processes.title(int(entry.name)).split("\0")
            for name, pids in found.items():
                if f"pgherd.autopilot.{name}" in words and folder in words:
                    pids.append(int(entry.name))
    return found


def events(place: Place, target: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(place.run("events", target, "--json"))["events"]
    return found


def test_up_leaves_it_running_and_a_second_one_is_refused(tiny: Place) -> None:
    said = json.loads(tiny.run("status", "--json"))["autopilot"]
    assert said["state"] == "running"
    running = rounds_go_on(tiny)
    refused = tiny.run("run", exit_code=3)
    assert f"process {running.pid}" in refused
    assert state(tiny).pid == running.pid


def test_the_controller_has_the_rights_of_the_data_plane_only(tiny: Place) -> None:
    running = rounds_go_on(tiny)
    assert running.controller
    owner = data_plane_owner()
    status = Path(f"/proc/{running.controller}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) == {str(owner.uid)}
    assert set(fields["Gid"].split()) == {str(owner.gid)}
    if owner.is_another:
        assert int(fields["CapEff"], 16) == 0
        assert fields["Groups"].strip() in ("", str(owner.gid))
        place = autopilot_of(tiny)
        for path in (place.socket, place.pauses, place.lock):
            tried = subprocess.run(
                ["/usr/bin/test", "-e", path], user=owner.uid, group=owner.gid, check=False
            )
            assert tried.returncode != 0, f"{path} can be seen"
    assert Path(f"/proc/{running.controller}/stat").read_text().rpartition(")")[2].split()[4] == "0"
    opened = [
        os.readlink(path)
        for path in Path(f"/proc/{running.controller}/fd").iterdir()
        if path.is_symlink()
    ]
    assert not [name for name in opened if name.startswith(str(autopilot_of(tiny).applied))]
    assert not [name for name in opened if name.startswith(("/dev/pts", "/dev/tty"))]


@needs_quotas
def test_a_busy_database_grows_and_no_connection_notices(tiny: Place) -> None:
    with tiny.connect("order") as client:
        pid = client.execute("SELECT pg_backend_pid()").fetchone()
        failures: list[Exception] = []
        is_over = threading.Event()

        def work() -> None:
            while not is_over.is_set():
                try:
                    client.execute("SELECT sum(sqrt(i)) FROM generate_series(1, 400000) AS i")
                except psycopg.Error as error:
                    failures.append(error)
                    return

        worker = threading.Thread(target=work)
        worker.start()
        try:
            eventually(lambda: tiny.databases()["order"]["ocpus"] == 4, 120)
        finally:
            is_over.set()
            worker.join()
        assert not failures
        assert client.execute("SELECT pg_backend_pid()").fetchone() == pid
    scaled = [e for e in events(tiny, "lab/order") if e["kind"] == "scale"]
    assert [e["ocpus"] for e in scaled] == [{"from": 2, "to": 4}, {"from": 1, "to": 2}]
    assert all("above 80%" in e["reason"] and e["seconds"] < 20 for e in scaled)
    eventually(lambda: "lab/order: 4 OCPUs of 1..4: " in tiny.run("why", "lab/order"), 20)
    assert "ocpus 1 → 2: cpu" in tiny.run("why", "lab/order")
    assert "nothing to do" in tiny.up(), "up takes a chosen size back"


def test_whatever_part_of_it_dies_comes_back(tiny: Place) -> None:
    for _ in range(2):
        before = rounds_go_on(tiny)
        assert before.controller
        os.kill(before.controller, signal.SIGKILL)
        after = rounds_go_on(tiny)
        assert (after.pid, after.controller != before.controller) == (before.pid, True)
    (keeper,) = parts(tiny)["keeper"]
    os.kill(keeper, signal.SIGKILL)
    eventually(lambda: [p for p in parts(tiny)["keeper"] if p != keeper], 10)
    before = rounds_go_on(tiny)
    os.kill(before.pid, signal.SIGKILL)
    after = rounds_go_on(tiny)
    assert after.pid != before.pid
    eventually(lambda: len(parts(tiny)["main"]) == 2 and len(parts(tiny)["keeper"]) == 1, 20)


def test_what_stands_still_is_replaced(tiny: Place) -> None:
    before = rounds_go_on(tiny)
    assert before.controller
    os.kill(before.controller, signal.SIGSTOP)
    eventually(lambda: state(tiny).controller not in (None, before.controller), 20)
    before = rounds_go_on(tiny)
    os.kill(before.pid, signal.SIGSTOP)

    def another() -> bool:
        found = ask(autopilot_of(tiny), Status())
        return bool(found and found.pid != before.pid)

    eventually(another, 40)
    rounds_go_on(tiny)


def test_a_history_that_is_lost_or_damaged_is_begun_anew(tiny: Place) -> None:
    store = autopilot_of(tiny).store
    rounds_go_on(tiny)
    for name in ("history.db", "history.db-wal", "history.db-shm"):
        store.with_name(name).unlink(missing_ok=True)
    rounds_go_on(tiny)
    eventually(store.is_file, 20)
    store.write_bytes(os.urandom(200_000))
    rounds_go_on(tiny)
    eventually(lambda: json.loads(tiny.run("why", "lab/auth", "--json"))["ocpus"] == 1, 60)


def test_what_the_history_is_replaced_by_is_not_followed(tiny: Place) -> None:
    """Whoever the history belongs to may put a link in its place, or a pipe that nobody fills."""
    secret = tiny.folder / "secret"
    secret.write_text("hunter2")
    secret.chmod(0o600)
    store = autopilot_of(tiny).store
    for put_there in (lambda: store.symlink_to(secret), lambda: os.mkfifo(store)):
        store.unlink()
        put_there()
        code, said = tiny.outcome("events", "--json")
        assert code in (0, 3), said
        assert "hunter2" not in said
        assert secret.read_text() == "hunter2"
    eventually(lambda: store.is_file() and not store.is_symlink(), 60)
    rounds_go_on(tiny)


def test_a_fleet_file_that_is_broken_changes_nothing(tiny: Place) -> None:
    file = tiny.folder / "fleet.yaml"
    before = file.read_text()
    file.write_text("fleet: [broken")
    try:
        rounds_go_on(tiny)
        assert state(tiny).alerts == 0
    finally:
        file.write_text(before)


def test_a_lost_replica_is_copied_again_with_nobody_doing_anything(tiny: Place) -> None:
    leaders = tiny.databases()["auth"]["instances"]
    number = next(i["name"][-1] for i in leaders if i["role"] == "replica")
    data = tiny.kept("auth", number, "data")
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    shutil.rmtree(data, ignore_errors=True)
    eventually(lambda: tiny.instances("auth") == ["running", "streaming"], 240)


def test_up_beside_it_hardly_waits(tiny: Place) -> None:
    """It holds the lock only while it acts, and it has nothing to do."""
    rounds_go_on(tiny)
    assert "waiting for" not in tiny.up()


def test_nobody_but_its_user_can_ask_it_to_leave(tiny: Place) -> None:
    owner = data_plane_owner()
    if not owner.is_another:
        pytest.skip("the autopilot is this user's own")
    script = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        's.sendall(b\'{"type": "Leave"}\')'
    )
    tried = subprocess.run(
        ["/usr/bin/python3", "-c", script, str(autopilot_of(tiny).socket)],
        user=owner.uid,
        group=owner.gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PermissionError" in tried.stderr
    rounds_go_on(tiny)


def test_rubbish_at_its_door_disturbs_it_not(tiny: Place) -> None:
    for rubbish in (b"", b"\0" * 100, b"[" * 50_000, b'{"type": "Resize"}'):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(autopilot_of(tiny).socket))
            client.sendall(rubbish)
    rounds_go_on(tiny)


def test_it_can_be_scraped(tiny: Place) -> None:
    file = tiny.folder / "fleet.yaml"
    before = file.read_text()
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    file.write_text(f"{before}\nmonitoring: {{listen: 127.0.0.1:{port}}}\n")
    try:
        tiny.up()

        def scraped() -> str:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                    return str(answer.read().decode())
            except OSError:
                return ""

        eventually(
            lambda: 'pgherd_database_up{environment="lab",service="auth"} 1' in scraped(), 60
        )
        eventually(lambda: "pgherd_instance_cpu_seconds_total" in scraped(), 60)
        assert "pgherd_autopilot_up 1" in tiny.run("metrics")
    finally:
        file.write_text(before)
        tiny.up()


def test_down_ends_all_of_it(tiny: Place) -> None:
    """The last one: everything is stopped afterwards."""
    tiny.run("down")
    eventually(lambda: not any(parts(tiny).values()), 10)
    assert json.loads(tiny.outcome("status", "--json")[1])["autopilot"]["state"] == "stopped"
    tiny.up()
    rounds_go_on(tiny)


def test_who_reads_gets_another_replica_and_no_session_notices() -> None:
    with new_place() as place, contextlib.ExitStack() as stack:
        place.want(services="auth")
        place.up()
        replace(place, has_autopilot=True).up()  # which has seen no change of their number
        url = place.run("url", "lab/auth", "--role", "read-only").strip()

        def session() -> psycopg.Connection[Any]:
            return stack.enter_context(psycopg.connect(url, autocommit=True))

        # As many as one server takes of a reader are too many for it.
        sessions = [session() for _ in range(5)]
        backends = [s.execute("SELECT pg_backend_pid()").fetchone() for s in sessions]
        eventually(lambda: place.instances("auth") == ["running", "streaming", "streaming"], 150)
        (event,) = (e for e in events(place, "lab/auth") if e["kind"] == "replicas")
        assert event["replicas"] == 2
        assert event["reason"].startswith("clients that read need 2 of 1 servers")
        assert backends == [s.execute("SELECT pg_backend_pid()").fetchone() for s in sessions]

        # Sessions that are opened now lead to the new one too.
        def servers() -> set[object]:
            more = [session() for _ in range(4)]
            found = {s.execute("SELECT inet_server_addr()").fetchone() for s in (*sessions, *more)}
            for one in more:
                one.close()
            return found

        eventually(lambda: len(servers()) == 2, 30)
