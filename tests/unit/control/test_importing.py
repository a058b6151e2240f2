"""What an import decides by itself: whence, whether, and what came of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.control.importing.address import read_source
from pgherd.control.importing.children import Door, opened
from pgherd.control.importing.copying import kept
from pgherd.control.importing.judging import (
    MARK,
    Inventory,
    Sums,
    Table,
    Verdict,
    begins,
    behind,
    compared,
    inventory,
    need_yes,
    read_sums,
    refusals,
    tables_to_ask,
)
from pgherd.errors import InputError, NeedsHuman

LOOK = {
    "version": 15,
    "bytes": 8000000,
    "encoding": "UTF8",
    "name": "shop",
    "schemas": ["public"],
    "extensions": [["citext", "public"]],
    "trusted": ["citext", "plperl"],
    "tables": [["public", "a", 3, 24576], ["public", "alembic_version", 1, 8192]],
    "views": [],
    "foreign": [],
    "left_out": [],
    "objects": 0,
    "comment": None,
}
SEEN = inventory(LOOK)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("postgresql://me:pw@h/d", "can be read by every login"),
        ("postgresql://me@h/d?password=pw", "can be read by every login"),
        ("postgresql://me@h/d?sslpassword=pw", "can be read by every login"),
        ("postgresql://me@h/d?service=pw", "a parameter that has no place here: service"),
        ("postgresql://me@h/d?passfile=pw", "a parameter that has no place here: passfile"),
        ("postgresql://me@h/d?options=-cpw%3D1", "a parameter that has no place here: options"),
        ("postgresql://me@h/d?pw=%zz", "that libpq can read"),
        ("postgresql://h/d", "names no role"),
        ("postgresql://me@h", "names no database"),
        ("postgresql://me@/d", "names no server"),
        ("host=h dbname=d user=me password=pw", "not a URI"),
    ],
)
def test_a_source_that_is_refused_tells_no_secret(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        read_source(uri, is_private=False)
    assert "pw" not in refused.value.message.replace("password", "")


def test_a_password_is_apart_and_shown_nowhere() -> None:
    source = read_source("postgresql://me:p%3Aw@h:6000/d?sslmode=require", is_private=True)
    assert source.password == "p:w"
    assert "p:w" not in f"{source} {source!r}"
    assert dict(source.parameters) == {
        "user": "me",
        "host": "h",
        "port": "6000",
        "dbname": "d",
        "sslmode": "require",
    }


def test_children_get_files_open_and_secrets_by_their_surroundings(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    door = Door({"host": "h", "dbname": "d", "sslkey": str(key), "sslrootcert": "system"}, "pw")
    with opened(door) as open_door:
        variables = open_door.variables()
        (descriptor,) = open_door.descriptors
        assert os.pread(descriptor, 10, 0) == b"secret"
        assert os.fstat(descriptor).st_mode & 0o777 == 0o600
    assert variables["PGSSLKEY"] == f"/proc/self/fd/{descriptor}"
    assert variables["PGPASSWORD"] == "pw"
    assert (variables["PGDATABASE"], variables["PGSSLROOTCERT"]) == ("d", "system")
    assert "pw" not in repr(door) + repr(open_door)
    with pytest.raises(InputError, match="cannot be read"), opened(Door({"sslcert": "/no/file"})):
        pass


def test_what_a_service_can_have_is_imported() -> None:
    assert refusals(SEEN, SEEN) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 10}, "the source is PostgreSQL 10, and only 11 to 15"),
        ({"version": 16}, "the source is PostgreSQL 16"),
        ({"encoding": "SQL_ASCII"}, "encoding is SQL_ASCII"),
        ({"extensions": (("postgis", "public"),)}, "may not have: postgis"),
        ({"extensions": (("plperl", "pg_catalog"),)}, "may not have: plperl"),
        ({"extensions": (("hstore", "public"),)}, "may not have: hstore"),
        ({"foreign": (("foreign table", "far"),)}, "a superuser can make: foreign table 'far'"),
    ],
)
def test_what_a_service_cannot_have_is_refused(change: dict[str, object], message: str) -> None:
    (refused,) = refusals(replace(SEEN, **change), SEEN)  # type: ignore[arg-type]
    assert message in refused.message


def test_only_rows_that_somebody_may_miss_are_asked_for() -> None:
    assert tables_to_ask(SEEN) == [["public", "a"]]
    assert not need_yes(SEEN, None)
    assert need_yes(SEEN, ["public", "a"])
    assert need_yes(replace(SEEN, objects=1), None)
    half = replace(SEEN, comment=MARK)
    assert not need_yes(half, ["public", "a"])
    assert not need_yes(replace(half, objects=1), None)


@pytest.mark.parametrize(
    "wrong", [None, {}, [], {**LOOK, "tables": [["a"]]}, {**LOOK, "version": "x"}]
)
def test_a_catalogue_that_makes_no_sense_is_no_crash(wrong: object) -> None:
    with pytest.raises(NeedsHuman):
        inventory(wrong)


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=6))
def test_whatever_a_server_says_of_its_sums(found: object) -> None:
    sums = read_sums(found)
    assert isinstance(sums.rows, int)
    assert isinstance(sums.sum, int)


def test_a_table_is_summed_up_in_parts() -> None:
    assert begins(Table("s", "t", 0, 0)) == [0]
    assert begins(Table("s", "t", 16384, 0)) == [0]
    assert begins(Table("s", "t", 40000, 0)) == [0, 16384, 32768]


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        (Sums(2, 5), Sums(2, 5), Verdict.SAME),
        (Sums(2, 5), Sums(2, 6), Verdict.DIFFERENT),
        (Sums(2, 5), Sums(3, 5), Verdict.DIFFERENT),
        (Sums(2, 5), None, Verdict.MISSING),
        (Sums(2, 5), Sums(why="late"), Verdict.UNCHECKED),
        (Sums(2, 5) + Sums(why="late"), Sums(2, 5), Verdict.UNCHECKED),
    ],
)
def test_both_sides_are_compared(ours: Sums, theirs: Sums | None, verdict: Verdict) -> None:
    assert compared("s", "t", ours, theirs).verdict is verdict


def test_sequences_are_compared_by_their_values() -> None:
    source = [["s", "a", 3], ["s", "b", None], ["s", "c", 1]]
    assert behind(source, [["s", "a", 3], ["s", "b", None], ["s", "c", 2]]) == (3, ("s.c",))
    assert behind(source, []) == (3, ("s.a", "s.b", "s.c"))
    with pytest.raises(NeedsHuman):
        behind(source, "nonsense")


LIST = """\
;
; Archive created at 2026-05-04
5; 2615 2200 SCHEMA - public me
6; 2615 16390 SCHEMA - sales me
2; 3079 16385 EXTENSION - citext
3400; 0 0 COMMENT - EXTENSION citext
3401; 0 0 COMMENT - SCHEMA public me
3402; 0 0 COMMENT - SCHEMA sales me
217; 1259 16500 TABLE public SCHEMA - trick me
218; 1259 16501 TABLE public plain me
3200; 3466 16600 EVENT TRIGGER - audit me
"""


def test_what_is_made_already_is_not_restored() -> None:
    assert kept(LIST).splitlines()[2:] == [
        "3402; 0 0 COMMENT - SCHEMA sales me",
        "217; 1259 16500 TABLE public SCHEMA - trick me",
        "218; 1259 16501 TABLE public plain me",
    ]


def test_an_inventory_knows_a_half_made_import() -> None:
    assert not SEEN.is_half_imported
    assert isinstance(SEEN, Inventory)
    assert inventory({**LOOK, "comment": MARK}).is_half_imported
