"""Opens a history: a file of SQLite's, or a database of a PostgreSQL server by its URL.

A file that is no good is put aside and made anew: what is lost is history, and a fleet must not
wait for a person because of it. A database on a server is never touched in this way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from pgherd.errors import InputError, NeedsHuman
from pgherd.store import file
from pgherd.store.file import Identity
from pgherd.store.schema import NewerRevision, ensure_schema
from pgherd.store.server import Line, require_apart, require_own, server_engine
from pgherd.store.troubles import translated
from pgherd.store.values import Lost, StoreDamaged, Whose

BUSY_SECONDS = 5.0
"""So long a write waits for that of another process."""

_APPLICATION = int.from_bytes(b"pghd")
_WRITES = "pgherd_writes"
_HINT = "write the path of a file, or postgresql+psycopg://USER@HOST/DATABASE"

# auto_vacuum has to come before anything is written, and the file's journal is a write.
_PRAGMAS = (
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "journal_size_limit = 4194304",
    "trusted_schema = OFF",
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A history that can be used. The rest is of a file: its place, itself, and its log."""

    engine: Engine
    path: Path | None = None
    identity: Identity | None = None
    log: Identity | None = None

    @property
    def is_in_place(self) -> bool:
        """What is open is what stands at its place."""
        return self.path is None or file.identity(self.path) == self.identity

    @property
    def writing(self) -> Engine:
        """The same for a transaction that writes: in SQLite it waits for others before it reads."""
        return self.engine.execution_options(**{_WRITES: True})


def place_of(where: Path | str) -> Path | URL:
    """A path, or the URL of a database on a PostgreSQL server; InputError for anything else."""
    if isinstance(where, Path) or "://" not in where:
        return Path(where).absolute()
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        raise InputError("what is written for the history is no URL", _HINT) from None
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database:
        return Path(url.database).absolute()
    if backend != "postgresql":
        raise InputError(f"a history cannot be kept in {backend}", _HINT)
    return url.set(drivername="postgresql+psycopg")


def name_of(place: Path | URL) -> str:
    """As it may stand in a message."""
    if isinstance(place, Path):
        return f"the history {place}"
    host = place.host or str(place.query.get("host", ""))
    return f"the history in database {place.database} at {host}"


def opened(
    place: Path | URL, whose: Whose | None = None, line: Line | None = None
) -> tuple[Opened, Lost | None]:
    """The history at the place, and the former one where that was no good.

    NeedsHuman where a server has that of another fleet than it is to be, or is the fleet's own.
    """
    if isinstance(place, URL):
        return _server(place, whose, line), None
    try:
        return _file(place), None
    except StoreDamaged as error:
        return renewed(place, error.message)


def renewed(path: Path, reason: str) -> tuple[Opened, Lost]:
    """A new file; what stood at its place is put aside. Nobody here may have that open."""
    with translated(name_of(path)):
        lost = Lost(reason, file.put_aside(path))
    return _file(path), lost


def left_by(former: Opened) -> None:
    """Nobody here has it open any more, and nothing of it is taken for part of a later one."""
    former.engine.dispose()
    if former.path and not former.is_in_place:
        file.remove_log(former.path, former.log)


def _file(path: Path) -> Opened:
    """StoreDamaged where what stands there cannot be used."""
    with translated(name_of(path)):
        if problem := file.ensure_file(path):
            raise StoreDamaged(problem)
        found = Opened(sqlite_engine(path), path, file.identity(path))
        try:
            with found.writing.begin() as connection:
                _require_ours(connection, path)
                ensure_schema(connection)
        except NewerRevision as error:
            found.engine.dispose()
            raise StoreDamaged(f"{path} is of a newer pgherd (revision {error})") from error
        except BaseException:
            found.engine.dispose()
            raise
        return replace(found, log=file.identity(file.log_of(path)))


def _require_ours(connection: Connection, path: Path) -> None:
    """StoreDamaged where it is a whole file of SQLite's, but not a history, or not whole."""
    (problem,) = connection.exec_driver_sql("PRAGMA quick_check(1)").first() or ("no answer",)
    if problem != "ok":
        raise StoreDamaged(f"{path} is damaged: {str(problem).splitlines()[-1]}")
    application = connection.exec_driver_sql("PRAGMA application_id").scalar()
    tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
    if application != _APPLICATION:
        if application or tables:
            raise StoreDamaged(f"{path} belongs to another program")
        connection.exec_driver_sql(f"PRAGMA application_id = {_APPLICATION}")


def sqlite_engine(path: Path, pragmas: Sequence[str] = _PRAGMAS) -> Engine:
    """With one connection, whose transactions begin where SQLAlchemy says so."""

    def connect() -> sqlite3.Connection:
        # Never a new file: that is made with its mode, and looked at, before.
        return sqlite3.connect(
            f"file:{quote(bytes(path))}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=1, max_overflow=0
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}").fetchall()
        except BaseException:
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _server(url: URL, whose: Whose | None, line: Line | None) -> Opened:
    name = name_of(url)
    with translated(name):
        engine = server_engine(url, line)
        found = Opened(engine)
        try:
            with found.writing.begin() as connection:
                if whose:
                    require_apart(connection, whose, name)
                ensure_schema(connection)
                if whose:
                    require_own(connection, whose, name)
        except NewerRevision as error:
            engine.dispose()
            raise NeedsHuman(
                f"{name} is of a newer pgherd (revision {error})",
                "bring pgherd up to date, or give it another database",
            ) from error
        except BaseException:
            engine.dispose()
            raise
    return found
