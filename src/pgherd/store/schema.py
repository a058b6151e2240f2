"""Brings the tables of the store to the newest revision, with Alembic.

All of it is one transaction: a history is of one revision or of another, and of none in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from pgherd.store.tables import REVISION_TABLE

_FOLDER = Path(__file__).with_name("revisions")
_LOCK = int.from_bytes(b"history")
"""Held in PostgreSQL meanwhile. SQLite has one writer at a time anyway."""


class NewerRevision(Exception):
    """The history was written by newer code than this."""


def ensure_schema(connection: Connection) -> None:
    """The tables are of the newest revision; NewerRevision where this code does not know theirs.

    `connection` is in a transaction that may write.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_catalog.pg_advisory_xact_lock({_LOCK})")
    # Revisions are handed their operations: Alembic's `op` serves one migration of a process.
    context = MigrationContext.configure(
        connection, opts={"fn": _steps, "version_table": REVISION_TABLE}
    )
    context.run_migrations(op=Operations(context))


def newest_revision() -> str:
    """The one that this code writes."""
    return _scripts().get_current_head() or ""


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_FOLDER), version_locations=[str(_FOLDER)])


def _steps(found: tuple[str, ...], _context: MigrationContext) -> Iterator[MigrationStep]:
    scripts = _scripts()
    known = {script.revision for script in scripts.walk_revisions()}
    if unknown := set(found) - known:
        raise NewerRevision(", ".join(sorted(unknown)))
    missing = list(scripts.iterate_revisions("head", found, implicit_base=True))
    for script in reversed(missing):
        yield MigrationStep.upgrade_from_script(scripts.revision_map, script)
