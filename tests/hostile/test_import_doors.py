"""What the source of an import can make of who copies it: a real one, that means no good."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from foreign_server import PASSWORD, ForeignServer, foreign_server
from tiny_place import Place, new_place
from tries import FOREIGNER

from pgherd.control.importing import looking

pytestmark = pytest.mark.integration


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
            connection.execute("CREATE DATABASE shop")
        yield server


@pytest.fixture
def source(server: ForeignServer) -> Iterator[psycopg.Connection[object]]:
    with server.connect() as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        yield connection


def imported(place: Place, server: ForeignServer) -> tuple[int, str]:
    variables = {"PGHERD_IMPORT_FROM": server.uri("postgres")}
    words = ("import", "lab/order", "--yes-overwrite", "lab/order")
    with place.start(*words, variables=variables) as process:
        output, _ = process.communicate(timeout=120)
    assert PASSWORD not in output
    return process.returncode, output


@pytest.mark.makes(FOREIGNER, "have its code run with more rights than the service's")
def test_code_of_a_source_runs_as_the_service(
    place: Place, server: ForeignServer, source: psycopg.Connection[object]
) -> None:
    source.execute(
        "CREATE FUNCTION who() RETURNS text LANGUAGE plpgsql AS $$BEGIN"
        " RETURN current_user || ' ' || session_user || ' ' || current_setting('is_superuser');"
        " END$$; CREATE MATERIALIZED VIEW ran AS SELECT public.who() AS who"
    )
    code, output = imported(place, server)
    assert code == 0, output
    with place.connect("order") as connection:
        assert connection.execute("SELECT who FROM ran").fetchone() == ("order order off",)


@pytest.mark.makes(FOREIGNER, "run programs by its code")
def test_code_of_a_source_runs_no_program(
    place: Place, server: ForeignServer, source: psycopg.Connection[object]
) -> None:
    source.execute(
        "CREATE TABLE said(what text);"
        "CREATE FUNCTION run() RETURNS bool LANGUAGE plpgsql AS $$BEGIN"
        " EXECUTE 'COPY public.said FROM PROGRAM ''id'''; RETURN true; END$$;"
        "CREATE MATERIALIZED VIEW ran AS SELECT public.run() AS run"
    )
    code, output = imported(place, server)
    assert code == 4, output
    assert "pg_execute_server_program" in output
    with place.connect("order") as connection:
        assert connection.execute("SELECT count(*) FROM said").fetchone() == (1,)


@pytest.mark.makes(FOREIGNER, "be taken for the same by its own casts, operators and functions")
def test_a_lying_table_is_seen_through(source: psycopg.Connection[object]) -> None:
    source.execute(
        "CREATE FUNCTION left(text, int) RETURNS text LANGUAGE sql AS $$SELECT '0'$$;"
        "CREATE FUNCTION sha256(bytea) RETURNS bytea LANGUAGE sql AS $$SELECT ''::bytea$$;"
        "CREATE FUNCTION same(text, text) RETURNS text LANGUAGE sql AS $$SELECT 'x0'$$;"
        "CREATE OPERATOR public.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = same);"
    )
    for name in ("one", "two"):
        source.execute(
            f"CREATE TABLE {name}(i int); INSERT INTO {name} SELECT {len(name)} + '{name}'::"
            "pg_catalog.regclass::pg_catalog.oid::int;"
            f"CREATE FUNCTION lie(public.{name}) RETURNS text LANGUAGE sql AS $$SELECT 'lie'$$;"
            f"CREATE CAST (public.{name} AS text) WITH FUNCTION lie(public.{name})".encode()
        )
    looking.settle(source)
    one, two = (looking.sums(source, "public", name, 0) for name in ("one", "two"))
    assert one[0] == two[0] == 1
    assert one[1] != two[1]
    assert looking.sums(source, "public", "one", None) == one


@pytest.mark.makes(FOREIGNER, "act on the terminal by its names")
def test_names_of_a_source_are_text(
    place: Place, server: ForeignServer, source: psycopg.Connection[object]
) -> None:
    source.execute(b'CREATE TABLE "\x1b]0;owned\x07\r\nforged line"(i int)')
    code, output = imported(place, server)
    assert code == 0, output
    assert "\x1b" not in output
    assert r"\x1b]0;owned\x07\r\nforged line" in output
