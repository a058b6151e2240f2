"""Texts that several engines share. What they make of them is in their golden files and tests."""

import ast
from pathlib import Path

import pytest

from pgherd import programs
from pgherd.programs import pgbouncer, postgresql

FILES = sorted(Path(programs.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_can_be_imported_where_nothing_else_of_pgherd_is(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {module for module in modules if module.startswith("pgherd")} <= {
        "pgherd.programs",
        "pgherd.programs.postgresql",
    }


@pytest.mark.parametrize(
    ("name", "quoted"), [("order", '"order"'), ("a-b", '"a-b"'), ('a"b', '"a""b"')]
)
def test_identifiers_are_quoted(name: str, quoted: str) -> None:
    assert postgresql.quoted(name) == quoted


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("PgBouncer 1.24.1\nlibevent 2", (1, 24, 1)),
        ("PgBouncer 1.25", (1, 25)),
        ("PgBouncer of today", None),
    ],
)
def test_pgbouncer_says_its_version(says: str, version: tuple[int, ...] | None) -> None:
    assert pgbouncer.version(says) == version


def test_the_server_ends_a_readers_query_before_the_pooler_does() -> None:
    """Which would leave the server at work."""
    timeout = int(postgresql.READER_SETTINGS["statement_timeout"].removesuffix("s"))
    assert 0 < timeout < postgresql.READER_QUERY_SECONDS
