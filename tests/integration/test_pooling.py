"""What clients leave behind: kept for their own session, and never found by another client."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors
from running_fleet import AUTH, ORDER, RunningFleet, connect, eventually, refused

from pgherd.contract.access import AccessRole
from pgherd.control.up import converge
from pgherd.decide.parameters import pool_size, session_pool_size
from pgherd.engines.local import library, patroni, postgres
from pgherd.errors import TryLater
from pgherd.fleet.desired import Pooling

pytestmark = pytest.mark.integration

Connection = psycopg.Connection[Any]
COUNT = "SELECT count(*) FROM kept"
DUMP = max(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))


def value(connection: Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row
    return row[0]


def others(parameters: dict[str, str], count: int = 20) -> Iterator[Connection]:
    """More clients than there are free servers, one after another and then at once."""
    with ExitStack() as stack:
        for _ in range(count):
            yield stack.enter_context(connect(parameters))


@pytest.fixture
def kept(auth: dict[str, str]) -> Iterator[None]:
    """A table of three rows."""
    with connect(auth) as connection:
        connection.execute("CREATE TABLE kept AS SELECT n FROM generate_series(1, 3) n")
    yield
    with connect(auth) as connection:
        connection.execute("DROP TABLE kept")


# A session


def test_a_session_keeps_all_that_a_session_keeps(auth: dict[str, str]) -> None:
    with connect(auth) as ours, connect(auth) as other:
        ours.execute("SET statement_timeout = '77s'")
        ours.execute("CREATE TEMP TABLE own AS SELECT 1 AS n")
        ours.execute("PREPARE one AS SELECT 42")
        ours.execute("DECLARE c CURSOR WITH HOLD FOR SELECT 'ours'")
        ours.execute("LISTEN news")
        ours.execute("SELECT pg_advisory_lock(7)")
        other.execute("DECLARE c CURSOR WITH HOLD FOR SELECT 'the other''s'")
        other.execute("NOTIFY news, 'came'")
        assert value(other, "SELECT pg_try_advisory_lock(7)") is False
        assert value(ours, "SHOW statement_timeout") == "77s"
        assert value(ours, "SELECT n FROM own") == 1
        assert value(ours, "EXECUTE one") == 42
        assert value(ours, "FETCH c") == "ours"
        assert value(other, "FETCH c") == "the other's"
        assert value(ours, "SELECT pg_advisory_unlock(7)") is True
        assert [n.payload for n in ours.notifies(timeout=5, stop_after=1)] == ["came"]


def test_a_session_leaves_nothing_to_the_next(auth: dict[str, str]) -> None:
    with connect(auth) as ours:
        backend = value(ours, "SELECT pg_backend_pid()")
        ours.execute("SET search_path = ''")
        ours.execute("SET default_transaction_isolation = 'serializable'")
        ours.execute("CREATE TEMP TABLE left_behind (n int)")
        ours.execute("PREPARE left_behind AS SELECT 1")
        ours.execute("SELECT pg_advisory_lock(8)")
    seen = set()
    for other in others(auth):
        seen.add(value(other, "SELECT pg_backend_pid()"))
        assert value(other, "SHOW search_path") == '"$user", public'
        assert value(other, "SHOW transaction_isolation") == "read committed"
        assert value(other, "SELECT to_regclass('pg_temp.left_behind')") is None
        assert value(other, "SELECT count(*) FROM pg_prepared_statements") == 0
        assert value(other, "SELECT pg_try_advisory_lock(8)") is True
        other.execute("SELECT pg_advisory_unlock(8)")
    assert backend in seen, "nobody came to the same server"


@pytest.mark.usefixtures("kept")
def test_dumps_and_restores_disturb_nobody(
    running: RunningFleet, auth: dict[str, str], tmp_path: Path
) -> None:
    dump = tmp_path / "dump.sql"
    access = running.run(running.engine.access(AUTH, AccessRole.SERVICE))
    tools = {**os.environ, **access.variables()}
    with connect(auth) as working:
        for _ in range(3):
            subprocess.run([DUMP, "--table=kept", "--file", dump], env=tools, check=True)
            assert value(working, COUNT) == 3
        working.execute("DROP TABLE kept")
        restore = [DUMP.with_name("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump]
        subprocess.run(restore, env=tools, check=True, stdout=subprocess.DEVNULL)
        for other in others(auth):
            assert value(other, COUNT) == 3


# A transaction


def test_nothing_outlives_a_transaction(transactions: dict[str, str]) -> None:
    with connect(transactions) as ours:
        backend = value(ours, "SELECT pg_backend_pid()")
        for statement in (
            "SET statement_timeout = '5s'",
            "SET search_path = ''",
            "SET default_transaction_isolation = 'serializable'",
            "SET default_transaction_read_only = on",
            "CREATE TEMP TABLE left_behind (n int)",
            "PREPARE left_behind AS SELECT 1",
            "SELECT pg_advisory_lock(9)",
            "DECLARE left_behind CURSOR WITH HOLD FOR SELECT 'ours'",
            "LISTEN left_behind",
        ):
            with contextlib.suppress(errors.ReadOnlySqlTransaction, errors.FeatureNotSupported):
                ours.execute(statement)
        seen = set()
        for other in others(transactions):
            with other.transaction():
                seen.add(value(other, "SELECT pg_backend_pid()"))
                assert value(other, "SHOW statement_timeout") == "0"
                assert value(other, "SHOW search_path") == '"$user", public'
                assert value(other, "SHOW transaction_isolation") == "read committed"
                assert value(other, "SHOW transaction_read_only") == "off"
                assert value(other, "SELECT to_regclass('pg_temp.left_behind')") is None
                assert value(other, "SELECT count(*) FROM pg_cursors WHERE is_holdable") == 0
                assert value(other, "SELECT count(*) FROM pg_listening_channels()") == 0
                assert value(other, "SELECT pg_try_advisory_xact_lock(9)") is True
        assert backend in seen, "nobody came to the same server"


def test_a_cursor_of_another_client_is_never_read(transactions: dict[str, str]) -> None:
    with ExitStack() as stack:
        ours, busy, other = (stack.enter_context(connect(transactions)) for _ in range(3))
        with pytest.raises(errors.FeatureNotSupported, match="WITH HOLD"):
            ours.execute("DECLARE c CURSOR WITH HOLD FOR SELECT 'row of ours'")
        busy.execute("BEGIN")
        busy.execute("SELECT 1")
        other.execute("BEGIN; DECLARE c CURSOR FOR SELECT 'row of the other'")
        busy.execute("COMMIT")
        with pytest.raises(errors.InvalidCursorName):
            ours.execute("FETCH ALL FROM c")


def test_a_prepared_statement_of_sql_is_gone_after_its_transaction(
    transactions: dict[str, str],
) -> None:
    with connect(transactions) as ours:
        with ours.transaction():
            ours.execute("PREPARE ours AS SELECT 1")
            assert value(ours, "EXECUTE ours") == 1
        with pytest.raises(errors.InvalidSqlStatementName, match="does not exist"):
            ours.execute("EXECUTE ours")


def test_settings_go_with_their_client_from_server_to_server(
    transactions: dict[str, str],
) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(transactions)) for _ in range(4)]
        for number, client in enumerate(clients):
            client.execute(f"SET search_path = own_{number}, public")
            client.execute(f"SET statement_timeout = '{number + 61}s'")
        met = set()
        for _ in range(10):
            for number, client in enumerate(clients):
                with client.transaction():
                    met.add((number, value(client, "SELECT pg_backend_pid()")))
                    assert value(client, "SHOW search_path") == f"own_{number}, public"
                    assert value(client, "SHOW statement_timeout") == f"{number + 61}s"
                if number % 2:
                    stack.enter_context(connect(transactions)).execute("BEGIN; SELECT 1")
            if len({server for _, server in met}) > 4:
                break
        assert len(met) > len(clients), "nobody came to another server"


LEAVES = {
    "LISTEN": "LISTEN news",
    "a setting of one's own": "SET shop.tenant = '7'",
    "a setting by a function": "SELECT set_config('shop.tenant', '7', false)",
    "a setting in a block of code": "DO $$ BEGIN PERFORM set_config('a.b', 'c', false); END $$",
    "a setting that a local one hides": (
        "BEGIN; SET shop.tenant = '7'; SET LOCAL shop.tenant TO DEFAULT; COMMIT"
    ),
    "a setting that would end a connection of others": "SET idle_session_timeout = 1",
    "a setting in a savepoint": "BEGIN; SAVEPOINT s; SET a.b = 'c'; RELEASE s; COMMIT",
    "a role": "SET ROLE auth",
    "a role that a local one hides": "BEGIN; SET ROLE auth; SET LOCAL ROLE NONE; COMMIT",
    "a lock": "SELECT pg_advisory_lock(1)",
    "a lock in a block of code": "DO $$ BEGIN PERFORM pg_try_advisory_lock_shared(1, 2); END $$",
    "a lock for each row": "SELECT count(pg_try_advisory_lock(n)) FROM generate_series(1, 9) n",
    "a temporary table": "CREATE TEMP TABLE t (n int)",
    "a temporary table by its schema": "CREATE TABLE pg_temp.t (n int)",
    "a temporary type": "CREATE TYPE pg_temp.mood AS ENUM ('sad')",
    "a prepared statement": "PREPARE one AS SELECT 1",
    "a cursor WITH HOLD": "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT",
}


@pytest.mark.parametrize("what", LEAVES)
def test_what_would_have_to_stay_is_refused(transactions: dict[str, str], what: str) -> None:
    with connect(transactions) as connection:
        with pytest.raises(errors.FeatureNotSupported, match="outlast a transaction here") as found:
            connection.execute(LEAVES[what].encode())
        assert "-transaction" in (found.value.diag.message_hint or "")
        connection.execute("ROLLBACK")
        assert value(connection, "SELECT 1") == 1


def test_what_is_made_and_used_in_one_transaction_works(transactions: dict[str, str]) -> None:
    with connect(transactions) as connection:
        with connection.transaction():
            connection.execute("CREATE TEMP TABLE brief AS SELECT 42 AS n")
            connection.execute("CREATE FUNCTION pg_temp.twice(int) RETURNS int RETURN $1 * 2")
            connection.execute("CREATE TEMP SEQUENCE steps")
            assert value(connection, "SELECT pg_temp.twice(n) FROM brief") == 84
            assert value(connection, "SELECT nextval('steps')") == 1
            connection.execute("SET LOCAL shop.tenant = '7'")
            assert value(connection, "SELECT current_setting('shop.tenant')") == "7"
        for gone in ("SELECT n FROM brief", "SELECT pg_temp.twice(1)", "SELECT nextval('steps')"):
            with pytest.raises(errors.Error):
                connection.execute(gone)
        # PostgreSQL may use one for itself, and so may a function.
        connection.execute("CREATE MATERIALIZED VIEW seen AS SELECT 1 AS n")
        connection.execute("CREATE UNIQUE INDEX ON seen (n)")
        connection.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY seen")
        connection.execute("DROP MATERIALIZED VIEW seen")
        connection.execute("DO 'BEGIN CREATE TEMP TABLE own (n int); DROP TABLE own; END'")
        connection.execute("DO 'BEGIN CREATE TEMP TABLE own (n int); END'")
        assert value(connection, "SELECT to_regclass('pg_temp.own')") is None
        with pytest.raises(errors.DivisionByZero), connection.transaction():
            connection.execute("CREATE TEMP TABLE brief (n int); PREPARE two AS SELECT 2")
            connection.execute("SELECT 1 / 0")
        with pytest.raises(errors.InvalidSqlStatementName):
            connection.execute("EXECUTE two")


def one_server(transactions: dict[str, str], stack: ExitStack) -> tuple[Connection, Connection]:
    """Two clients that are given the same server, one after the other."""
    first, second = (stack.enter_context(connect(transactions)) for _ in range(2))
    backend = value(first, "SELECT pg_backend_pid()")
    assert value(second, "SELECT pg_backend_pid()") == backend
    return first, second


TRACES = {
    "a function in a schema of its own": (
        (
            "DO 'BEGIN CREATE TEMP TABLE opens (n int); END'",
            "BEGIN; SET LOCAL search_path = pg_temp;"
            " CREATE FUNCTION leak() RETURNS text RETURN 'ours'; COMMIT",
        ),
        "SELECT pg_temp.leak()",
    ),
    "a type of a well-known name": (
        (
            "DO 'BEGIN CREATE TEMP TABLE opens (n int); END'",
            "BEGIN; SET LOCAL search_path = pg_temp; CREATE DOMAIN uuid AS int; COMMIT",
        ),
        "SELECT 'x'::pg_temp.uuid",
    ),
    "a statement of a driver's, by its other name": (
        ("SELECT 1",),
        'EXECUTE "PGBOUNCER_1"',
    ),
    "what others have prepared": (("SELECT 1",), "SELECT statement FROM pg_prepared_statements"),
}


@pytest.mark.parametrize("what", TRACES)
def test_another_client_finds_no_trace(transactions: dict[str, str], what: str) -> None:
    statements, question = TRACES[what]
    with ExitStack() as stack:
        ours, other = one_server(transactions, stack)
        ours.execute("SELECT %s::int", (1,), prepare=True)
        for statement in statements:
            ours.execute(statement.encode())
        with pytest.raises(errors.Error):
            other.execute(question.encode())


def test_random_numbers_are_nobodys_choice(running: RunningFleet) -> None:
    for pooling in Pooling:
        seen = set()
        for _ in range(3):
            parameters = running.through_pooler(AUTH, pooling=pooling)
            with connect(parameters) as ours:
                ours.execute("SELECT setseed(0.5)")
            with connect(parameters) as other:
                seen.add(value(other, "SELECT random()"))
        assert len(seen) == 3


def test_prepared_statements_of_others_outlive_what_one_frees(transactions: dict[str, str]) -> None:
    with ExitStack() as stack:
        ours, other = one_server(transactions, stack)
        for query in ("SELECT 1 + %s::int", "SELECT 2 + %s::int"):
            other.execute(query.encode(), (1,), prepare=True)
        for attempt in (
            "DO 'BEGIN EXECUTE ''DEALLOCATE ALL''; END'",
            'BEGIN; PREPARE "PGBOUNCER_1" AS SELECT 1; COMMIT',
            'DEALLOCATE "PGBOUNCER_1"',
        ):
            with contextlib.suppress(errors.Error):
                ours.execute(attempt.encode())
            ours.execute("ROLLBACK")
        for query, wanted in (("SELECT 1 + %s::int", 2), ("SELECT 2 + %s::int", 3)):
            row = other.execute(query.encode(), (1,), prepare=True).fetchone()
            assert row == (wanted,)


def test_a_timeout_holds_after_a_setting(transactions: dict[str, str]) -> None:
    """One is taken off while the pooler sets what its next client has."""
    with connect(transactions, options="-c statement_timeout=200ms") as connection:
        for statements in (
            "SELECT pg_sleep(3)",
            "SET work_mem = '5MB'; SELECT pg_sleep(3)",
            "DO $$ BEGIN SET LOCAL work_mem = '5MB'; PERFORM pg_sleep(3); END $$",
        ):
            with pytest.raises(errors.QueryCanceled):
                connection.execute(statements.encode())


def test_a_migration_makes_prepared_statements_new(
    running: RunningFleet, transactions: dict[str, str]
) -> None:
    """Another client's, of the same text: it would be told of a changed result type."""
    query = "SELECT * FROM migrated WHERE n = %s::int"
    with connect(running.through_pooler(AUTH)) as migration:
        migration.execute("CREATE TABLE migrated (n int); INSERT INTO migrated VALUES (1)")
        migration.execute("CREATE TABLE alembic_version (version_num text)")
        migration.execute("INSERT INTO alembic_version VALUES ('before')")
        running.run(running.engine.observe())
        with connect(transactions) as earlier:
            assert earlier.execute(query, (1,), prepare=True).fetchone() == (1,)
        migration.execute("ALTER TABLE migrated ADD COLUMN more text DEFAULT 'x'")
        migration.execute("UPDATE alembic_version SET version_num = 'after'")
        running.run(running.engine.observe())
        for later in others(transactions):
            assert later.execute(query, (1,), prepare=True).fetchone() == (1, "x")
        migration.execute("DROP TABLE migrated, alembic_version")
        running.run(running.engine.observe())


