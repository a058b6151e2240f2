"""What a reader takes, holds and changes, and what its service notices of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg
import pytest
from running_fleet import (
    AUTH,
    ORDER,
    STAGING_AUTH,
    RunningFleet,
    connect,
    eventually,
    once_let_in,
)
from tries import READER

from pgherd.contract.access import AccessRole
from pgherd.decide.parameters import readers_pool_size
from pgherd.engines.local import patroni
from pgherd.engines.local.agent import rounds
from pgherd.engines.local.agent.reader import GUARD
from pgherd.engines.local.manifest import InstanceManifest
from pgherd.programs.pgbouncer import READER_CLIENTS, READER_IDLE_SECONDS

pytestmark = pytest.mark.integration


@pytest.fixture
def reader(running: RunningFleet) -> dict[str, str]:
    """Where there is no replica, so that reader and service share a server."""
    return once_let_in(running.through_pooler(STAGING_AUTH, AccessRole.READ_ONLY))


@pytest.fixture
def service(running: RunningFleet) -> dict[str, str]:
    return running.through_pooler(STAGING_AUTH)


@pytest.fixture(scope="module")
def idle(running: RunningFleet) -> Iterator[tuple[float, psycopg.Connection[Any]]]:
    """A reader's transaction that is left open, and when that began.

    Where no other test is: the agent ends all readers of a server that one of them holds up.
    """
    parameters = running.through_pooler(ORDER, AccessRole.READ_ONLY)
    connection = connect(parameters)
    connection.execute("BEGIN")
    connection.execute("SELECT 1")
    yield time.monotonic(), connection
    connection.close()


def answers_soon(parameters: dict[str, str]) -> None:
    began = time.monotonic()
    with connect(parameters, connect_timeout=5) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert time.monotonic() - began < 2


@pytest.mark.usefixtures("idle")
@pytest.mark.makes(READER, "take all server connections", "take all of the pooler's clients")
def test_a_reader_takes_nothing_of_its_services(
    running: RunningFleet, reader: dict[str, str], service: dict[str, str]
) -> None:
    with ExitStack() as stack:
        taken = []
        for _ in range(readers_pool_size(patroni.size(running.manifest(STAGING_AUTH))) - 1):
            connection = stack.enter_context(connect(reader))
            connection.execute("BEGIN")
            connection.execute("SELECT 1")
            taken.append(connection)
        answers_soon(service)
        answers_soon(service | {"dbname": "auth-ro"})
        with pytest.raises(psycopg.OperationalError, match="max_user_client_connections"):
            for _ in range(READER_CLIENTS + 1):
                stack.enter_context(connect(reader, connect_timeout=5))
        answers_soon(service)
        for connection in taken:
            connection.execute("ROLLBACK")


@pytest.mark.makes(READER, "enter the name that leads to the primary")
def test_a_reader_does_not_enter_the_primarys_name(reader: dict[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"login rejected|no authentication"):
        connect(reader | {"dbname": "auth"}, connect_timeout=5)


@pytest.mark.makes(READER, "keep the pooler busy for ever by a parameter without a name")
def test_a_parameter_without_a_name_keeps_nobody_busy(
    reader: dict[str, str], service: dict[str, str]
) -> None:
    with contextlib.suppress(psycopg.OperationalError):
        connect(reader, options="-c =x", connect_timeout=5).close()
    answers_soon(service)


@pytest.mark.makes(READER, "hold a switchover up")
def test_a_readers_transaction_holds_no_switchover_up(running: RunningFleet) -> None:
    parameters = running.through_pooler(AUTH, AccessRole.READ_ONLY)
    with connect(parameters) as connection, connection.transaction():
        connection.execute("SELECT 1")
        began = time.monotonic()
        running.switch_over(AUTH)
        assert time.monotonic() - began < 10
        # Its server is another one, and the transaction goes on.
        assert connection.execute("SELECT 2").fetchone() == (2,)
    answers_soon(running.through_pooler(AUTH))
    answers_soon(parameters)


@pytest.mark.makes(READER, "change its own settings and password")
def test_what_a_reader_changes_of_itself_is_put_back(
    running: RunningFleet, reader: dict[str, str]
) -> None:
    with connect(reader) as connection, connection.transaction():
        connection.execute("SET TRANSACTION READ WRITE")
        connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'")
        connection.execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = off")
        connection.execute("ALTER ROLE CURRENT_USER IN DATABASE auth SET statement_timeout = 0")

    def is_put_back() -> bool:
        with running.operator(STAGING_AUTH) as operator:
            rows = operator.execute(
                "SELECT a.rolpassword, s.setdatabase, s.setconfig FROM pg_authid a"
                " LEFT JOIN pg_db_role_setting s ON s.setrole = a.oid WHERE rolname = 'auth_ro'"
            ).fetchall()
        wanted = ["default_transaction_read_only=on", "statement_timeout=290s"]
        return rows == [(None, 0, [*wanted, "temp_file_limit=256MB"])]

    assert not is_put_back()
    eventually(is_put_back, 45, pause=1)


@pytest.mark.makes(READER, "keep a transaction open for ever")
def test_a_reader_keeps_no_transaction_open(
    idle: tuple[float, psycopg.Connection[Any]],
) -> None:
    began, connection = idle
    time.sleep(max(0.0, began + READER_IDLE_SECONDS + 3 - time.monotonic()))
    with pytest.raises(psycopg.OperationalError, match="idle transaction timeout"):
        connection.execute("SELECT 1")


WAITING = {
    "a table": "CREATE RULE r AS ON UPDATE TO note DO INSTEAD NOTHING",
    "an index": "ALTER INDEX note_line DEPENDS ON EXTENSION plpgsql",
    "the catalogue of roles": "CREATE RULE r AS ON UPDATE TO pg_authid DO INSTEAD NOTHING",
}
"""PostgreSQL waits for the strongest lock, and looks afterwards whether the role may do that."""


@pytest.fixture
def note(service: dict[str, str]) -> Iterator[None]:
    with connect(service) as connection:
        connection.execute("CREATE TABLE note (line text); CREATE INDEX note_line ON note (line)")
        yield
        connection.execute("DROP TABLE note")


@pytest.mark.usefixtures("note")
@pytest.mark.makes(READER, "wait for a lock, with all others in line behind")
@pytest.mark.parametrize("what", WAITING)
def test_a_reader_that_waits_for_a_lock_is_ended(
    running: RunningFleet, reader: dict[str, str], service: dict[str, str], what: str
) -> None:
    # The agent may look at the very moment in which the reader changes its role, and end it.
    assert any(waits_for_a_lock(running, reader, service, WAITING[what]) for _ in range(3))
    once_let_in(reader)


def waits_for_a_lock(
    running: RunningFleet, reader: dict[str, str], service: dict[str, str], statement: str
) -> bool:
    """The service and the operator get on though a reader does; False where it got no chance."""
    once_let_in(reader)
    with closing(connect(reader)) as holder, closing(connect(reader)) as waiter:
        try:
            holder.execute("BEGIN; SELECT count(*) FROM note; SELECT count(*) FROM pg_roles")
            waiter.execute("BEGIN; SET TRANSACTION READ WRITE")
            # What the agent remembers of the role is out of date from now on.
            waiter.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'; COMMIT")
            waiter.execute("BEGIN; SET TRANSACTION READ WRITE")
        except psycopg.errors.AdminShutdown:
            return False
        thread = threading.Thread(target=ignore_end, args=(waiter, statement))
        thread.start()
        time.sleep(0.2)
        began = time.monotonic()
        with connect(service, connect_timeout=10) as connection:
            connection.execute("INSERT INTO note VALUES ('written')")
            assert connection.execute("SELECT count(*) FROM note").fetchone() == (1,)
        with running.operator(STAGING_AUTH, database="postgres"):
            assert time.monotonic() - began < 5
        thread.join()
    return True


def test_the_agent_keeps_its_session_while_nobody_can_log_in(running: RunningFleet) -> None:
    """A reader can lock the catalogue of roles: the session that ends it must be there before."""

    def agents() -> set[int]:
        rows = operator.execute(
            "SELECT pid FROM pg_catalog.pg_stat_get_activity(NULL)"
            " WHERE application_name OPERATOR(pg_catalog.=) 'pgherd' AND usesysid = 10::oid"
        )
        return {pid for (pid,) in rows}

    with running.operator(STAGING_AUTH, database="postgres") as operator:
        eventually(lambda: len(agents()) == 1, 45)
        before = agents()
        with operator.transaction():
            operator.execute("LOCK TABLE pg_authid")
            time.sleep(rounds.SECONDS * rounds.EXAMINE_ROUNDS + 5)
        assert agents() == before


def ignore_end(connection: psycopg.Connection[Any], statement: str) -> None:
    with contextlib.suppress(psycopg.Error):
        connection.execute(statement)


def on_replica(
    running: RunningFleet,
) -> tuple[psycopg.Connection[Any], InstanceManifest] | None:
    """A reader's session on a replica of `auth`; None while readers are sent to its primary."""
    connection = connect(running.through_pooler(AUTH, AccessRole.READ_ONLY))
    row = connection.execute("SELECT host(inet_server_addr())").fetchone()
    for replica in running.replicas(AUTH):
        if row == (replica.address,):
            return connection, replica
    connection.close()
    return None


@pytest.mark.makes(READER, "keep a transaction alive for ever")
def test_an_old_transaction_is_ended_though_it_is_used(running: RunningFleet) -> None:
    """The agent's own statement, on a replica, with less patience than it has."""
    # Not the one of `idle`, whose transaction is older.
    connection, replica = eventually(lambda: on_replica(running), 30, pause=1)
    with connection, running.operator(AUTH, replica, database="postgres") as operator:
        row = operator.execute("SELECT oid FROM pg_roles WHERE rolname = 'auth_ro'").fetchone()
        assert row
        role = row[0]
        connection.execute("BEGIN; SELECT 1")
        assert operator.execute(GUARD, (role, role, "10 s")).fetchone() == (0, "auth_ro")
        time.sleep(1.2)
        connection.execute("SELECT 2")
        assert operator.execute(GUARD, (role, role, "1 s")).fetchone() == (1, "auth_ro")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 3")
