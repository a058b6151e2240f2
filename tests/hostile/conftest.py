"""Each try that is not in SQL is made by the test that names it; none is left out."""

from __future__ import annotations

import pytest
from tries import DONE


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "makes(who, *what): the tries that this test makes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A mark that names no row of the table is a mistake."""
    titles = {(t.who, t.what) for t in DONE}
    assert made_by(items) <= titles, f"no row of the table: {made_by(items) - titles}"


def made_by(items: list[pytest.Item]) -> set[tuple[str, str]]:
    """The tries that these tests make."""
    marks = (mark for item in items for mark in item.iter_markers("makes"))
    return {(mark.args[0], what) for mark in marks for what in mark.args[1:]}
