"""What a store can be opened at, what is for later, and that it may be used by many at once."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgherd.errors import InputError, TryLater
from pgherd.store.opening import place_of, sqlite_engine
from pgherd.store.store import Store
from pgherd.store.troubles import translated
from pgherd.store.values import StoreDamaged

NOW = datetime(2026, 5, 4, tzinfo=UTC)


def test_a_full_disk_is_no_damage(path: Path, store: Store) -> None:
    engine = sqlite_engine(path)
    with pytest.raises(TryLater) as caught, translated("it"), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 20")
        connection.exec_driver_sql("INSERT INTO pgherd_kept VALUES ('a', zeroblob(1000000))")
    engine.dispose()
    assert not isinstance(caught.value, StoreDamaged)
    assert caught.value.message == "it cannot be used now: its disk is full"
    assert caught.value.hint


def test_a_file_that_is_read_only_is_no_damage(path: Path, store: Store) -> None:
    engine = sqlite_engine(path)
    with pytest.raises(TryLater) as caught, translated("it"), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 1")
        connection.exec_driver_sql("DELETE FROM pgherd_kept")
    assert caught.value.message == "it cannot be used now: it is read-only"
    engine.dispose()
    assert not isinstance(caught.value, StoreDamaged)


def test_a_folder_that_cannot_be_made_is_for_later(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TryLater, match="cannot be used now"):
        Store.open(tmp_path / "file" / "history.db")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_folder_that_others_may_change_is_not_believed(path: Path) -> None:
    path.parent.chmod(0o777)
    with pytest.raises(InputError, match="may be changed by others"):
        Store.open(path)


def test_two_processes_may_use_it_at_once(path: Path, store: Store) -> None:
    other, lost = Store.open(path)
    assert lost is None
    store.remember("a", b"1")
    other.remember("b", b"2")
    assert (store.recall("b"), other.recall("a")) == (b"2", b"1")
    other.close()


def test_it_may_be_called_from_any_thread(store: Store) -> None:
    def call(number: int) -> int:
        return store.add_event(NOW, "scale", str(number)).id

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(call, range(40)))
    assert ids == {event.id for event in store.events()} == set(range(1, 41))


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("/a/b.db", Path("/a/b.db")),
        ("sqlite:////a/b.db", Path("/a/b.db")),
        (Path("/a/b.db"), Path("/a/b.db")),
    ],
)
def test_a_place_is_a_path(where: Path | str, place: Path) -> None:
    assert place_of(where) == place


def test_a_place_is_a_server() -> None:
    assert place_of("postgresql://h/d").drivername == "postgresql+psycopg"  # type: ignore[union-attr]


@pytest.mark.parametrize("where", ["mysql://h/d", "x://", "://", "sqlite://", "postgresql://h:x/"])
def test_other_places_are_refused(where: str) -> None:
    with pytest.raises(InputError):
        place_of(where)


def test_a_server_that_is_not_there_is_for_later(tmp_path: Path) -> None:
    with pytest.raises(TryLater, match="cannot be used now") as caught:
        Store.open(f"postgresql+psycopg://me:secret@/d?host={tmp_path}")
    assert "secret" not in caught.value.message
    assert "\n" not in caught.value.message


def test_the_values_need_no_database_library() -> None:
    code = (
        "import sys, pgherd.store.values;"
        "sys.exit(bool({'sqlalchemy', 'alembic'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
