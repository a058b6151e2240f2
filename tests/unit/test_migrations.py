"""What the version files say is read without running them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from pgherd.contract.access import Access
from pgherd.control.migrations import AlembicMigrations
from pgherd.control.version_files import read_revision
from pgherd.errors import InputError
from pgherd.fleet.desired import (
    Backup,
    Database,
    DatabaseId,
    Durability,
    Environment,
    Ocpus,
    Replicas,
    Storage,
)

SERVICES = Path(__file__).parents[2] / "examples" / "ecommerce" / "services"


def database(migrations: Path | None) -> Database:
    environment = Environment("test", "local", "test", IPv4Network("10.0.0.0/16"), 1)
    return Database(
        id=DatabaseId("test", "auth"),
        name="test-auth",
        environment=environment,
        ocpus=Ocpus(1, 1),
        storage=Storage(1 << 30, None),
        replicas=Replicas(0, 0),
        durability=Durability.ASYNCHRONOUS,
        autoscale=None,
        backup=Backup(1),
        deletion_protection=False,
        migrations=migrations,
    )


def head(folder: Path | None) -> str | None:
    return AlembicMigrations().head(database(folder))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_without_a_folder_there_is_no_head() -> None:
    assert head(None) is None


def test_without_a_folder_nothing_is_applied(tmp_path: Path) -> None:
    nowhere = Access(str(tmp_path), 1, "auth", "auth")
    AlembicMigrations().apply(database(None), nowhere)


def test_the_head_is_what_no_other_file_follows(tmp_path: Path) -> None:
    write(tmp_path, "b.py", 'revision = "one"\ndown_revision = None\n')
    write(tmp_path, "a.py", 'revision: str = "two"\ndown_revision: str | None = "one"\n')
    write(tmp_path, "__init__.py", "")
    write(tmp_path, "notes.txt", "not a version file")
    assert head(tmp_path) == "two"


def test_a_merge_follows_several(tmp_path: Path) -> None:
    write(tmp_path, "1.py", 'revision = "1"\ndown_revision = None\n')
    write(tmp_path, "2a.py", 'revision = "2a"\ndown_revision = "1"\n')
    write(tmp_path, "2b.py", 'revision = "2b"\ndown_revision = "1"\n')
    write(tmp_path, "3.py", 'revision = "3"\ndown_revision = ("2a", "2b")\n')
    assert head(tmp_path) == "3"


def test_an_alembic_project_has_its_files_in_versions(tmp_path: Path) -> None:
    write(tmp_path, "env.py", "raise AssertionError('not run')\n")
    (tmp_path / "versions").mkdir()
    write(tmp_path / "versions", "1.py", 'revision = "1"\ndown_revision = None\n')
    assert head(tmp_path) == "1"


def test_a_file_is_not_run_to_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, "1.py", 'revision = "1"\ndown_revision = None\nraise SystemExit\n')
    assert read_revision(path).id == "1"


def test_a_changed_folder_is_seen(tmp_path: Path) -> None:
    migrations = AlembicMigrations()
    first = write(tmp_path, "1.py", 'revision = "1"\ndown_revision = None\n')
    assert migrations.head(database(tmp_path)) == "1"
    write(tmp_path, "2.py", 'revision = "2"\ndown_revision = "1"\n')
    assert migrations.head(database(tmp_path)) == "2"
    first.write_text('revision = "one"\ndown_revision = None\n')
    with pytest.raises(InputError, match="follows 1, which is not there"):
        migrations.head(database(tmp_path))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "{folder} has no version files"),
        (
            {"1.py": 'revision = "1"', "2.py": 'revision = "2"'},
            "{folder} has several newest revisions: 1, 2",
        ),
        (
            {
                "1.py": 'revision = "1"\ndown_revision = "2"',
                "2.py": 'revision = "2"\ndown_revision = "1"',
            },
            "{folder} has no newest revision",
        ),
        (
            {"1.py": 'revision = "1"', "2.py": 'revision = "1"'},
            "{folder}/2.py and 1.py are both 1",
        ),
        (
            {"1.py": 'revision = "1"\ndown_revision = "0"'},
            "{folder}/1.py follows 0, which is not there",
        ),
        ({"1.py": "def upgrade(): ..."}, "{folder}/1.py declares no revision"),
        ({"1.py": "revision = 1"}, "{folder}/1.py declares no revision"),
        ({"1.py": f'revision = "{"x" * 33}"'}, "{folder}/1.py declares no revision"),
        ({"1.py": "revision = str(1)"}, "{folder}/1.py computes its revision"),
        ({"1.py": "revision ="}, "{folder}/1.py:1: invalid syntax"),
    ],
)
def test_a_folder_that_is_not_right_is_named(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    for name, text in files.items():
        write(tmp_path, name, f"{text}\n")
    with pytest.raises(InputError) as caught:
        head(tmp_path)
    assert caught.value.message == message.format(folder=tmp_path)
    assert caught.value.hint


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing cannot be read: No such file"):
        head(tmp_path / "missing")


@pytest.mark.parametrize("folder", sorted(SERVICES.iterdir()), ids=lambda p: p.name)
def test_each_example_service_has_one_line_of_revisions(folder: Path) -> None:
    files = sorted((folder / "migrations").glob("*.py"))
    assert len(files) >= 2
    previous: tuple[str, ...] = ()
    for file in files:
        revision = read_revision(file)
        assert file.name.startswith(f"{revision.id}_")
        assert revision.down == previous
        previous = (revision.id,)
    assert head(folder / "migrations") == previous[0]


def test_ten_services_have_migrations() -> None:
    assert len(list(SERVICES.iterdir())) == 10


def test_the_same_files_are_parsed_once(tmp_path: Path) -> None:
    write(tmp_path, "1.py", 'revision = "1"\ndown_revision = None\n')
    migrations = AlembicMigrations()
    one = database(tmp_path)
    assert migrations.head(one) == "1"
    known = dict(migrations._files)
    assert migrations.head(replace(one, id=DatabaseId("other", "auth"))) == "1"
    assert [id(kept) for kept in migrations._files.values()] == [id(k) for k in known.values()]


def test_reading_needs_neither_alembic_nor_sqlalchemy() -> None:
    code = (
        "import sys, pgherd.control.migrations\n"
        "sys.exit(bool({'alembic', 'sqlalchemy', 'psycopg'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
