"""Reading a history changes nothing of it, and follows the file that stands at its place."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgherd.errors import TryLater
from pgherd.store.reader import FileReader
from pgherd.store.store import Store
from pgherd.store.values import StoreDamaged

NOW = datetime(2026, 5, 4, tzinfo=UTC)


def test_it_reads_what_is_written_meanwhile(store: Store, path: Path) -> None:
    reader = FileReader(path)
    store.add_event(NOW, "scale", "why", database="production/cart")
    assert [event.kind for event in reader.events()] == ["scale"]
    store.remember("key", b"value")
    assert reader.recall("key") == b"value"


def test_what_is_no_history_stays_where_it_is(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreDamaged):
        FileReader(path).events()
    assert path.read_bytes() == b"no database" * 1000
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_one_of_newer_code_is_read_as_far_as_it_can_be(store: Store, path: Path) -> None:
    store.add_event(NOW, "scale", "why")
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pgherd_revision SET version_num = 'later'")
        connection.execute("ALTER TABLE pgherd_alerts RENAME TO pgherd_warnings")
    reader = FileReader(path)
    assert len(reader.events()) == 1
    with pytest.raises(StoreDamaged):
        reader.alerts()
    assert [p.name for p in path.parent.iterdir() if "aside" in p.name] == []


def test_nothing_can_be_written_by_it(store: Store, path: Path) -> None:
    store.add_event(NOW, "scale", "why")
    with (
        pytest.raises(TryLater, match="it is read-only"),
        FileReader(path)._reading() as connection,
    ):
        connection.exec_driver_sql("DELETE FROM pgherd_events")
    assert len(store.events()) == 1


def test_another_file_at_its_place_is_read_from_then_on(store: Store, path: Path) -> None:
    store.add_event(NOW, "scale", "why")
    reader = FileReader(path)
    assert len(reader.events()) == 1
    store.close()
    path.rename(path.with_name("former.db"))
    another, _ = Store.open(path)
    assert reader.events() == []
    another.add_event(NOW, "repair", "why")
    assert [event.kind for event in reader.events()] == ["repair"]
    another.close()