def test_an_empty_search_path_goes_from_server_to_server(transactions: dict[str, str]) -> None:
    """As pg_dump and vacuumdb set it."""
    with ExitStack() as stack:
        ours = stack.enter_context(connect(transactions))
        ours.execute("SELECT set_config('search_path', '', false)")
        for other in others(transactions, 5):
            other.execute("BEGIN; SELECT 1")
            assert value(ours, "SHOW search_path") == '""'


@pytest.mark.parametrize("path", ["x" * 2001, "é"], ids=["too long", "not ASCII"])
def test_a_search_path_that_cannot_be_followed_is_refused(
    transactions: dict[str, str], path: str
) -> None:
    with connect(transactions) as connection:
        with pytest.raises(errors.InvalidParameterValue, match="cannot follow this search_path"):
            connection.execute("SELECT set_config('search_path', %s, false)", (path,))
        assert value(connection, "SELECT 1") == 1


def test_a_sequence_tells_nobody_what_another_client_got(transactions: dict[str, str]) -> None:
    with connect(transactions) as ours, connect(transactions) as other:
        ours.execute("CREATE SEQUENCE IF NOT EXISTS told")
        with ours.transaction():
            assert value(ours, "SELECT nextval('told')") == value(ours, "SELECT lastval()")
        for client in (ours, other):
            for asked in ("SELECT lastval()", "SELECT currval('told')"):
                with pytest.raises(errors.ObjectNotInPrerequisiteState):
                    client.execute(asked.encode())
        ours.execute("DROP SEQUENCE told")


