"""The history of a real fleet on a PostgreSQL server: stopped, frozen, back, and never the fleet's.

The server is a plain one with passwords. The fleet file names a private file with the URL.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tiny_place import Place, eventually, new_place

from pgherd.autopilot.place import place_of
from pgherd.autopilot.questions import State, Status, ask
from pgherd.engines.local.layout import data_plane_owner
from pgherd.files import Owner

pytestmark = pytest.mark.integration
PASSWORD = "s3cr3t-of-the-history"
BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


class Server:
    """A plain PostgreSQL server, with a database and a role for the history."""

    def __init__(self, folder: Path, owner: Owner) -> None:
        self.folder = folder
        self._owner = owner
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        owner.give(folder)
        self._run(
            "initdb",
            "-D",
            self.data,
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "--auth-local=trust",
            "-E",
            "UTF8",
            "--no-sync",
        )
        self.start()
        with self.admin() as connection:
            connection.execute(f"CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}'")
            connection.execute("CREATE DATABASE history OWNER keeper")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, password: str = PASSWORD) -> str:
        return f"postgresql://keeper:{password}@127.0.0.1:{self.port}/history?sslmode=disable"

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True
        )

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c fsync=off -c listen_addresses=127.0.0.1"
        self._run(
            "pg_ctl", "-D", self.data, "-o", options, "-l", self.folder / "log", "-w", "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def freeze(self, number: int) -> None:
        """It and all that it has forked."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *map(int, children)):
            os.kill(pid, number)

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [BINARIES / program, *map(str, arguments)],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            **(
                {"user": self._owner.uid, "group": self._owner.gid, "extra_groups": []}
                if self._owner.is_another
                else {}
            ),
        )


@pytest.fixture
def server() -> Iterator[Server]:
    folder = Path("/tmp") / f"pgh-history-{os.getpid()}"
    server = Server(folder, data_plane_owner())
    try:
        yield server
    finally:
        server.freeze(signal.SIGCONT)
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def place(server: Server) -> Iterator[Place]:
    with new_place(has_autopilot=True) as place:
        secret = place.folder / "history-url"
        secret.write_text(server.url())
        secret.chmod(0o600)
        want(place, f"{{url_file: {secret}}}")
        place.up()
        yield place


def want(place: Place, history: str) -> None:
    place.want(services="order", replicas="0", overrides=f"history: {history}")


def state(place: Place) -> State:
    found = ask(place_of(place.root.with_name("tiny.applied")), Status())
    assert found
    return found


def kept(server: Server) -> int:
    with server.admin("history") as connection:
        (count,) = connection.execute("SELECT sum(count) FROM pgherd_samples").fetchone() or (0,)
    return int(count or 0)


def first_lines(place: Place) -> list[str]:
    return place.run("status").splitlines()[:2]


@pytest.mark.timeout(600)
def test_it_is_kept_on_a_server_that_may_be_away(place: Place, server: Server) -> None:
    eventually(lambda: state(place).last_round_at, 60)
    eventually(lambda: kept(server) > 0, 60)
    assert not (place.root.with_name("tiny.history") / "history.db").exists()
    assert "lab/order: 1 " in place.run("why", "lab/order")
    assert set(json.loads(place.run("events", "--json"))) == {"events"}
    assert first_lines(place)[1] == ""

    server.stop()
    eventually(lambda: "no history is kept: " in first_lines(place)[1], 60)
    said = json.loads(place.run("status", "--json"))["autopilot"]
    assert said["state"] == "running"
    assert "history in database history at 127.0.0.1 cannot be used" in said["history"]
    at = state(place).last_round_at
    eventually(lambda: (state(place).last_round_at or 0) > (at or 0) + 10, 60)
    code, output = place.outcome("events")
    assert (code, "the history is not read" in output) == (3, True), output
    place.run("top", "--once")

    server.start()
    before = kept(server)
    eventually(lambda: kept(server) > before, 60)
    eventually(lambda: first_lines(place)[1] == "", 30)

    server.freeze(signal.SIGSTOP)
    controller, at = state(place).controller, state(place).last_round_at
    eventually(lambda: state(place).history, 90)
    eventually(lambda: (state(place).last_round_at or 0) > (at or 0) + 40, 120)
    assert state(place).controller == controller
    server.freeze(signal.SIGCONT)
    before = kept(server)
    eventually(lambda: kept(server) > before, 60)

    with server.admin() as connection:
        connection.execute("ALTER ROLE keeper PASSWORD 'another'")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='keeper'"
        )
    eventually(lambda: "password authentication failed" in state(place).history, 60)
    (place.folder / "history-url").write_text(server.url("another"))
    eventually(lambda: not state(place).history, 60)
    assert_no_secret(place)


@pytest.mark.timeout(600)
def test_what_others_write_there_acts_on_no_terminal(place: Place, server: Server) -> None:
    eventually(lambda: kept(server) > 0, 60)
    with server.admin("history") as connection:
        connection.execute(
            "INSERT INTO pgherd_events (at, kind, reason, database, environment, details)"
            " VALUES (1, E'\\033[2Jscale', E'\\033]0;x\\007 \\n forged', 'lab/order', 'lab', '{}')"
        )
        connection.execute(
            "INSERT INTO pgherd_kept VALUES ('resizes', 'nonsense')"
            " ON CONFLICT (key) DO UPDATE SET value = 'nonsense'"
        )
    for command in (["events"], ["why", "lab/order"], ["top", "--once"], ["alerts"]):
        output = place.run(*command)
        assert "\033" not in output
        assert "\007" not in output
    assert "\\x1b[2Jscale" in place.run("events")


@pytest.mark.timeout(600)
def test_it_is_in_no_database_of_the_fleet_and_of_one_fleet_only(
    place: Place, server: Server
) -> None:
    eventually(lambda: kept(server) > 0, 60)
    own = place.run("url", "lab/order").strip()
    owner = data_plane_owner()
    for name in ("sslcert", "sslkey", "sslrootcert"):  # the controller may read them
        path = Path(own.partition(f"{name}=")[2].partition("&")[0])
        copy = place.folder / name
        copy.write_bytes(path.read_bytes())
        os.chown(copy, owner.uid, owner.gid)
        copy.chmod(0o600)
        own = own.replace(str(path), str(copy))
    want(place, f'{{url: "{own}"}}')
    place.up()
    eventually(lambda: "is in a database of the fleet itself" in state(place).history, 60)
    with place.connect("order") as connection:
        found = connection.execute("SELECT to_regclass('pgherd_events')").fetchone()
    assert found == (None,)

    with server.admin("history") as connection:
        connection.execute("UPDATE pgherd_kept SET value = 'other' WHERE key = 'fleet'")
    want(place, f"{{url_file: {place.folder / 'history-url'}}}")
    place.up()
    eventually(lambda: "is of fleet 'other'" in state(place).history, 60)
    want(place, f"{{url_file: {place.folder / 'missing'}}}")
    place.up()
    eventually(lambda: "missing cannot be read" in state(place).history, 60)


def assert_no_secret(place: Place) -> None:
    """In no command line, and in nothing that is kept or logged."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert PASSWORD.encode() not in entry.read_bytes()
        except OSError:
            continue
    for folder in (place.root, *place.root.parent.glob("tiny.*")):
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_size < 2**20:
                assert PASSWORD.encode() not in path.read_bytes(), path
