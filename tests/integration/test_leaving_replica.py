"""A replica that is taken away is drained: who reads there reads on, and others go elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from tiny_place import Place, eventually, new_place

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with new_place() as place:
        place.want(services="auth", replicas="1..2")
        place.up()
        yield place


def reader(place: Place) -> psycopg.Connection[tuple[object, ...]]:
    url = place.run("url", "lab/auth", "--role", "read-only").strip()
    return psycopg.connect(url, autocommit=True)


def is_at_replica(session: psycopg.Connection[tuple[object, ...]]) -> bool:
    row = session.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    return row == (True,)


def test_a_session_there_goes_on_until_it_ends_by_itself(place: Place) -> None:
    with reader(place) as session:
        assert is_at_replica(session)
        place.want(services="auth", replicas="0..0")
        with place.start("up") as removal:
            asked = 0
            began = time.monotonic()
            eventually(lambda: not _new_one_is_at_replica(place), 20)
            while time.monotonic() < began + 6:
                assert is_at_replica(session), "it was sent elsewhere"
                asked += 1
                time.sleep(0.1)
            assert asked > 10
            assert removal.poll() is None, "the replica went before its reader"
            session.close()
            output, _ = removal.communicate(timeout=60)
    assert removal.returncode == 0, output
    assert place.instances("auth") == ["running"]


def _new_one_is_at_replica(place: Place) -> bool:
    with reader(place) as session:
        return is_at_replica(session)
