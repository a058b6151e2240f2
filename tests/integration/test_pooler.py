"""Drivers as they come, in transaction mode, and the read-only name, through real poolers.

The pool of a database here has fewer server connections than the tests have clients, so that
statements of one client reach many servers, and one server sees statements of many clients.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import asyncpg
import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo
from running_fleet import AUTH, ORDER, STAGING_AUTH, RunningFleet, connect, eventually
from wire import JdbcConnection, RefusedError, client_tls

from pgherd.contract.access import AccessRole
from pgherd.decide.parameters import pool_size
from pgherd.engines.local import patroni, postgres
from pgherd.engines.local.processes import by_folder, is_session_leader
from pgherd.fleet.desired import DatabaseId

pytestmark = pytest.mark.integration

CLIENTS = 24
ROUNDS = 15


@pytest.fixture(autouse=True)
def more_clients_than_server_connections(running: RunningFleet) -> None:
    assert pool_size(patroni.size(running.manifest(AUTH))) < CLIENTS


# Drivers


async def test_psycopg_prepares_by_default(transactions: dict[str, str]) -> None:
    async def client(number: int) -> None:
        async with await psycopg.AsyncConnection.connect(
            make_conninfo("", **transactions)
        ) as connection:
            assert connection.prepare_threshold == 5
            for round in range(ROUNDS):
                cursor = await connection.execute("SELECT %s::int * 100 + %s", (number, round))
                assert await cursor.fetchone() == (number * 100 + round,)
                cursor = await connection.execute("SELECT %s::text || 'x'", (str(number),))
                assert await cursor.fetchone() == (f"{number}x",)
                await connection.commit()

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    with connect(transactions) as connection:
        for number in range(6):
            connection.execute("SELECT %s::int * 100 + %s", (number, 0))
        described = connection.pgconn.describe_prepared(b"_pg3_0")
        assert described.status == psycopg.pq.ExecStatus.COMMAND_OK


async def test_psycopg_in_autocommit_and_pipelines(transactions: dict[str, str]) -> None:
    async def client(number: int) -> None:
        connection = await psycopg.AsyncConnection.connect(
            make_conninfo("", **transactions), autocommit=True
        )
        async with connection:
            for round in range(ROUNDS):
                async with connection.pipeline():
                    cursors = [
                        await connection.execute("SELECT %s::int + %s", (number, round))
                        for _ in range(3)
                    ]
                    assert [await c.fetchone() for c in cursors] == [(number + round,)] * 3

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))


async def test_asyncpg_with_its_statement_cache(transactions: dict[str, str]) -> None:
    pool = await asyncpg.create_pool(
        host=transactions["host"],
        port=int(transactions["port"]),
        user=transactions["user"],
        database=transactions["dbname"],
        ssl=client_tls(transactions),
        min_size=CLIENTS,
        max_size=CLIENTS,
    )
    async with pool:
        await pool.execute("CREATE TYPE mood AS ENUM ('calm', 'alert')")
        await pool.execute("CREATE TABLE person (id int PRIMARY KEY, moods mood[])")
        try:

            async def client(number: int) -> None:
                for round in range(ROUNDS):
                    id = number * 100 + round
                    await pool.execute("INSERT INTO person VALUES ($1, $2)", id, ["calm"])
                    row = await pool.fetchrow("SELECT id, moods FROM person WHERE id = $1", id)
                    assert tuple(row) == (id, ["calm"])

            await asyncio.gather(*(client(number) for number in range(CLIENTS)))
            assert await pool.fetchval("SELECT count(*) FROM person") == CLIENTS * ROUNDS
            async with pool.acquire() as connection, connection.transaction():
                cursor = await connection.cursor("SELECT id FROM person ORDER BY id")
                assert len(await cursor.fetch(50)) == 50
        finally:
            await pool.execute("DROP TABLE person")
            await pool.execute("DROP TYPE mood")


def test_jdbc_with_named_statements_in_transactions(transactions: dict[str, str]) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(JdbcConnection(transactions)) for _ in range(CLIENTS)]
        first = clients[0]
        # Those in an open transaction keep a server each, so the others use yet others.
        for busy in clients[1:4]:
            busy.run("BEGIN")
            busy.execute("SELECT $1::int + 1", "1")
        for round in range(ROUNDS):
            for number, client in enumerate(clients[4:]):
                rows = client.execute("SELECT $1::int + $2::int", str(number), str(round))
                assert rows == [(str(number + round),)]
                assert client.execute("SELECT $1::text", str(number)) == [(str(number),)]
        for busy in clients[1:4]:
            assert busy.execute("SELECT $1::int + 1", "2") == [("3",)]
            busy.run("COMMIT")
        assert first.execute("SELECT 0.1::float8, current_setting('TimeZone')") == [
            ("0.1", "Europe/Berlin")
        ]


def test_jdbc_sees_an_error_and_goes_on(transactions: dict[str, str]) -> None:
    with JdbcConnection(transactions) as client:
        for _ in range(3):
            with pytest.raises(RefusedError, match="division by zero"):
                client.execute("SELECT 1 / $1::int", "0")
            assert client.execute("SELECT 1 / $1::int", "1") == [("1",)]


def test_a_table_that_its_client_changes_is_no_obstacle(transactions: dict[str, str]) -> None:
    """psycopg deallocates what it prepared, and the pooler understands it."""
    with connect(transactions) as connection:
        connection.execute("CREATE TABLE shape (a int)")
        try:
            for _ in range(8):
                connection.execute("SELECT * FROM shape WHERE a = %s", (1,))
            connection.execute("ALTER TABLE shape ADD COLUMN b int")
            cursor = connection.execute("SELECT * FROM shape WHERE a = %s", (1,))
            assert len(cursor.description or ()) == 2
        finally:
            connection.execute("DROP TABLE shape")


# The two names


def read_only(running: RunningFleet, id: DatabaseId) -> dict[str, str]:
    return running.through_pooler(id, AccessRole.READ_ONLY)


def servers(parameters: dict[str, str], connections: int = 4) -> Counter[str]:
    """Which servers answer that many clients that are busy at once."""
    with ExitStack() as stack:
        found: Counter[str] = Counter()
        for _ in range(connections):
            connection = stack.enter_context(connect(parameters))
            connection.execute("BEGIN")
            row = connection.execute("SELECT host(inet_server_addr())").fetchone()
            assert row
            found[row[0]] += 1
        return found


def test_the_read_only_name_spreads_over_the_replicas(running: RunningFleet) -> None:
    replicas = {i.address for i in running.replicas(AUTH)}
    assert len(replicas) == 2
    assert set(servers(read_only(running, AUTH))) == replicas


def test_the_read_write_name_goes_to_the_primary(
    running: RunningFleet, auth: dict[str, str]
) -> None:
    assert set(servers(auth)) == {running.leader(AUTH).address}


def test_a_service_reads_from_replicas_too(running: RunningFleet, auth: dict[str, str]) -> None:
    found = servers(auth | {"dbname": "auth-ro"})
    assert set(found) == {i.address for i in running.replicas(AUTH)}
    with (
        connect(auth | {"dbname": "auth-ro"}) as connection,
        pytest.raises(errors.ReadOnlySqlTransaction),
    ):
        connection.execute("CREATE TABLE nowhere ()")


def test_the_read_only_name_goes_to_the_primary_where_there_is_no_replica(
    running: RunningFleet,
) -> None:
    address = running.leader(STAGING_AUTH).address
    assert set(servers(read_only(running, STAGING_AUTH))) == {address}


@dataclass(slots=True)
class Answers:
    """The servers that answered, in order, and what failed when (of time.monotonic)."""

    servers: list[str] = field(default_factory=list)
    failures: list[tuple[float, Exception]] = field(default_factory=list)


@contextmanager
def queries(parameters: dict[str, str], clients: int = 3) -> Iterator[Answers]:
    """New connections, one query each, again and again."""
    answers = Answers()
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                with connect(parameters, connect_timeout=5) as connection:
                    row = connection.execute("SELECT host(inet_server_addr())").fetchone()
                assert row
                answers.servers.append(row[0])
            except psycopg.OperationalError as error:
                answers.failures.append((time.monotonic(), error))
            time.sleep(0.02)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_dead_replica_leaves_the_read_only_name_and_comes_back(running: RunningFleet) -> None:
    victim, survivor = running.replicas(AUTH)
    parameters = read_only(running, AUTH)
    both = {victim.address, survivor.address}
    instance = running.layout.instance(AUTH, victim.number)
    with queries(parameters) as answers:
        eventually(lambda: set(servers(parameters)) == both, 10)
        pid = postgres.postmaster_pid(running.layout.data(AUTH, victim.number))
        assert pid
        # It would be there again before a busy machine has seen twenty answers.
        there = by_folder(running.owner.uid)[str(instance)]
        supervisor = next(filter(is_session_leader, there))
        os.kill(supervisor, signal.SIGSTOP)
        try:
            os.kill(pid, signal.SIGKILL)
            died = time.monotonic()
            time.sleep(0.5)
            since = len(answers.servers)
            eventually(lambda: len(answers.servers) > since + 20, 5)
            assert set(answers.servers[since : since + 20]) == {survivor.address}
        finally:
            os.kill(supervisor, signal.SIGCONT)
        eventually(lambda: victim.address in answers.servers[since:], 30)
    # What the dying server was at work on is lost; nothing that came later is.
    assert all(at < died + 0.5 for at, _ in answers.failures), answers.failures
    assert len(answers.failures) <= 3, answers.failures
    eventually(lambda: set(servers(parameters)) == both, 10)


def test_a_new_replica_joins_the_read_only_name(running: RunningFleet) -> None:
    order = running.wanted(ORDER)
    (old,) = running.replicas(ORDER)
    parameters = read_only(running, ORDER)
    assert set(servers(parameters)) == {old.address}
    with queries(parameters) as answers:
        running.run(running.engine.ensure_replicas(order, 2))
        both = {i.address for i in running.replicas(ORDER)}
        assert len(both) == 2
        eventually(lambda: set(servers(parameters)) == both, 10)
        assert answers.failures == []
        running.run(running.engine.ensure_replicas(order, 1))
        eventually(lambda: set(servers(parameters)) < both, 10)