@pytest.mark.parametrize("pooling", Pooling)
def test_nobody_changes_what_the_pooler_has_said(running: RunningFleet, pooling: Pooling) -> None:
    with connect(running.through_pooler(AUTH, pooling=pooling)) as connection:
        for other in Pooling:
            with contextlib.suppress(errors.InvalidParameterValue):
                connection.execute(f"SET pgherd.pooling = {other}")
        for undo in ("RESET pgherd.pooling", "RESET ALL", "DISCARD ALL"):
            connection.execute(undo.encode())
        refused_now = False
        try:
            connection.execute("LISTEN news")
        except errors.FeatureNotSupported:
            refused_now = True
        assert refused_now == (pooling is Pooling.TRANSACTION)
        with pytest.raises(errors.CantChangeRuntimeParam):
            connection.execute("SET pgherd.reported = ''")
        for whose in ("ROLE auth", "DATABASE auth", "ROLE auth IN DATABASE auth"):
            with pytest.raises(errors.Error):
                connection.execute(f"ALTER {whose} SET pgherd.pooling = session".encode())


def test_a_connection_that_the_pooler_says_nothing_of_ends(running: RunningFleet) -> None:
    """As where its first statement fails, which PgBouncer passes over."""
    unsaid = connect(running.past_pooler(AUTH))
    with closing(unsaid), pytest.raises(psycopg.OperationalError, match="has not said"):
        unsaid.execute("SELECT 1")
    with connect(running.past_pooler(AUTH)) as connection:
        connection.execute("SET pgherd.pooling = session")
        assert value(connection, "SELECT 1") == 1


