"""What a service and a reader try in SQL, one after another, as the table has it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest
from running_fleet import AUTH, STAGING_AUTH, RunningFleet, connect
from tries import GONE, READER, SERVICE, SQL, Try

from pgherd.contract.access import AccessRole

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def staging(running: RunningFleet) -> Iterator[dict[str, str]]:
    """A database without replicas, where its reader reads from the primary."""
    parameters = running.through_pooler(STAGING_AUTH)
    with connect(parameters) as service:
        service.execute("CREATE TABLE note (line text)")
        service.execute("CREATE INDEX note_line ON note (line)")
        service.execute("CREATE SEQUENCE ticket")
        service.execute("CREATE VIEW seen AS SELECT 1 AS n")
        service.execute("CREATE MATERIALIZED VIEW counted AS SELECT 1 AS n")
        yield parameters
        service.execute("DROP TABLE note; DROP SEQUENCE ticket; DROP VIEW seen")
        service.execute("DROP MATERIALIZED VIEW counted")


@pytest.fixture(scope="module")
def hidden(running: RunningFleet) -> Iterator[None]:
    """A table that an operator has made in the service's database."""
    with running.operator(STAGING_AUTH) as operator:
        operator.execute("CREATE SCHEMA hidden")
        operator.execute("CREATE TABLE hidden.secret (line text)")
        yield
        operator.execute("DROP SCHEMA hidden CASCADE")


@pytest.fixture(scope="module")
def service(running: RunningFleet) -> Iterator[psycopg.Connection[Any]]:
    with connect(running.through_pooler(AUTH)) as connection:
        yield connection


@pytest.fixture(scope="module")
def reader(
    running: RunningFleet, staging: dict[str, str], hidden: None
) -> Iterator[psycopg.Connection[Any]]:
    # Somebody to be cancelled: the service is at work.
    with (
        connect(staging) as other,
        connect(running.through_pooler(STAGING_AUTH, AccessRole.READ_ONLY)) as connection,
    ):
        other.execute("BEGIN; SELECT 1")
        yield connection
        other.execute("ROLLBACK")


def of(who: str) -> list[Any]:
    return [pytest.param(t, id=t.what) for t in SQL if t.who == who]


@pytest.mark.parametrize("attempt", of(SERVICE))
def test_a_service_is_refused(service: psycopg.Connection[Any], attempt: Try) -> None:
    if service.info.server_version // 10000 >= GONE.get(attempt.what, math.inf):
        pytest.skip(f"PostgreSQL {GONE[attempt.what]} has nothing of the kind")
    assert_refused(service, attempt)


@pytest.mark.parametrize("attempt", of(READER))
def test_a_reader_is_refused(reader: psycopg.Connection[Any], attempt: Try) -> None:
    """Even in a transaction that may write: a reader may ask for one."""
    assert_refused(reader, attempt, "SET TRANSACTION READ WRITE")


def assert_refused(connection: psycopg.Connection[Any], attempt: Try, *before: str) -> None:
    *earlier, last = (*before, *attempt.statements)
    with connection.transaction(force_rollback=True) if earlier else nullcontext():
        for statement in earlier:
            connection.execute(statement)
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(last)
            pytest.fail(f"nobody refused {last}")
        assert caught.value.sqlstate in attempt.codes, caught.value
