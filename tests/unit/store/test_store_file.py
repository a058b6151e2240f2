"""A file that is no good is put aside, whenever that is found, and a good one is never touched."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgherd.store.opening import sqlite_engine
from pgherd.store.store import Store
from pgherd.store.tables import REVISION_TABLE
from pgherd.store.values import StoreDamaged

NOW = datetime(2026, 5, 4, tzinfo=UTC)


def names(path: Path) -> list[str]:
    """What is in its folder, without SQLite's logs."""
    found = (p.name for p in path.parent.iterdir())
    return sorted(name for name in found if not name.endswith(("-wal", "-shm")))


def made(path: Path) -> None:
    store, _ = Store.open(path)
    store.remember("key", b"value")
    store.close()


def garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def cut(path: Path) -> None:
    made(path)
    os.truncate(path, path.stat().st_size // 2)


def scribbled(path: Path) -> None:
    made(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xaa" * 20_000)


def newer(path: Path) -> None:
    made(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pgherd_revision SET version_num = '9999'")
    connection.close()


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()


def half_made(path: Path) -> None:
    made(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"DROP TABLE {REVISION_TABLE}")
    connection.close()


def link(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(b"")
    path.symlink_to(target)


def link_beside(path: Path) -> None:
    made(path)
    path.with_name("history.db-wal").symlink_to("/dev/null")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (garbage, "not a database"),
        (cut, "damaged"),
        (scribbled, "damaged"),
        (newer, "newer pgherd .revision 9999"),
        (foreign, "another program"),
        (half_made, "already exists"),
        (Path.mkdir, "a folder"),
        (os.mkfifo, "no plain file"),
        (link, "a symbolic link"),
        (link_beside, "a symbolic link"),
    ],
)
def test_what_is_no_good_is_put_aside(path: Path, spoil: Callable[[Path], None], why: str) -> None:
    spoil(path)
    before = path.lstat().st_ino
    store, lost = Store.open(path)
    assert lost
    assert why.replace(".", "(") in lost.reason
    assert "\n" not in str(lost)
    assert lost.aside == path.with_name("history.db.aside1")
    assert lost.aside.lstat().st_ino == before
    assert store.last_loss == lost
    store.remember("key", b"new")
    assert store.recall("key") == b"new"
    store.close()
    assert Store.open(path)[1] is None
    target = path.with_name("target")
    assert not target.exists() or target.read_bytes() == b""


def test_only_two_are_kept_aside(path: Path) -> None:
    for number in range(4):
        path.unlink(missing_ok=True)
        path.write_text(f"garbage {number}" * 1000)
        Store.open(path)[0].close()
    assert names(path) == ["history.db", "history.db.aside1", "history.db.aside2"]
    assert path.with_name("history.db.aside1").read_text().startswith("garbage 3")
    assert path.with_name("history.db.aside2").read_text().startswith("garbage 2")


def test_a_good_file_stays(path: Path) -> None:
    made(path)
    store, lost = Store.open(path)
    assert lost is None
    assert store.recall("key") == b"value"
    store.close()
    assert names(path) == ["history.db"]


def test_an_empty_file_becomes_a_history(path: Path) -> None:
    path.touch()
    store, lost = Store.open(path)
    assert lost is None
    store.close()


def test_only_its_owner_may_read_it(path: Path) -> None:
    store, _ = Store.open(path)
    store.remember("key", b"value")
    found = list(path.parent.iterdir())
    assert len(found) == 3
    assert {stat.S_IMODE(p.stat().st_mode) for p in found} == {0o600}
    path.chmod(0o644)
    store.close()
    Store.open(path)[0].close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_a_file_as_it_was_meant(path: Path) -> None:
    engine = sqlite_engine(path)
    Store.open(path)[0].close()
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "auto_vacuum", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 1,
        "auto_vacuum": 2,
        "busy_timeout": 5000,
    }
    assert engine.pool.size() == 1  # type: ignore[attr-defined]
    engine.dispose()


@pytest.mark.parametrize("folder_too", [False, True])
def test_a_file_that_is_deleted_is_made_anew_with_the_next_write(
    path: Path, folder_too: bool
) -> None:
    path = path.parent / "folder" / "history.db"
    store, _ = Store.open(path)
    store.add_event(NOW, "scale", "before")
    for found in list(path.parent.iterdir()):
        found.unlink()
    if folder_too:
        path.parent.rmdir()
    store.add_event(NOW, "scale", "after")
    assert [e.reason for e in store.events()] == ["after"]
    assert store.last_loss
    assert "deleted" in store.last_loss.reason
    assert path.exists()
    store.close()


def test_a_file_that_is_replaced_is_used_from_the_next_write_on(path: Path) -> None:
    other = path.with_name("other.db")
    made(other)
    store, _ = Store.open(path)
    other.rename(path)
    store.remember("mine", b"1")
    assert store.recall("key") == b"value"
    store.close()


def test_damage_that_is_found_while_it_runs_can_be_left_behind(path: Path) -> None:
    store, _ = Store.open(path)
    for n in range(50):
        store.remember(str(n), bytes(5_000))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        # A change by another makes the store read the file anew.
        connection.execute("INSERT INTO pgherd_alerts VALUES (1, '', '', 0, '', '', 0)")
        connection.commit()
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xaa" * (path.stat().st_size - 4096))
    connection.close()
    with pytest.raises(StoreDamaged, match="damaged") as caught:
        store.recall("1")
    assert "\n" not in caught.value.message
    with pytest.raises(StoreDamaged):
        store.remember("1", b"")
    lost = store.renew()
    assert lost
    assert lost.aside
    assert lost.aside.stat().st_size > 100_000
    assert store.recall("1") is None
    store.remember("1", b"new")
    assert store.recall("1") == b"new"
    store.close()


def test_a_table_that_is_gone_is_damage(path: Path, store: Store) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE pgherd_kept")
    connection.close()
    with pytest.raises(StoreDamaged, match="no such table"):
        store.recall("key")


def test_text_that_is_none_is_damage(path: Path, store: Store) -> None:
    store.add_event(NOW, "scale", "")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pgherd_events SET reason = CAST(x'ff' AS TEXT)")
    connection.close()
    with pytest.raises(StoreDamaged):
        store.events()


def test_a_store_that_was_closed_looks_at_its_place_again(path: Path) -> None:
    store, _ = Store.open(path)
    store.close()
    path.unlink()
    link(path)  # it may well have the inode that the file had
    store.remember("key", b"value")
    assert store.last_loss
    assert "a symbolic link" in store.last_loss.reason
    store.close()
    assert store.recall("key") == b"value"
    assert path.with_name("target").read_bytes() == b""
    store.close()


def test_nothing_is_put_aside_that_another_made_anew(path: Path, store: Store) -> None:
    path.unlink()
    made(path)
    assert store.renew() is None
    assert store.recall("key") == b"value"
    assert "history.db.aside1" not in names(path)