@pytest.mark.usefixtures("kept")
def test_a_dump_disturbs_nobody(
    running: RunningFleet, transactions: dict[str, str], tmp_path: Path
) -> None:
    """A session is better for it, since it keeps a transaction open; but it works."""
    access = running.run(running.engine.access(AUTH, AccessRole.SERVICE, Pooling.TRANSACTION))
    tools = {**os.environ, **access.variables()}
    dump = tmp_path / "dump.sql"
    with connect(transactions) as working:
        subprocess.run([DUMP, "--table=kept", "--file", dump], env=tools, check=True)
        assert value(working, COUNT) == 3
        working.execute("DROP TABLE kept")
        restore = [DUMP.with_name("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump]
        subprocess.run(restore, env=tools, check=True, stdout=subprocess.DEVNULL)
        for other in others(transactions):
            assert value(other, COUNT) == 3
            assert value(other, "SHOW search_path") == '"$user", public'


def test_settings_of_a_transaction_stay_in_it(transactions: dict[str, str]) -> None:
    with connect(transactions) as connection:
        with connection.transaction():
            connection.execute("SET LOCAL work_mem = '1234kB'")
            assert value(connection, "SHOW work_mem") == "1234kB"
        assert value(connection, "SHOW work_mem") != "1234kB"


# Both


@pytest.mark.parametrize("pooling", Pooling)
def test_start_up_parameters_hold_as_long_as_the_client_is_there(
    running: RunningFleet, pooling: Pooling
) -> None:
    parameters = running.through_pooler(AUTH, pooling=pooling)
    options = "-c search_path=shop,public -c statement_timeout=77s -c work_mem=5MB"
    with ExitStack() as stack:
        ours = stack.enter_context(connect(parameters, options=options))
        for other in others(parameters, 8):
            assert value(other, "SHOW search_path") == '"$user", public'
            other.execute("BEGIN; SELECT 1")
            assert value(ours, "SHOW search_path") == "shop, public"
            assert value(ours, "SHOW statement_timeout") == "77s"
            assert value(ours, "SHOW work_mem") == "5MB"
            other.execute("ROLLBACK")
    refused({**parameters, "options": "-c shop.tenant=7"}, "unsupported startup parameter")
    wrong = connect(parameters, options="-c statement_timeout=soon")
    with closing(wrong), pytest.raises(psycopg.OperationalError, match="invalid server parameter"):
        wrong.execute("SELECT 1")
    with connect(parameters) as connection:
        assert value(connection, "SHOW statement_timeout") == "0"


@pytest.mark.parametrize("pooling", Pooling)
@pytest.mark.usefixtures("kept")
def test_a_statement_that_is_freed_by_sql_loses_no_commit(
    running: RunningFleet, pooling: Pooling
) -> None:
    """As PHP's PDO does it: prepared by the protocol, freed by SQL, in one transaction."""
    with connect(running.through_pooler(AUTH, pooling=pooling)) as connection:
        protocol = connection.pgconn
        for number in range(3):
            name = f"pdo_{number}".encode()
            protocol.exec_(b"BEGIN")
            protocol.prepare(name, b"INSERT INTO kept VALUES (99)")
            protocol.exec_prepared(name, [])
            assert protocol.exec_(b"DEALLOCATE " + name).command_status == b"DEALLOCATE"
            assert protocol.exec_(b"COMMIT").command_status == b"COMMIT"
        assert value(connection, f"{COUNT} WHERE n = 99") == 3


def test_sessions_never_take_the_connections_of_transactions(running: RunningFleet) -> None:
    size = patroni.size(running.manifest(ORDER))
    session = running.through_pooler(ORDER)
    transaction = running.through_pooler(ORDER, pooling=Pooling.TRANSACTION)
    with ExitStack() as stack:
        for _ in range(session_pool_size(size)):
            stack.enter_context(connect(session)).execute("SELECT 1")
        for _ in range(pool_size(size)):
            stack.enter_context(connect(transaction)).execute("BEGIN; SELECT 1")


def test_a_reader_enters_the_read_only_names_alone(running: RunningFleet) -> None:
    for pooling in Pooling:
        reader = running.through_pooler(AUTH, AccessRole.READ_ONLY, pooling)
        with connect(reader) as connection:
            assert value(connection, "SELECT 1") == 1
        refused({**reader, "dbname": reader["dbname"].replace("-ro", "")}, "cert|login rejected")


def test_a_services_certificate_opens_its_read_only_role_too(running: RunningFleet) -> None:
    """For applications with one section of TLS settings for primary and replicas."""
    reader = running.through_pooler(AUTH, AccessRole.READ_ONLY)
    files = {k: v for k, v in running.through_pooler(AUTH).items() if k in ("sslcert", "sslkey")}
    with connect(reader | files) as connection:
        assert value(connection, "SELECT current_user") == "auth_ro"
    own = {k: v for k, v in reader.items() if k in ("sslcert", "sslkey")}
    refused(running.through_pooler(AUTH) | own, "login rejected|cert")
    other = {k: v for k, v in running.through_pooler(ORDER).items() if k in ("sslcert", "sslkey")}
    refused(reader | other, "cert|login rejected")


# A planned switchover


def test_a_planned_switchover_ends_idle_sessions_and_holds_new_ones(
    running: RunningFleet, auth: dict[str, str]
) -> None:
    found: list[psycopg.Error] = []
    stop = threading.Event()

    def clients() -> None:
        while not stop.is_set():
            try:
                with connect(auth, connect_timeout=30) as connection:
                    connection.execute("SELECT 1")
            except psycopg.Error as error:
                found.append(error)

    with connect(auth) as idle:
        idle.execute("SET application_name = 'idle'")
        running.switch_over(AUTH)
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
    thread = threading.Thread(target=clients)
    thread.start()
    try:
        time.sleep(0.2)
        running.switch_over(AUTH)
    finally:
        stop.set()
        thread.join()
    # Who is between connecting and leaving in the moment of the change is ended like the idle.
    assert len(found) <= 1, found
    with connect(auth, connect_timeout=10) as connection:
        assert value(connection, "SELECT 1") == 1


def takes_writes(parameters: dict[str, str]) -> bool:
    """Whether a new client reaches a primary; it may still meet a server that is dying."""
    try:
        with connect(parameters) as connection:
            return value(connection, "SELECT pg_is_in_recovery()") is False
    except psycopg.OperationalError:
        return False


def test_new_clients_of_either_come_in_after_a_failover(running: RunningFleet) -> None:
    pid = postgres.postmaster_pid(running.layout.data(AUTH, running.leader(AUTH).number))
    assert pid
    os.kill(pid, signal.SIGKILL)
    for pooling in Pooling:
        parameters = running.through_pooler(AUTH, pooling=pooling)
        eventually(lambda there=parameters: takes_writes(there), 15)
    outcome = running.run(converge(running.fleet, {"local": running.engine}))
    assert not outcome.troubles


def test_a_planned_switchover_waits_for_a_sessions_transaction(
    running: RunningFleet, auth: dict[str, str]
) -> None:
    leader = running.leader(AUTH)
    with connect(auth) as working:
        working.execute("BEGIN")
        working.execute("SELECT 1")
        with pytest.raises(TryLater, match="a transaction has been open for more than 5 s"):
            running.run(running.engine.switchover(AUTH))
        assert value(working, "SELECT 1") == 1
        working.execute("COMMIT")
        assert running.leader(AUTH) == leader
        assert value(working, "SELECT 1") == 1


# The library


def test_every_setting_that_a_role_may_set_is_reported(running: RunningFleet) -> None:
    with running.operator(AUTH) as operator:
        rows = operator.execute("SELECT name FROM pg_settings WHERE context = 'user'").fetchall()
    followed_anyway = {
        "application_name",
        "client_encoding",
        "DateStyle",
        "TimeZone",
        "standard_conforming_strings",
    }
    of_a_transaction = {f"transaction_{n}" for n in ("deferrable", "isolation", "read_only")}
    not_followed = {"temp_buffers", "temp_tablespaces", "idle_session_timeout"}
    not_changeable = {"local_preload_libraries", "pgherd.pooling"}
    for_developers = {"force_parallel_mode", "debug_parallel_query", "trace_notify", "trace_sort"}
    for_developers |= {"debug_logical_replication_streaming"}
    left_out = followed_anyway | of_a_transaction | not_followed | not_changeable | for_developers
    wanted = {name for (name,) in rows} - left_out
    assert set(library.settings(running.manifest(AUTH).postgresql)) == wanted
