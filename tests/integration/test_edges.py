"""The local engine where things go wrong, as a user meets it: through the commands.

A tiny fleet of one environment: auth has a replica, order has none. What can share a running
fleet does; each test leaves it running.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_place import Place, answers, eventually, listening, new_place

pytestmark = pytest.mark.integration


@pytest.fixture
def fresh() -> Iterator[Place]:
    with new_place() as place:
        yield place


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """Brought up by four runs, of which three are killed on the way."""
    with new_place() as place:
        for seconds in (0.6, 1.7, 3.1):
            process = place.start("up")
            time.sleep(seconds)
            process.kill()
            process.communicate()
        place.up()
        yield place


def test_up_finishes_what_killed_runs_began(tiny: Place) -> None:
    assert tiny.instances("auth") == ["running", "streaming"]
    assert tiny.instances("order") == ["running"]
    folders = sorted(map(str, tiny.leaders().values()))
    assert len(folders) == len(set(folders)), "a program runs twice"
    assert "nothing to do" in tiny.up()


def test_a_killed_agent_disturbs_nobody_and_the_next_adopts_all(tiny: Place) -> None:
    before = tiny.leaders()
    with tiny.connect("auth") as client:
        os.kill(tiny.agent(), signal.SIGKILL)
        assert client.execute("SELECT 1").fetchone() == (1,)
        assert answers(tiny, "order")
        tiny.up()
        assert client.execute("SELECT 1").fetchone() == (1,)
    assert tiny.leaders() == before


def test_killed_programs_come_back(tiny: Place) -> None:
    postmaster = tiny.program("instances/lab/auth/1/data")
    with tiny.connect("order") as client:
        os.kill(tiny.program("environments/lab/etcd"), signal.SIGKILL)
        os.kill(tiny.program("databases/lab/auth/1"), signal.SIGKILL)
        assert client.execute("SELECT 1").fetchone() == (1,)
    os.kill(tiny.program("databases/lab/auth/pooler"), signal.SIGKILL)
    eventually(lambda: answers(tiny, "auth"), 3)
    eventually(lambda: tiny.instances("auth") == ["running", "streaming"], 20)
    assert tiny.program("instances/lab/auth/1/data") == postmaster


def test_all_comes_back_after_a_reboot(tiny: Place) -> None:
    with tiny.connect("order") as client:
        client.execute("CREATE TABLE kept (n int)")
        client.execute("INSERT INTO kept VALUES (42)")
    tiny.kill_all()
    tiny.up()
    with tiny.connect("order") as client:
        assert client.execute("SELECT n FROM kept").fetchone() == (42,)
    assert tiny.instances("auth") == ["running", "streaming"]


def test_a_killed_fork_server_holds_nothing_up(tiny: Place) -> None:
    for _ in range(2):
        pooler = tiny.program("databases/lab/order/pooler")
        os.kill(pooler, signal.SIGKILL)
        eventually(lambda gone=pooler: gone not in tiny.processes() and answers(tiny, "order"), 10)
        # There is one now: an agent makes it with the first program that it starts.
        os.kill(tiny.forkserver(), signal.SIGKILL)


def test_a_damaged_replica_is_copied_again(tiny: Place) -> None:
    replica = next(i for i in tiny.databases()["auth"]["instances"] if i["role"] == "replica")
    number = replica["name"].removeprefix("auth-")
    tiny.kept("auth", number, "data/global/pg_control").unlink()
    os.kill(tiny.program(f"instances/lab/auth/{number}/data"), signal.SIGKILL)
    eventually(lambda: tiny.instances("auth") != ["running", "streaming"], 5)
    tiny.up()
    assert tiny.instances("auth") == ["running", "streaming"]


def test_damage_to_the_only_copy_is_said_soon(tiny: Place) -> None:
    tiny.run("down")
    control = tiny.kept("order", "1", "data/global/pg_control")
    content = control.read_bytes()
    control.unlink()
    began = time.monotonic()
    output = tiny.run("up", exit_code=4)
    assert "is damaged" in output
    assert str(control) in output
    assert time.monotonic() - began < 20
    control.write_bytes(content)
    shutil.chown(control, control.parent.owner(), control.parent.group())
    control.chmod(0o600)
    tiny.up()
    assert answers(tiny, "order")


def test_a_taken_address_is_named_at_once(tiny: Place) -> None:
    tiny.run("down")
    manifest = tiny.manifest("order")
    address, port = manifest["pooler_address"], manifest["pooler_port"]
    began = time.monotonic()
    with listening(address, port):
        output = tiny.run("up", exit_code=4)
    assert f"{address}:{port} is taken by" in output
    assert time.monotonic() - began < 45
    tiny.up()
    assert answers(tiny, "order")


def test_the_state_of_another_fleet_is_refused(tiny: Place) -> None:
    claim = tiny.root / "fleet.json"
    content = claim.read_text()
    claim.write_text('{"fleet": "other"}')
    for command in (["up"], ["down"], ["status"], ["plan"], ["url", "lab/auth"], ["certificates"]):
        assert "belongs to fleet 'other'" in tiny.run(*command, exit_code=2)
    claim.write_text(content)
    assert "nothing to do" in tiny.up()


@pytest.mark.parametrize("damage", ["", "[]", '{"service": 1}', "{"])
def test_a_damaged_manifest_is_one_row_and_is_made_again(tiny: Place, damage: str) -> None:
    path = tiny.path("order", "database.json")
    content = json.loads(path.read_text())
    path.write_text(damage)
    assert tiny.databases()["order"]["detail"] == "its manifest is damaged"
    assert tiny.instances("auth") == ["running", "streaming"]
    tiny.run("url", "lab/auth")
    assert "order" in tiny.up()
    assert json.loads(path.read_text()) == content
    assert answers(tiny, "order")


def test_what_served_before_its_making_was_cut_off_is_noted_as_made(tiny: Place) -> None:
    """Else its data, once lost, would be made anew, empty, as if there had never been any."""
    path = tiny.path("order", "database.json")
    content = json.loads(path.read_text())
    with tiny.connect("order") as client:
        path.write_text(json.dumps(content | {"made": False}))
        assert "its making was not ended" in tiny.run("plan")
        assert "order" in tiny.up()
        assert json.loads(path.read_text()) == content | {"made": True}
        assert client.execute("SELECT 1").fetchone() == (1,)
    assert "nothing to do" in tiny.up()


def test_an_agent_begins_beside_a_damaged_manifest(tiny: Place) -> None:
    path = tiny.path("order", "database.json")
    content = json.loads(path.read_text())
    path.write_text("{")
    before = tiny.agent()
    os.kill(before, signal.SIGKILL)
    eventually(lambda: tiny.agent() != before, 10)
    assert tiny.instances("auth") == ["running", "streaming"]
    tiny.run("down")
    assert not tiny.leaders()
    tiny.up()
    assert json.loads(path.read_text()) == content
    assert answers(tiny, "order")


def test_a_version_is_refused_in_one_line(tiny: Place, fresh: Place) -> None:
    fresh.want(more="    postgresql: 18")
    if Path("/usr/lib/postgresql/18/bin/postgres").exists():
        pytest.skip("PostgreSQL 18 is installed")
    output = fresh.run("up", exit_code=2)
    assert output.count("error:") == 1
    assert "PostgreSQL 18 is not installed, only" in output
    assert "PostgreSQL 18 is not installed, only" in fresh.run("plan", exit_code=2)
    tiny.want(more="    postgresql: 18")
    assert "does not change major versions" in tiny.run("up", exit_code=2)
    tiny.want()


def test_two_commands_at_once(tiny: Place) -> None:
    with tiny.root.with_name("tiny.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is at work" in tiny.run("up", "--no-wait", exit_code=3)
        waiting = tiny.start("up")
        assert waiting.stdout
        assert "waiting for" in waiting.stdout.readline()
        assert waiting.poll() is None
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0


def test_the_fleet_file_changes(tiny: Place) -> None:
    with tiny.connect("auth") as client:
        client.execute("CREATE TABLE precious (n int)")
    tiny.want(services="auth, order, cart", replicas="2..2")
    tiny.up()
    found = tiny.databases()
    assert tiny.instances("auth") == ["running", "streaming", "streaming"]
    assert found.keys() == {"auth", "order", "cart"}
    assert tiny.instances("cart") == ["running"]
    tiny.want(replicas="1..1")
    assert "--yes-destroy" in tiny.run("up", exit_code=2)
    assert tiny.instances("auth") == ["running", "streaming"]
    assert tiny.path("cart").exists()
    tiny.run("up", "--yes-destroy", "lab/cart")
    assert not tiny.path("cart").exists()
    with tiny.connect("auth") as client:
        assert client.execute("SELECT count(*) FROM precious").fetchone() == (0,)


def test_less_is_wanted_of_what_a_standby_needs_as_much_of_as_its_primary(fresh: Place) -> None:
    """Nobody waits for a restart that would change nothing."""
    fresh.want(services="auth", ocpus="1..8")
    fresh.up()
    fresh.want(services="auth", ocpus="2..8")
    fresh.up()
    assert fresh.databases()["auth"]["ocpus"] == 2
    fresh.want(services="auth", ocpus="1..1")
    fresh.up()
    assert fresh.databases()["auth"]["ocpus"] == 1
    assert "nothing to do" in fresh.up()


@pytest.mark.alone
def test_ports_that_others_have_give_way(fresh: Place) -> None:
    fresh.want(services="auth", replicas="0..1")
    with contextlib.ExitStack() as others:
        try:
            for port in (5432, 6432, 2379):
                others.enter_context(listening("0.0.0.0", port))  # noqa: S104 - that is the case
        except OSError:
            pytest.skip("another fleet of this machine has these ports")
        fresh.up()
    book = json.loads((fresh.root / "addresses.json").read_text())
    assert (book["ports"]["postgresql"], book["ports"]["etcd"]) == (15432, 12379)
    fresh.run("down")
    fresh.up()
    assert fresh.manifest("auth")["pooler_port"] == 16432
    assert answers(fresh, "auth")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_full_disk(fresh: Place) -> None:
    fresh.want(services="auth", replicas="0..1")
    disk = fresh.root.parent
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=90m,mode=755", "none", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        assert "MB free" in fresh.run("up", exit_code=4)
        assert not fresh.path("auth").exists()
        subprocess.run(["mount", "-o", "remount,size=600m", str(disk)], check=True)
        fresh.up()
        assert answers(fresh, "auth")
    finally:
        fresh.kill_all()
        # The fork server, which works nowhere, ends a moment after its agent.
        eventually(lambda: subprocess.run(["umount", str(disk)], check=False).returncode == 0, 5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_another_user_may_not_look(tiny: Place) -> None:
    if not os.access(sys.executable, os.X_OK) or sys.executable.startswith("/root"):
        pytest.skip("others cannot run this Python")
    process = subprocess.run(
        ["setpriv", "--reuid=nobody", "--clear-groups", sys.executable, "-m", "pgherd", "status"],
        cwd=tiny.folder,
        env={**os.environ, "PGHERD_STATE": str(tiny.root.parent), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert "belongs to another user" in process.stderr
