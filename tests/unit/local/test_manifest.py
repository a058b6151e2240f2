"""What is wanted is read as it was written, or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from local_fleet import ALONE, AUTH, NOBODY, PRODUCTION, LongLayout

from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import (
    FORMAT,
    STORAGE_BYTES,
    DamagedManifest,
    damaged_databases,
    read_database,
    read_databases,
    read_environment,
    read_environments,
    write_database,
    write_environment,
)
from pgherd.errors import NeedsHuman
from pgherd.fleet.desired import DatabaseId


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
def test_a_damaged_file_is_damage_to_one_thing_and_is_named(layout: Layout, damage: str) -> None:
    order, staging = replace(ALONE, service="order"), replace(PRODUCTION, name="staging")
    for environment_manifest in (PRODUCTION, staging):
        write_environment(layout, environment_manifest, NOBODY)
    for database_manifest in (AUTH, order):
        write_database(layout, database_manifest, NOBODY)
    database = layout.database(AUTH.id) / "database.json"
    environment = layout.environment("production") / "environment.json"
    for path in (database, environment):
        path.write_text(damage)
    with pytest.raises(DamagedManifest, match=r"database\.json is damaged"):
        read_database(layout, AUTH.id)
    assert list(read_databases(layout)) == [order]
    assert list(damaged_databases(layout)) == [AUTH.id]
    with pytest.raises(DamagedManifest, match=r"environment\.json is damaged"):
        read_environment(layout, "production")
    assert list(read_environments(layout)) == [staging]


def test_a_manifest_says_its_format_and_one_without_is_read(layout: Layout) -> None:
    write_database(layout, AUTH, NOBODY)
    path = layout.database(AUTH.id) / "database.json"
    content = json.loads(path.read_text())
    assert content.pop("format") == FORMAT
    del content["storage_bytes"]
    path.write_text(json.dumps(content))
    assert read_database(layout, AUTH.id) == replace(AUTH, storage_bytes=STORAGE_BYTES)


def test_a_newer_manifest_is_refused_and_never_taken_for_a_damaged_one(layout: Layout) -> None:
    write_database(layout, AUTH, NOBODY)
    path = layout.database(AUTH.id) / "database.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({"format": FORMAT + 1, "instances": content["instances"]}))
    for read in (list, lambda found: read_database(layout, AUTH.id)):
        with pytest.raises(NeedsHuman, match="was written by a newer pgherd") as caught:
            read(read_databases(layout))
        assert not isinstance(caught.value, DamagedManifest)


@pytest.mark.parametrize("format", [-1, "1", None, 1.5])
def test_a_format_that_is_none_is_damage(layout: Layout, format: object) -> None:
    write_database(layout, AUTH, NOBODY)
    path = layout.database(AUTH.id) / "database.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": format}))
    assert list(damaged_databases(layout)) == [AUTH.id]


def test_an_instance_is_found_by_the_name_that_patroni_gives_it() -> None:
    assert AUTH.numbered("auth-2") == AUTH.instances[1]
    assert AUTH.numbered("auth-9") is None
    assert AUTH.numbered("order-1") is None
    assert AUTH.numbered("") is None
