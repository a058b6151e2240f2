"""A database moves in from a server that is none of the fleet's."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from foreign_server import PASSWORD, ForeignServer, foreign_server
from tiny_place import Place, eventually, new_place

from pgherd.control.importing.judging import MARK

pytestmark = pytest.mark.integration

TARGET = "lab/order"
ODD = "we\"ird\x1b]0;owned\x07\ttab'le"
SOURCE = r"""
CREATE EXTENSION citext; CREATE EXTENSION pgcrypto;
CREATE SCHEMA sales AUTHORIZATION owner;
CREATE SCHEMA "Odd ""big"" schema" AUTHORIZATION foreigner;
COMMENT ON SCHEMA public IS 'mine';
ALTER DATABASE shop SET search_path = sales, public;
CREATE TABLE foreigns(x int); ALTER TABLE foreigns OWNER TO foreigner;
INSERT INTO foreigns VALUES (1); GRANT SELECT ON foreigns TO owner;
CREATE FUNCTION et() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;
CREATE EVENT TRIGGER audit ON ddl_command_start EXECUTE FUNCTION et();
GRANT USAGE ON SCHEMA "Odd ""big"" schema" TO owner;
GRANT ALL ON SCHEMA public TO owner;
SET ROLE owner; SET search_path = public;
CREATE SEQUENCE lone START 7; SELECT nextval('lone'); SELECT nextval('lone');
CREATE SEQUENCE unused;
CREATE TABLE customers(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email citext UNIQUE,
  note text, data jsonb, f float8, at timestamptz, b bytea);
INSERT INTO customers(email, note, data, f, at, b) SELECT 'u' || i || '@x',
  CASE WHEN i % 3 > 0 THEN 'ünïcödé 🐘' END, jsonb_build_object('i', i), i / 3.0,
  '2020-01-01'::timestamptz + i * '1 h'::interval, decode(md5(i::text), 'hex')
  FROM generate_series(1, 3000) i;
CREATE TABLE orders(id serial PRIMARY KEY, customer bigint REFERENCES customers, price numeric,
  qty int, total numeric GENERATED ALWAYS AS (price * qty) STORED, t text);
INSERT INTO orders(customer, price, qty) SELECT i, i * 1.1, i % 7 FROM generate_series(1, 3000) i;
CREATE TABLE parts(id int, k text) PARTITION BY LIST (k);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT i, chr(97 + i % 3) FROM generate_series(1, 300) i;
CREATE VIEW few AS SELECT * FROM customers WHERE id < 10;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM orders;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql
  AS $$BEGIN NEW.note := 'touched'; RETURN NEW; END$$;
