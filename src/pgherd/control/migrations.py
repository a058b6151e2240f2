"""Brings the schema of a database to the newest revision of its folder, with Alembic.

A folder of version files is enough: no `env.py`, no `alembic.ini`. Each revision is one
transaction, guarded by an advisory lock, so that two runs at once do the work once, and
bounded by a lock timeout, so that a revision never queues behind a long transaction, with
all the service's queries queued behind it. Nothing outlives a transaction, so all of this
holds through a pooler in transaction mode too.

Alembic's `op` is a module whose functions serve one migration at a time in a process. Several
databases are migrated at once here: each run loads its own copy of the version files, and in
that copy `op` is the run's own `Operations`.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgherd.contract.access import Access
from pgherd.control.version_files import (
    Revision,
    newest,
    read_revision,
    version_files,
    version_folder,
)
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater
from pgherd.fleet.desired import Database, DatabaseId

if TYPE_CHECKING:
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext, MigrationStep
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection, Engine
    from sqlalchemy.exc import DBAPIError

ADVISORY_LOCK = int.from_bytes(b"pgherd")
"""The key of the lock that a revision is applied under, in each database."""

LOOK_SECONDS = 10.0
"""How long a look at the table of revisions may take."""


class AlembicMigrations:
    """Knows the newest revision of a database's folder, and applies what is missing.

    `patience` is for how many seconds `apply` tries again to get a lock that others hold.
    """

    def __init__(
        self,
        *,
        lock_timeout: float = 2.0,
        patience: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lock_timeout = lock_timeout
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._files: dict[Path, tuple[tuple[int, int], Revision]] = {}

    def head(self, database: Database) -> str | None:
        """The newest revision in the database's folder, None where it has no folder."""
        if database.migrations is None:
            return None
        folder = version_folder(database.migrations)
        return newest(folder, [self._revision(path) for path in version_files(folder)])

    def apply(self, database: Database, access: Access) -> None:
        """Bring the database to `head`. Blocks; several may run at once in threads."""
        head = self.head(database)
        if head is None or database.migrations is None:
            return
        run = _Run(database.id, version_folder(database.migrations), head, self._lock_timeout)
        give_up = self._clock() + self._patience
        engine = _engine(access)
        with run.translated(), engine.connect() as connection:
            _require_plain(connection, database.id)
            while not run.finished:
                try:
                    run.next_revision(connection)
                except _LockNotAvailable as error:
                    if self._clock() >= give_up:
                        raise TryLater(
                            f"{database.id} has no room for revision {run.revision}: {error}",
                            "end the transactions that hold the table for so long",
                        ) from error
                    self._sleep(self._lock_timeout / 4)

    def _revision(self, path: Path) -> Revision:
        # A long-lived process sees changed files, and does not parse the others again.
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = self._files.get(path)
        if known is None or known[0] != stamp:
            known = self._files[path] = (stamp, read_revision(path))
        return known[1]


class _LockNotAvailable(Exception):
    """Somebody else holds a lock that a revision needs; nothing was changed."""


