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
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

pytestmark = pytest.mark.integration

FLEET = """\
fleet: tiny
services: [{services}]
environments:
  lab:
    engine: local
    network: 10.0.0.0/16
    availability_domains: 2
    ocpus: {ocpus}
    storage: 1TB
    replicas: 0..2
{more}
overrides:
  lab/auth: {{replicas: {replicas}}}
"""


@dataclass(frozen=True)
class Place:
    """A folder with a fleet file and the state of its fleet."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "state/tiny"

    def want(
        self,
        services: str = "auth, order",
        ocpus: str = "1..4",
        replicas: str = "1..2",
        more: str = "",
    ) -> None:
        text = FLEET.format(services=services, ocpus=ocpus, replicas=replicas, more=more)
        (self.folder / "fleet.yaml").write_text(text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pgherd", *arguments],
            cwd=self.folder,
            env={**os.environ, "PGHERD_STATE": str(self.root.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        ended_with, output = self.outcome(*arguments)
        assert ended_with == exit_code, output
        return output

    def outcome(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def up(self) -> str:
        return self.run("up")

    def databases(self) -> dict[str, Any]:
        # It ends with 3 where something cannot be seen, as while etcd starts again.
        ended_with, output = self.outcome("status", "--json")
        assert ended_with in (0, 3), output
        found, _ = json.JSONDecoder().raw_decode(output)  # what it could not see comes after
        return {d["service"]: d for d in found["databases"]}

    def instances(self, service: str) -> list[str]:
        return sorted(i["state"] for i in self.databases()[service]["instances"])

    def manifest(self, service: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.path(service, "database.json").read_text())
        return content

    def path(self, service: str, *parts: str) -> Path:
        return self.root.joinpath("databases/lab", service, *parts)

    def connect(self, service: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.run("url", f"lab/{service}").strip(), autocommit=True)

    def agents(self) -> list[int]:
        """The agent and its keeper; the fork server ends with them."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "cmdline").read_bytes().endswith(
                    b"pgherd.engines.local.agent\0" + os.fsencode(self.root) + b"\0"
                ):
                    found.append(int(entry.name))
        return found

    def agent(self) -> int:
        """The one that works: a keeper waits beside it."""
        return int(json.loads((self.root / "run/agent.lock").read_text())["pid"])

    def forkserver(self) -> int:
        """The agent's child that works nowhere."""
        children = Path(f"/proc/{self.agent()}/task/{self.agent()}/children").read_text().split()
        (pid,) = (p for p in children if Path(f"/proc/{p}/cwd").readlink() == Path("/"))
        return int(pid)

    def processes(self) -> dict[int, Path]:
        """Those that work below the state folder, each with its working directory."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (cwd := (entry / "cwd").readlink()).is_relative_to(
                    self.folder
                ):
                    found[int(entry.name)] = cwd
        return found

    def leaders(self) -> dict[int, Path]:
        """What was started as a program of its own; of each PostgreSQL, the postmaster."""
        return {p: cwd for p, cwd in self.processes().items() if _is_program(p, cwd)}

    def program(self, *parts: str) -> int:
        """The one program that works in that folder."""
        (pid,) = (p for p, cwd in self.leaders().items() if cwd == self.root.joinpath(*parts))
        return pid

    def kill_all(self) -> None:
        while found := {*self.processes(), *self.agents()}:
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)


def _is_program(pid: int, cwd: Path) -> bool:
    """PostgreSQL's own children begin sessions too."""
    with contextlib.suppress(OSError, ValueError):
        if cwd.name == "data":
            return int((cwd / "postmaster.pid").read_text().split()[0]) == pid
        return os.getsid(pid) == pid
    return False


def eventually(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.1)


def answers(place: Place, service: str) -> bool:
    with contextlib.suppress(psycopg.Error), place.connect(service) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
    return False


@contextlib.contextmanager
def listening(address: str, port: int) -> Iterator[None]:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((address, port))
        other.listen()
        yield


@contextlib.contextmanager
def new_place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="e-"))
    folder.chmod(0o755)
    place = Place(folder)
    place.want()
    try:
        yield place
    finally:
        place.kill_all()
        shutil.rmtree(folder)


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
    postmaster = tiny.program("databases/lab/auth/1/data")
    with tiny.connect("order") as client:
        os.kill(tiny.program("environments/lab/etcd"), signal.SIGKILL)
        os.kill(tiny.program("databases/lab/auth/1"), signal.SIGKILL)
        assert client.execute("SELECT 1").fetchone() == (1,)
    os.kill(tiny.program("databases/lab/auth/pooler"), signal.SIGKILL)
    eventually(lambda: answers(tiny, "auth"), 3)
    eventually(lambda: tiny.instances("auth") == ["running", "streaming"], 20)
    assert tiny.program("databases/lab/auth/1/data") == postmaster


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
    tiny.path("auth", number, "data/global/pg_control").unlink()
    os.kill(tiny.program(f"databases/lab/auth/{number}/data"), signal.SIGKILL)
    eventually(lambda: tiny.instances("auth") != ["running", "streaming"], 5)
    tiny.up()
    assert tiny.instances("auth") == ["running", "streaming"]


def test_damage_to_the_only_copy_is_said_soon(tiny: Place) -> None:
    tiny.run("down")
    control = tiny.path("order", "1", "data/global/pg_control")
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
def test_a_damaged_manifest_is_named(tiny: Place, damage: str) -> None:
    path = tiny.path("order", "database.json")
    content = path.read_text()
    path.write_text(damage)
    assert f"{path} is damaged" in tiny.run("up", exit_code=4)
    path.write_text(content)
    assert answers(tiny, "order")


def test_a_version_is_refused_in_one_line(tiny: Place, fresh: Place) -> None:
    fresh.want(more="    postgresql: 18")
    if Path("/usr/lib/postgresql/18/bin/postgres").exists():
        pytest.skip("PostgreSQL 18 is installed")
    output = fresh.run("up", exit_code=2)
    assert output.count("error:") == 1
    assert "PostgreSQL 18 is not installed, only" in output
    assert "PostgreSQL 18 is not installed, only" in fresh.run("plan")
    tiny.want(more="    postgresql: 18")
    assert "does not change major versions" in tiny.run("up", exit_code=2)
    tiny.want()


def test_two_commands_at_once(tiny: Place) -> None:
    with tiny.root.with_name("tiny.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is at work" in tiny.run("up", "--no-wait", exit_code=3)
        waiting = tiny.start("up")
        time.sleep(1)
        assert waiting.poll() is None
    output, _ = waiting.communicate(timeout=30)
    assert "waiting for" in output
    assert waiting.returncode == 0


def test_the_fleet_file_changes(tiny: Place) -> None:
    with tiny.connect("auth") as client:
        client.execute("CREATE TABLE precious (n int)")
    tiny.want(services="auth, order, cart", replicas="2..2", ocpus="2..4")
    tiny.up()
    found = tiny.databases()
    assert tiny.instances("auth") == ["running", "streaming", "streaming"]
    assert {d["ocpus"] for d in found.values()} == {2}
    assert tiny.instances("cart") == ["running"]
    tiny.want(replicas="1..1", ocpus="2..4")
    assert "--yes-destroy" in tiny.run("up", exit_code=2)
    assert tiny.instances("auth") == ["running", "streaming"]
    assert tiny.path("cart").exists()
    tiny.run("up", "--yes-destroy", "lab/cart")
    assert not tiny.path("cart").exists()
    with tiny.connect("auth") as client:
        assert client.execute("SELECT count(*) FROM precious").fetchone() == (0,)


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