CREATE TRIGGER touch BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE customers ENABLE ALWAYS TRIGGER touch;
CREATE TABLE sales.ODD_NAME ("a b" int, "t" text, "select" text);
INSERT INTO sales.ODD_NAME VALUES (1, NULL, ''), (1, NULL, ''), (2, 'x', E'\\.');
CREATE TABLE sales.empty();
CREATE TABLE hidden(i int); INSERT INTO hidden VALUES (1);
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; CREATE POLICY none ON hidden USING (i > 5);
CREATE FUNCTION never(a int, b int) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR public.= (LEFTARG = int, RIGHTARG = int, FUNCTION = never);
CREATE FUNCTION public.left(text, int) RETURNS text LANGUAGE sql AS $$SELECT '0'$$;
CREATE FUNCTION as_text(customers) RETURNS text LANGUAGE sql AS $$SELECT 'lie'$$;
CREATE CAST (customers AS text) WITH FUNCTION as_text(customers);
SELECT lo_from_bytea(4242, '\x00ff');
"""
ALL = {
    "customers": 3000,
    "orders": 3000,
    "parts_a": 100,
    "parts_rest": 200,
    "foreigns": 1,
    "hidden": 1,
    "empty": 0,
    ODD: 3,
    "large objects": 1,
}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with new_place() as place:
        place.want("order", overrides="", more="    local: {core_per_ocpu: 1.0}")
        place.up()
        yield place


@pytest.fixture(scope="module")
def server() -> Iterator[ForeignServer]:
    with foreign_server() as server:
        with server.connect(database="postgres") as connection:
            connection.execute("CREATE ROLE foreigner")
            connection.execute(f"CREATE ROLE owner LOGIN PASSWORD '{PASSWORD}'".encode())
            connection.execute(b"CREATE DATABASE shop OWNER owner")
        with server.connect() as connection:
            odd = '"{}"'.format(ODD.replace('"', '""'))
            connection.execute(SOURCE.replace("ODD_NAME", odd).encode())
        yield server


def imported(place: Place, uri: str, *more: str, exit_code: int = 0) -> str:
    """All that the command prints."""
    variables = {"PGHERD_IMPORT_FROM": uri}
    with place.start("import", TARGET, *more, variables=variables) as process:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == exit_code, output
    assert PASSWORD not in output
    assert "\x1b" not in output
    return output


def document(output: str) -> Any:
    found, _ = json.JSONDecoder().raw_decode(output[output.index("{\n") :])
    return found


def rows(place: Place, query: str) -> list[tuple[Any, ...]]:
    with place.connect("order") as connection:
        return connection.execute(query.encode()).fetchall()


def takes_writes(server: ForeignServer) -> bool:
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        row = connection.execute("SHOW default_transaction_read_only").fetchone()
    return row == ("off",)


def nothing_is_left(server: ForeignServer) -> bool:
    """No session, no slot: as if nobody had been there."""
    with server.connect() as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM"
            " pg_stat_activity WHERE datname = 'shop' AND pid <> pg_backend_pid())"
        ).fetchone()
    return row == (0, 0)


def last_value(server: ForeignServer, sequence: str) -> int:
    """At the source, whose crash in another test has sequences go on by some."""
    with server.connect() as connection:
        query = "SELECT last_value FROM pg_sequences WHERE sequencename = %s"
        row = connection.execute(query, (sequence,)).fetchone()
    assert row
    return int(row[0])


def ensure_all_arrived(place: Place, server: ForeignServer, found: Any) -> None:
    assert found["ok"]
    assert {t["name"]: t["rows"]["copy"] for t in found["tables"]} == ALL
    assert {t["check"] for t in found["tables"]} == {"same"}
    assert rows(place, "SELECT note FROM customers WHERE id = 1") == [("ünïcödé 🐘",)]
    assert (
        rows(place, "SELECT total FROM orders WHERE id = 2")[0][0]
        == rows(place, "SELECT price OPERATOR(pg_catalog.*) qty FROM orders WHERE id = 2")[0][0]
    )
    assert rows(place, "SELECT * FROM counted") == [(3000,)]
    assert rows(place, "SELECT nextval('lone'), nextval('unused')") == [
        (last_value(server, "lone") + 1, 1)
    ]
    assert rows(place, "SELECT lo_get(4242)") == [(b"\x00\xff",)]
    assert rows(place, "INSERT INTO customers(email) VALUES ('New@x') RETURNING id, note") == [
        (last_value(server, "customers_id_seq") + 1, "touched")
    ]
    assert rows(place, "SELECT has_database_privilege('order', 'CREATE')") == [(False,)]
    assert rows(place, "SELECT obj_description('public'::regnamespace)") == [(None,)]
    owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class c WHERE relkind IN ('r', 'S')"
    assert rows(place, f"{owners} AND relnamespace::regnamespace::text !~ '^pg_|^info'") == [
        ('"order"',)
    ]


def test_all_of_a_database_arrives_and_readers_see_it(place: Place, server: ForeignServer) -> None:
    output = imported(place, server.uri("postgres"), "--yes-overwrite", TARGET, "--json")
    assert "not copied: event trigger 'audit', setting of the database" in output
    ensure_all_arrived(place, server, document(output))
    assert document(output)["source"]["written_since"] is False
    assert nothing_is_left(server)
    url = place.run("url", TARGET, "--role", "read-only").strip()
    with psycopg.connect(url) as reader:
        assert reader.execute("SELECT count(*) FROM public.customers").fetchone() == (3001,)
        assert reader.execute("SELECT pg_catalog.count(*) FROM sales.empty").fetchone() == (0,)


def test_names_that_act_on_a_terminal_are_shown(place: Place, server: ForeignServer) -> None:
    output = imported(place, server.uri("postgres"), "--yes-overwrite", TARGET)
    assert r"we\"ird\x1b]0;owned\x07" in output or r'we"ird\x1b]0;owned\x07' in output
    assert "as at the source" in output


def test_what_is_there_is_replaced_by_name_only(place: Place, server: ForeignServer) -> None:
    imported(place, server.uri("postgres"), "--yes-overwrite", TARGET)
    assert "has rows" in imported(place, server.uri("postgres"), exit_code=2)
    assert rows(place, "SELECT pg_catalog.count(*) FROM customers") == [(3000,)]


def test_writes_at_the_source_end_before_the_last_copy(place: Place, server: ForeignServer) -> None:
    with server.connect("owner") as writer:
        output = imported(
            place, server.uri("postgres"), "--stop-writes", "--yes-overwrite", TARGET, "--json"
        )
        with pytest.raises(psycopg.OperationalError):
            writer.execute("INSERT INTO public.orders(qty) VALUES (1)")
    ensure_all_arrived(place, server, document(output))
    assert document(output)["source"]["takes_no_writes"] is True
    assert not takes_writes(server)
    with server.connect() as connection:
        connection.execute("ALTER DATABASE shop RESET default_transaction_read_only")


def test_where_it_fails_the_source_takes_writes_again(place: Place, server: ForeignServer) -> None:
    """The role may not read a foreigner's table: said before anything is touched."""
    imported(place, server.uri("postgres"), "--yes-overwrite", TARGET)
    with server.connect() as connection:
        connection.execute("CREATE TABLE public.secret(i int)")
    try:
        output = imported(
            place, server.uri(), "--stop-writes", "--yes-overwrite", TARGET, exit_code=4
        )
    finally:
        with server.connect() as connection:
            connection.execute("DROP TABLE public.secret")
    assert "permission denied" in output
    assert takes_writes(server)
    assert nothing_is_left(server)
    assert rows(place, "SELECT pg_catalog.count(*) FROM customers") == [(3000,)]