class _Run:
    """One database on its way to `head`: its own copy of the version files, its own `op`."""

    def __init__(self, id: DatabaseId, folder: Path, head: str, lock_timeout: float) -> None:
        self.id = id
        self.folder = folder
        self.head = head
        self.lock_timeout = lock_timeout
        self.finished = False
        self.revision = head
        self._script: ScriptDirectory | None = None

    def next_revision(self, connection: Connection) -> None:
        """Apply the next revision in a transaction of its own, or set `finished`."""
        from sqlalchemy.exc import DBAPIError

        try:
            self._transaction(connection)
        except DBAPIError as error:
            if _sqlstate(error) in ("55P03", "40P01", "40001"):
                raise _LockNotAvailable(_first_line(error.orig)) from error
            raise
        finally:
            connection.rollback()

    def _transaction(self, connection: Connection) -> None:
        from alembic.operations import Operations
        from alembic.runtime.migration import MigrationContext

        context = MigrationContext.configure(
            connection,
            opts={
                "transaction_per_migration": True,
                "fn": self._steps,
                # Not wherever the service's search_path leads first.
                "version_table_schema": "public",
            },
        )
        context.get_current_heads = partial(_heads, connection)  # type: ignore[method-assign]
        self._bind(Operations(context))
        # The context, made outside a transaction, commits this one after the revision and its
        # line in alembic_version.
        connection.begin()
        # Whatever the role's default is: what another run does before this one gets the lock
        # must be seen after it.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        milliseconds = round(self.lock_timeout * 1000)
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")
        connection.exec_driver_sql(f"SELECT pg_catalog.pg_advisory_xact_lock({ADVISORY_LOCK})")
        context.run_migrations()

    def _scripts(self) -> ScriptDirectory:
        if self._script is None:
            from alembic.script import ScriptDirectory

            self._script = ScriptDirectory(self.folder, version_locations=[self.folder])
        return self._script

    def _bind(self, operations: Operations) -> None:
        from alembic import op

        for script in self._scripts().walk_revisions():
            names = vars(script.module)
            # From the second revision on, the name holds the operations of the first.
            for name in [n for n, v in names.items() if v is op or type(v) is type(operations)]:
                names[name] = operations

    def _steps(self, found: tuple[str, ...], context: MigrationContext) -> Iterator[MigrationStep]:
        """At most one step: the revision after those that are found in the database."""
        from alembic.runtime.migration import MigrationStep

        scripts = self._scripts()
        known = {script.revision for script in scripts.walk_revisions()}
        for revision in found:
            if revision not in known:
                raise NeedsHuman(
                    f"{self.id} is at revision {revision}, which {self.folder} does not have",
                    "bring the version files up to date, or restore the database",
                )
        missing = list(scripts.iterate_revisions(self.head, found, implicit_base=True))
        if not missing:
            self.finished = True
            return
        self.revision = missing[-1].revision
        yield MigrationStep.upgrade_from_script(scripts.revision_map, missing[-1])

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of libraries become what the reader can do about them."""
        from sqlalchemy.exc import DBAPIError

        try:
            yield
        except PgherdError:
            raise
        except DBAPIError as error:
            raise self._database_error(error) from error
        except Exception as error:
            raise InputError(
                f"{self._place(error)}: revision {self.revision} is broken: "
                f"{type(error).__name__}: {_first_line(error)}",
                "mend the version file",
            ) from error

    def _database_error(self, error: DBAPIError) -> PgherdError:
        from psycopg import OperationalError

        reason = _first_line(error.orig)
        match _sqlstate(error):
            case None if isinstance(error.orig, OperationalError):
                return TryLater(f"{self.id} does not answer: {reason}")
            case str(state) if state[:2] in ("08", "53", "57", "58") or state == "25006":
                return TryLater(f"{self.id} cannot be migrated now: {reason}")
            case str(state) if state[:2] in ("22", "23") or state == "42501":
                return NeedsHuman(
                    f"{self._place(error)}: revision {self.revision} does not fit what is in "
                    f"{self.id}: {reason}",
                    "mend the data or the version file; nothing of the revision was kept",
                )
        return InputError(
            f"{self._place(error)}: revision {self.revision} is broken: {reason}",
            "mend the version file; nothing of the revision was kept",
        )

    def _place(self, error: BaseException) -> str:
        """File and line of the version file in which an error arose, or else its folder."""
        folder = self.folder.resolve()
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if Path(frame.filename).parent == folder:
                return f"{frame.filename}:{frame.lineno}"
        return str(self.folder)


def _heads(connection: Connection) -> tuple[str, ...]:
    """The revisions that the table of them has, in bounded time, and of bounded size.

    It is the service's, and may have become something else since `_require_plain`.
    """
    found: list[str] = []
    with _bounded(connection):
        if _kind(connection):
            rows = connection.exec_driver_sql(
                "SELECT pg_catalog.left(version_num::pg_catalog.text, 64)"
                " FROM public.alembic_version LIMIT 2"
            )
            found = [str(revision) for (revision,) in rows]
    return tuple(found)


def _require_plain(connection: Connection, id: DatabaseId) -> None:
    """NeedsHuman where the table of revisions is something else, which may answer anything.

    A view of the service's would be asked without an end to its patience, or to its answer.
    """
    with connection.begin(), _bounded(connection):
        kind = _kind(connection)
        rows = 0
        if kind == "r":
            rows = connection.exec_driver_sql(
                "SELECT pg_catalog.count(*) FROM (SELECT FROM public.alembic_version LIMIT 9) r"
            ).scalar_one()
    if kind not in (None, "r") or rows > 1:
        raise NeedsHuman(
            f"{id}: public.alembic_version is not the table with one row that migrations keep",
            f"look at it as the service, with `pgherd connect {id}`, and put it right",
        )


def _kind(connection: Connection) -> str | None:
    """What public.alembic_version is ("r": a table), None where nothing has this name.

    A query of the catalog sees what another run has committed while this transaction waited
    for a lock. `to_regclass` does not: it may answer from what the session remembers.
    """
    kind: str | None = connection.exec_driver_sql(
        "SELECT c.relkind::pg_catalog.text"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND c.relname = 'alembic_version'"
    ).scalar()
    return kind


@contextmanager
def _bounded(connection: Connection) -> Iterator[None]:
    """Statements within may take LOOK_SECONDS each."""
    milliseconds = round(LOOK_SECONDS * 1000)
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
    yield
    connection.exec_driver_sql("SET LOCAL statement_timeout = DEFAULT")


def _engine(access: Access) -> Engine:
    import psycopg
    from sqlalchemy import NullPool, create_engine

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(
            access.uri(),
            prepare_threshold=None,  # nothing here runs often enough to be prepared
            connect_timeout=5,
            application_name="pgherd migrations",
        )

    return create_engine(
        "postgresql+psycopg://", creator=connect, poolclass=NullPool, use_native_hstore=False
    )


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0]
