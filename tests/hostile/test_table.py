"""The table of tries: each row is tried, and no row twice."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import tries
from tries import DONE, SQL

HERE = Path(__file__).parent


def marks() -> set[tuple[str, str]]:
    """What the tests of this folder say that they make."""
    found = set()
    for path in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr="makes"), args=[ast.Name(id=who), *whats]):
                    found |= {(getattr(tries, who), ast.literal_eval(what)) for what in whats}
    return found


def test_each_row_is_tried() -> None:
    assert marks() == {(t.who, t.what) for t in DONE}


def test_no_row_is_there_twice() -> None:
    counted = Counter((t.who, t.what) for t in (*SQL, *DONE))
    assert max(counted.values()) == 1, counted.most_common(3)


def test_there_are_more_than_a_hundred() -> None:
    assert len(SQL) + len(DONE) > 100
    assert all(t.statements for t in SQL)
