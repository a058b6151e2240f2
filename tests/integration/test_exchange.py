"""A database gets other data in its place, while its clients wait in the pooler."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
import pytest
from tiny_place import Place, new_place

pytestmark = pytest.mark.integration

DATABASE = "lab/auth"


@dataclass
class Clients:
    """What clients of the name for transactions saw: the longest that one waited, and errors."""

    longest: float = 0.0
    errors: list[str] = field(default_factory=list)
    answers: int = 0


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """A database with a replica that has been backed up."""
    with new_place() as place:
        place.want(services="auth", ocpus="2", overrides="overrides:\n  lab/auth: {replicas: 1}")
        place.up()
        with place.connect("auth") as client:
            client.execute("CREATE TABLE written (n int PRIMARY KEY)")
        place.run("backup", "now", DATABASE)
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
    with tiny.connect("auth") as client:
        client.execute("INSERT INTO written SELECT generate_series(1, 1000)")
    then = datetime.now(UTC).isoformat()
    time.sleep(1)
    with tiny.connect("auth") as client:
        client.execute("DELETE FROM written")
    with asking(tiny) as clients:
        tiny.run("restore", DATABASE, "--to", then, "--yes-overwrite", DATABASE)
        time.sleep(1)
    print(clients)
    assert not clients.errors
    assert rows(tiny) == 1000
    with asking(tiny) as clients:
        tiny.run("restore", "--undo", DATABASE, "--yes-overwrite", DATABASE)
        time.sleep(1)
    print(clients)
    assert not clients.errors
    assert rows(tiny) == 0