def test_a_session_that_cannot_be_ended_ends_the_import(
    place: Place, server: ForeignServer
) -> None:
    with server.connect():
        output = imported(
            place, server.uri(), "--stop-writes", "--yes-overwrite", TARGET, exit_code=4
        )
    assert "1 open session that this role cannot end" in output
    assert takes_writes(server)


def test_a_transaction_that_is_prepared_may_still_commit(
    place: Place, server: ForeignServer
) -> None:
    with server.connect() as connection:
        connection.execute("BEGIN; CREATE TABLE late(); PREPARE TRANSACTION 'late'")
        try:
            output = imported(
                place,
                server.uri("postgres"),
                *("--stop-writes", "--yes-overwrite", TARGET),
                exit_code=4,
            )
        finally:
            connection.execute("ROLLBACK PREPARED 'late'")
    assert "1 prepared transaction that this role cannot end" in output
    assert takes_writes(server)


@pytest.mark.parametrize(
    ("make", "drop", "message"),
    [
        ("CREATE EXTENSION dblink", "DROP EXTENSION dblink", "may not have: dblink"),
        (
            "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw",
            "DROP EXTENSION postgres_fdw CASCADE",
            "foreign server 'far'",
        ),
        (
            "CREATE FUNCTION public.inner_length(text) RETURNS int LANGUAGE internal AS 'textlen'",
            "DROP FUNCTION public.inner_length",
            "function of a library 'inner_length'",
        ),
    ],
)
def test_what_only_a_superuser_makes_is_refused_before_anything(
    place: Place, server: ForeignServer, make: str, drop: str, message: str
) -> None:
    with server.connect() as connection:
        connection.execute(make.encode())
        try:
            output = imported(place, server.uri("postgres"), "--yes-overwrite", TARGET, exit_code=2)
        finally:
            connection.execute(drop.encode())
    assert message in output


