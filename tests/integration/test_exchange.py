"""A database gets other data in its place, while its clients wait in the pooler."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
import pytest
from tiny_place import Place, eventually, new_place

from pgherd.engines.local.agent.core import HOLD_SECONDS

pytestmark = pytest.mark.integration

DATABASE = "lab/auth"
LATEST = ("--to", "latest", "--yes-overwrite", DATABASE)


@dataclass
class Clients:
    """What clients of the name for transactions saw: the longest that one waited, and errors."""

    longest: float = 0.0
    errors: list[str] = field(default_factory=list)
    answers: int = 0


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """A database with a replica."""
    with new_place() as place:
        place.want(services="auth", ocpus="2", overrides="overrides:\n  lab/auth: {replicas: 1}")
        place.up()
        with place.connect("auth") as client:
            client.execute("CREATE TABLE written (n int PRIMARY KEY)")
        yield place


@contextmanager
def asking(place: Place) -> Iterator[Clients]:
    """Four clients ask, again and again, until this ends."""
    clients, ended = Clients(), threading.Event()
    url = place.run("url", DATABASE, "--transaction").strip()

    def ask() -> None:
        with psycopg.connect(url, autocommit=True) as client:
            while not ended.is_set():
                began = time.monotonic()
                try:
                    client.execute("SELECT count(*) FROM written")
                    clients.answers += 1
                except psycopg.Error as error:
                    clients.errors.append(str(error))
                    return
                clients.longest = max(clients.longest, time.monotonic() - began)
                time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def rows(place: Place) -> int:
    with place.connect("auth") as client:
        return int(client.execute("SELECT count(*) FROM written").fetchone()[0])


def test_no_query_fails_while_a_database_is_restored_in_its_place(tiny: Place) -> None:
    tiny.run("backup", "now", DATABASE)
    with tiny.connect("auth") as client:
        client.execute("TRUNCATE written")
        client.execute("INSERT INTO written SELECT generate_series(1, 1000)")
    then = datetime.now(UTC).isoformat()
    time.sleep(1)
    with tiny.connect("auth") as client:
        client.execute("DELETE FROM written")
    with asking(tiny) as clients:
        tiny.run("restore", DATABASE, "--to", then, "--yes-overwrite", DATABASE)
        time.sleep(1)
    assert not clients.errors
    assert rows(tiny) == 1000
    with asking(tiny) as clients:
        tiny.run("restore", "--undo", DATABASE, "--yes-overwrite", DATABASE)
        time.sleep(1)
    assert not clients.errors
    assert rows(tiny) == 0
    assert tiny.instances("auth") == ["running", "streaming"]
    assert not list(tiny.kept("auth").glob("*/gone")), "what replicas had is removed"


def test_a_transaction_that_stays_open_is_lost_and_holds_nobody_up(tiny: Place) -> None:
    tiny.run("backup", "now", DATABASE)
    before = rows(tiny)
    idle = tiny.connect("auth")
    idle.execute("BEGIN")
    idle.execute("INSERT INTO written VALUES (-7)")
    with asking(tiny) as clients:
        tiny.run("restore", DATABASE, *LATEST)
    assert not clients.errors
    assert clients.longest < HOLD_SECONDS
    with pytest.raises(psycopg.OperationalError):
        idle.execute("COMMIT")
    idle.close()
    assert rows(tiny) == before


def begun(place: Place) -> subprocess.Popen[str]:
    """A restore whose clients wait by now; rows 1 and 2 come back."""
    place.run("backup", "now", DATABASE)
    with place.connect("auth") as client:
        client.execute("TRUNCATE written")
        client.execute("INSERT INTO written VALUES (1), (2)")
    held = place.root / "run/lab.auth.p/held.json"
    held.unlink(missing_ok=True)  # a pooler that has ended meanwhile leaves it behind
    restoring = place.start("restore", DATABASE, *LATEST)
    eventually(held.exists, 60)
    return restoring


def test_an_agent_that_is_killed_while_clients_wait_is_followed_by_one_that_goes_on(
    tiny: Place,
) -> None:
    with begun(tiny) as restoring:
        os.kill(tiny.agent(), signal.SIGKILL)
        output, _ = restoring.communicate(timeout=120)
    assert restoring.returncode == 0, output
    assert rows(tiny) == 2
    assert tiny.instances("auth") == ["running", "streaming"]


def test_clients_of_a_restore_that_is_killed_do_not_wait_for_ever(tiny: Place) -> None:
    url = tiny.run("url", DATABASE, "--transaction").strip()
    with psycopg.connect(url, autocommit=True) as client:
        with begun(tiny) as restoring:
            restoring.kill()
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            while time.monotonic() - began < HOLD_SECONDS + 10:
                client.execute("SELECT 1")
    assert f"{DATABASE} is half restored to" in tiny.run("up", exit_code=4)
    tiny.run("restore", DATABASE, *LATEST)
    assert rows(tiny) == 2
    tiny.up()
