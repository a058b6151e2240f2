"""The revisions make the tables that the statements expect, in SQLite and for PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_mock_engine
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from pgherd.store.opening import sqlite_engine
from pgherd.store.revisions import r0001_first
from pgherd.store.schema import ensure_schema, newest_revision
from pgherd.store.store import Store
from pgherd.store.tables import REVISION_TABLE, metadata


def test_the_revisions_make_the_tables(path: Path, store: Store) -> None:
    engine = sqlite_engine(path)
    with engine.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": REVISION_TABLE, "compare_type": True}
        )
        assert context.get_current_revision() == newest_revision()
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_they_do_nothing_the_second_time(path: Path, store: Store) -> None:
    engine = sqlite_engine(path)
    with engine.begin() as connection:
        before = connection.exec_driver_sql("PRAGMA schema_version").scalar()
        ensure_schema(connection)
        assert connection.exec_driver_sql("PRAGMA schema_version").scalar() == before
    engine.dispose()


def test_what_is_interrupted_leaves_nothing(path: Path) -> None:
    path.touch()
    engine = sqlite_engine(path)
    with pytest.raises(ZeroDivisionError), engine.begin() as connection:
        ensure_schema(connection)
        raise ZeroDivisionError
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0
    engine.dispose()


def test_the_first_revision_is_the_same_for_postgresql() -> None:
    written: list[str] = []
    dialect = create_mock_engine("postgresql+psycopg://", print).dialect
    context = MigrationContext.configure(
        dialect=dialect, opts={"as_sql": True, "output_buffer": _Lines(written)}
    )
    r0001_first.upgrade(Operations(context))
    made = {_plain(text) for text in written if text.strip()}
    tables = metadata.sorted_tables
    wanted: list[ExecutableDDLElement] = [CreateTable(table) for table in tables]
    wanted += [CreateIndex(index) for table in tables for index in table.indexes]
    texts = (made_of.compile(dialect=dialect) for made_of in wanted)
    assert made == {_plain(str(text)) for text in texts}


class _Lines:
    """A file as Alembic writes to it."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def write(self, text: str) -> None:
        self._lines.append(text)

    def flush(self) -> None:
        """Nothing is held back."""


def _plain(text: str) -> str:
    return " ".join(text.replace(";", "").split())