def test_a_wrong_password_is_said(place: Place, server: ForeignServer) -> None:
    output = imported(place, server.uri("postgres", "wrong"), exit_code=3)
    assert "password authentication failed" in output


@pytest.fixture
def large(server: ForeignServer) -> Iterator[None]:
    """A table that is copied for a while."""
    with server.connect() as connection:
        connection.execute(
            "CREATE TABLE public.large AS SELECT i, repeat(md5(i::text), 20) AS t"
            " FROM generate_series(1, 400000) i"
        )
    yield
    with server.connect() as connection:
        connection.execute("DROP TABLE public.large")


def half_way(place: Place, uri: str, *more: str) -> Any:
    """An import whose rows are being copied."""
    variables = {"PGHERD_IMPORT_FROM": uri}
    words = ("import", TARGET, "--yes-overwrite", TARGET, *more)
    process = place.start(*words, variables=variables)
    assert process.stdout
    while line := process.stdout.readline():
        if "copying rows" in line:
            break
    time.sleep(0.3)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_was_cut_off_is_begun_again_by_one_command(
    place: Place, server: ForeignServer, large: None, number: signal.Signals
) -> None:
    more = () if number is signal.SIGKILL else ("--stop-writes",)
    process = half_way(place, server.uri("postgres"), *more)
    secrets = [cmdline for cmdline in command_lines() if PASSWORD.encode() in cmdline]
    assert secrets == []
    os.kill(process.pid, number)
    process.communicate(timeout=30)
    eventually(lambda: nothing_is_left(server), 30)
    assert takes_writes(server)
    assert rows(place, "SELECT obj_description('public'::regnamespace)") == [(MARK,)]
    found = document(imported(place, server.uri("postgres"), "--json"))
    assert found["ok"]
    assert {t["name"] for t in found["tables"]} == {*ALL, "large"}


def test_a_source_that_dies_half_way_is_said(
    place: Place, server: ForeignServer, large: None
) -> None:
    process = half_way(place, server.uri("postgres"))
    server.kill()
    output, _ = process.communicate(timeout=60)
    assert process.returncode in (3, 4), output
    assert "the source" in output
    eventually(lambda: not (server.data / "postmaster.pid").exists(), 30)
    server.start()
    assert document(imported(place, server.uri("postgres"), "--json"))["ok"]


def test_two_at_once_are_refused(place: Place, server: ForeignServer, large: None) -> None:
    process = half_way(place, server.uri("postgres"))
    try:
        assert "another import is at work" in imported(
            place, server.uri("postgres"), "--yes-overwrite", TARGET, exit_code=3
        )
    finally:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


def test_what_talks_to_a_source_is_nobody(place: Place, server: ForeignServer, large: None) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has rights to let go of")
    process = half_way(place, server.uri("postgres"))
    try:
        users = children_of(process.pid)
    finally:
        process.communicate(timeout=60)
    assert {"pg_dump", "pg_restore", "python"} <= {name.rstrip("3.1") for name in users}
    assert 0 not in users.values()
    assert set(users.values()) == {65534}


def children_of(parent: int) -> dict[str, int]:
    """The programs that a process has started, and as whom they run."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = dict(
                line.split(":\t", 1) for line in (entry / "status").read_text().splitlines()
            )
        except (OSError, ValueError):
            continue
        if int(status["PPid"]) == parent:
            found[status["Name"].strip()] = int(status["Uid"].split()[0])
    return found


def command_lines() -> Iterator[bytes]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            yield (entry / "cmdline").read_bytes()
        except OSError:
            continue
