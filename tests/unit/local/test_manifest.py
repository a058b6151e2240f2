"""What is wanted is read as it was written, or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest
from local_fleet import ALONE, AUTH, NOBODY, PRODUCTION

from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import (
    read_database,
    read_databases,
    read_environment,
    read_environments,
    write_database,
    write_environment,
)
from pgherd.errors import NeedsHuman
from pgherd.fleet.desired import DatabaseId


class LongLayout(Layout):
    """One whose root may be long, as pytest's folders are: no socket is opened in it."""

    def __post_init__(self) -> None:
        pass


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return LongLayout(tmp_path)


def test_nothing_is_there_at_first(layout: Layout) -> None:
    assert list(read_environments(layout)) == []
    assert list(read_databases(layout)) == []
    assert read_environment(layout, "production") is None
    assert read_database(layout, AUTH.id) is None


def test_what_was_written_is_read(layout: Layout) -> None:
    order = replace(ALONE, service="order", running=False)
    stopped = replace(PRODUCTION, name="staging", running=False)
    for environment in (stopped, PRODUCTION):
        write_environment(layout, environment, NOBODY)
    for database in (order, AUTH):
        write_database(layout, database, NOBODY)
    assert list(read_environments(layout)) == [PRODUCTION, stopped]
    assert list(read_databases(layout)) == [AUTH, order]
    assert read_environment(layout, "staging") == stopped
    assert read_database(layout, DatabaseId("production", "order")) == order


def test_writing_again_replaces(layout: Layout) -> None:
    write_database(layout, AUTH, NOBODY)
    write_database(layout, ALONE, NOBODY)
    assert list(read_databases(layout)) == [ALONE]
    assert [p.name for p in layout.database(AUTH.id).iterdir()] == ["database.json"]


DAMAGES = [
    "",
    "{",
    "[]",
    "null",
    "17",
    "{}",
    '{"environment": "production", "service": "auth"}',
    '{"instances": [{}]}',
    "\x00\xff",
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_needs_a_human_and_is_named(layout: Layout, damage: str) -> None:
    write_environment(layout, PRODUCTION, NOBODY)
    write_database(layout, AUTH, NOBODY)
    database = layout.database(AUTH.id) / "database.json"
    environment = layout.environment("production") / "environment.json"
    for path in (database, environment):
        path.write_text(damage)
    with pytest.raises(NeedsHuman, match=r"database\.json is damaged"):
        read_database(layout, AUTH.id)
    with pytest.raises(NeedsHuman, match=r"database\.json is damaged"):
        list(read_databases(layout))
    with pytest.raises(NeedsHuman, match=r"environment\.json is damaged"):
        read_environment(layout, "production")
    with pytest.raises(NeedsHuman, match=r"environment\.json is damaged"):
        list(read_environments(layout))


def test_an_instance_is_found_by_the_name_that_patroni_gives_it() -> None:
    assert AUTH.numbered("auth-2") == AUTH.instances[1]
    assert AUTH.numbered("auth-9") is None
    assert AUTH.numbered("order-1") is None
    assert AUTH.numbered("") is None
