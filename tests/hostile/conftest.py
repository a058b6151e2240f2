"""Each try that is not in SQL is made by the test that names it; none is left out."""

from __future__ import annotations

import pytest
from tries import DONE


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "makes(who, *what): the tries that this test makes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where all of this folder is collected, each try must have its test."""
    titles = {(t.who, t.what) for t in DONE}
    made = set[tuple[str, str]]()
    for item in items:
        for mark in item.iter_markers("makes"):
            who, *whats = mark.args
            made |= {(who, what) for what in whats}
    assert made <= titles, f"no row of the table: {made - titles}"


@pytest.fixture(scope="session")
def all_made(request: pytest.FixtureRequest) -> set[tuple[str, str]]:
    """The tries that some collected test makes."""
    return {
        (mark.args[0], what)
        for item in request.session.items
        for mark in item.iter_markers("makes")
        for what in mark.args[1:]
    }
