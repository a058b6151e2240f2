"""Looking into a copy as its service, on a real PostgreSQL: what is counted, checked and told."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgherd.contract.access import Access
from pgherd.contract.proofs import Check
from pgherd.engines.local import postgres
from pgherd.engines.local.layout import data_plane_owner
from pgherd.engines.oci.looking import EMPTY, UNCHECKED, ServiceLooks
from pgherd.errors import TryLater

pytestmark = pytest.mark.integration

HOST = "127.0.0.1"


class Server:
    """One without passwords, on loopback; each service has a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.owner = data_plane_owner()
        self.data = folder / "data"
        _, self.programs = postgres.choose(None)
        os.chown(folder, self.owner.uid, self.owner.gid)
        with socket.socket() as found:
            found.bind((HOST, 0))
            self.port = int(found.getsockname()[1])
        self.start("initdb", "-U", "postgres", "-A", "trust", "--no-sync", "-k").wait(60)
        self.process = self.serve()

    def start(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        owner = self.owner
        user: dict[str, Any] = {"user": owner.uid, "group": owner.gid, "extra_groups": []}
        return subprocess.Popen(
            [self.programs / program, "-D", self.data, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            **(user if os.geteuid() == 0 else {}),
        )

    def serve(self) -> subprocess.Popen[bytes]:
        settings = (f"listen_addresses={HOST}", f"port={self.port}", "unix_socket_directories=")
        process = self.start("postgres", *(word for s in settings for word in ("-c", s)))
        for _ in range(300):
            try:
                self.superuser("SELECT 1")
                return process
            except psycopg.OperationalError:
                time.sleep(0.1)
        raise AssertionError("it does not come up")

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0

    def superuser(self, *queries: str, database: str = "postgres") -> list[Any]:
        with psycopg.connect(
            host=HOST, port=self.port, dbname=database, user="postgres", autocommit=True
        ) as connection:
            for query in queries:
                cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def service(self, *queries: str) -> Access:
        """A new one, which has said that."""
        name = f"pgherd-drill-{secrets.token_hex(4)}"
        self.superuser(f'CREATE ROLE "{name}" LOGIN', f'CREATE DATABASE "{name}" OWNER "{name}"')
        with psycopg.connect(
            host=HOST, port=self.port, dbname=name, user=name, autocommit=True
        ) as connection:
            connection.execute(f'CREATE SCHEMA AUTHORIZATION "{name}"')
            for query in queries:
                connection.execute(query)
        return Access(HOST, self.port, name, name, connect_timeout=5)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        yield server
        server.end()


TABLES = (
    "CREATE TABLE person AS SELECT n AS id FROM generate_series(1, 7) n",
    'CREATE TABLE "Odd ""name""; --" (id int PRIMARY KEY)',
    "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)",
    "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (9)",
    "INSERT INTO parted VALUES (1), (2)",
    "CREATE MATERIALIZED VIEW made AS SELECT * FROM person",
    "CREATE MATERIALIZED VIEW unmade AS SELECT * FROM person WITH NO DATA",
    "CREATE VIEW seen AS SELECT 1 / 0 AS broken",
)


async def test_all_tables_are_read_and_indexes_not_where_nobody_may(server: Server) -> None:
    access = server.service(*TABLES)
    looks = ServiceLooks()
    await looks.answer(access)
    assert await looks.checks(access) == (
        Check("tables", ok=True, detail="4 tables, 16 rows"),
        Check("indexes", ok=True, detail=UNCHECKED),
    )


async def test_amcheck_that_is_there_is_of_no_use_until_the_service_may(server: Server) -> None:
    access = server.service(*TABLES)
    server.superuser(
        'CREATE SCHEMA "The Checks"',
        'CREATE EXTENSION amcheck SCHEMA "The Checks"',
        database=access.database,
    )
    assert (await ServiceLooks().checks(access))[1].detail == UNCHECKED
    server.superuser(
        f'GRANT USAGE ON SCHEMA "The Checks" TO "{access.user}"',
        f'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA "The Checks" TO "{access.user}"',
        database=access.database,
    )
    assert (await ServiceLooks().checks(access))[1] == Check("indexes", ok=True, detail="2 B-trees")


async def test_a_function_of_the_service_is_not_taken_for_amcheck(server: Server) -> None:
    access = server.service(
        "CREATE TABLE person (id int PRIMARY KEY)",
        "CREATE FUNCTION bt_index_check(regclass) RETURNS void LANGUAGE sql AS ''",
    )
    assert (await ServiceLooks().checks(access))[1].detail == UNCHECKED


async def test_a_copy_without_tables_proves_nothing(server: Server) -> None:
    assert (await ServiceLooks().checks(server.service()))[0] == Check(
        "tables", ok=False, detail=EMPTY
    )


async def test_settings_of_the_service_change_nothing(server: Server) -> None:
    access = server.service(*TABLES)
    with psycopg.connect(
        host=HOST, port=server.port, dbname=access.database, user=access.user, autocommit=True
    ) as connection:
        connection.execute(
            "CREATE FUNCTION lie(int8, int4) RETURNS int8 LANGUAGE sql AS 'SELECT 1000::int8'"
        )
        connection.execute("CREATE OPERATOR + (LEFTARG = int8, RIGHTARG = int4, FUNCTION = lie)")
        connection.execute(
            f'ALTER ROLE "{access.user}" SET search_path = "{access.user}", pg_catalog'
        )
        connection.execute(f'ALTER ROLE "{access.user}" SET statement_timeout = 1')
    assert (await ServiceLooks().checks(access))[0].detail == "4 tables, 16 rows"


async def test_policies_that_hold_for_the_owner_too_are_not_run(server: Server) -> None:
    access = server.service(
        "CREATE TABLE person AS SELECT 1 AS id",
        "CREATE TABLE written (id int)",
        "CREATE FUNCTION spies(int) RETURNS bool LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'I am asked'; END $$",
        "CREATE POLICY spying ON person USING (spies(id))",
        "ALTER TABLE person ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    )
    found = (await ServiceLooks().checks(access))[0]
    told = "2 tables, 0 rows, 1 not read (row security is forced)"
    assert found == Check("tables", ok=True, detail=told)


async def test_a_page_that_is_damaged_is_found(server: Server) -> None:
    access = server.service("CREATE TABLE person AS SELECT n FROM generate_series(1, 5000) n")
    ((file,),) = server.superuser(
        f"SELECT pg_relation_filepath('\"{access.user}\".person')", database=access.database
    )
    server.end()
    with (server.data / file).open("r+b") as damaged:
        damaged.seek(2 * 8192 + 4000)
        damaged.write(b"damage")
    server.process = server.serve()
    found = (await ServiceLooks().checks(access))[0]
    assert (found.name, found.ok) == ("tables", False)
    assert "invalid page in block 2" in found.detail


async def test_nobody_is_near_where_nothing_listens(server: Server) -> None:
    looks = ServiceLooks()
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        nobody = int(bound.getsockname()[1])
        assert not await looks.is_near([HOST], nobody)
        with pytest.raises(TryLater, match="does not answer"):
            await looks.answer(Access(HOST, nobody, "auth", "auth", connect_timeout=2))
    assert await looks.is_near(["127.0.0.2", HOST], server.port)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_what_takes_any_connection_is_no_pooler(said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(said)
        writer.close()

    listening = await asyncio.start_server(serve, HOST, 0)
    async with listening:
        assert not await ServiceLooks().is_near([HOST], listening.sockets[0].getsockname()[1])


async def test_a_database_that_is_not_there_does_not_answer(server: Server) -> None:
    with pytest.raises(TryLater, match="does not exist"):
        await ServiceLooks().answer(Access(HOST, server.port, "nobody", "postgres"))
