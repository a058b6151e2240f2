"""The read-only role of a database: what is settled for it, and put back when it is changed.

PostgreSQL lets each role change its own password and settings, and offers no way to forbid it. So
nothing relies on them: no role logs in by a password, what a reader may use is bounded by the
pooler and by settings that a role cannot change, and what it may write by its rights. What it has
changed is put back by the agent's next look.

PostgreSQL also lets a statement wait for a table's strongest lock before it looks whether the role
may do that at all, with everybody else in line behind it, and a transaction stay open as long as
something is asked in it now and then. So whoever waits for such a lock, or holds the oldest
transaction too long, is ended, and its role stays out until the next look at its settings.
"""

from __future__ import annotations

import logging
import signal
from pathlib import Path

from psycopg import sql

from pgherd.decide.parameters import readers_pool_size
from pgherd.engines.local import patroni, processes
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.postgres import READERS_SETTINGS
from pgherd.engines.local.sessions import Connection

log = logging.getLogger(__name__)


LONGEST_SECONDS = 300
"""How long a reader's transaction may be open."""
GUARD = """\
SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(a.pid)),
       pg_catalog.pg_get_userbyid(%s)
  FROM pg_catalog.pg_stat_get_activity(NULL) a
 WHERE a.usesysid OPERATOR(pg_catalog.=) %s AND (
       a.xact_start OPERATOR(pg_catalog.<)
           (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) %s::pg_catalog.interval)
       OR EXISTS (SELECT FROM pg_catalog.pg_lock_status() l
                   WHERE l.pid OPERATOR(pg_catalog.=) a.pid
                     AND l.locktype OPERATOR(pg_catalog.<>) ALL ('{virtualxid,transactionid}')
                     AND l.mode OPERATOR(pg_catalog.<>) ALL ('{AccessShareLock,SIReadLock}')))"""
"""Functions alone, prepared: no catalogue is read, for a reader may have locked that too.

The role's name is asked for so that this session has the role in its cache when it must end it.
"""


async def end_sessions(session: Connection, role: int) -> int:
    """End a reader's sessions that hold others up; how many. `role` is the reader's OID."""
    cursor = await session.execute(GUARD, (role, role, f"{LONGEST_SECONDS} s"), prepare=True)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def end_all_if_one_waits(manifest: DatabaseManifest, data: Path) -> int:
    """End a reader's sessions without asking PostgreSQL; how many.

    A reader that has the catalogue of roles locked keeps everybody from logging in, and sessions
    that are there from ending another. PostgreSQL's processes say whose they are and whether they
    wait for a lock (`update_process_title`). `data` is the instance's data directory.
    """
    # Patroni gives the server its scope as `cluster_name`.
    mine = f"postgres: {manifest.service}: {manifest.read_only_role} "
    titles = {pid: processes.title(pid) for pid in processes.working_in(data)}
    readers = {pid: title for pid, title in titles.items() if title.startswith(mine)}
    if not any(title.endswith(" waiting") for title in readers.values()):
        return 0
    for pid in readers:
        if process := processes.Process.of(pid):
            if processes.title(pid).startswith(mine):
                process.signal(signal.SIGTERM)
            process.close()
    return len(readers)


async def keep_out(session: Connection, manifest: DatabaseManifest) -> None:
    """A reader does not come back until `mend` lets it in again."""
    log.warning("%s: %s held others up: kept out", manifest.id, manifest.read_only_role)
    name = sql.Identifier(manifest.read_only_role)
    await session.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 0").format(name))


def connection_limit(manifest: DatabaseManifest) -> int:
    """How many sessions a reader may have at one server.

    The pooler opens half as many; a query that it has given up runs on for a while.
    """
    return 2 * readers_pool_size(patroni.size(manifest))


async def mend(session: Connection, manifest: DatabaseManifest) -> int | None:
    """The reader has its own settings and no password; its OID, None where there is no such role.

    `session` is a superuser's. What a reader may have made of any size is not fetched.
    """
    role = manifest.read_only_role
    cursor = await session.execute(
        "SELECT a.oid, a.rolpassword IS NOT NULL, a.rolconnlimit, d.datname,"
        " pg_catalog.left(s.setconfig::pg_catalog.text, 1000)"
        " FROM pg_catalog.pg_authid a"
        " LEFT JOIN pg_catalog.pg_db_role_setting s ON s.setrole = a.oid"
        " LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase WHERE a.rolname = %s",
        (role,),
    )
    rows = await cursor.fetchall()
    if not rows:
        return None
    oid: int = rows[0][0]
    limit = connection_limit(manifest)
    settings = ",".join(f"{name}={value}" for name, value in READERS_SETTINGS.items())
    if [row[1:] for row in rows] == [(False, limit, None, f"{{{settings}}}")]:
        return oid
    if any(row[1] or row[3] or row[4] != f"{{{settings}}}" for row in rows):
        log.warning("%s: settings of %s have changed: put back", manifest.id, role)
    name = sql.Identifier(role)
    async with session.transaction():
        await session.execute(
            sql.SQL("ALTER ROLE {} PASSWORD NULL CONNECTION LIMIT {}").format(
                name, sql.Literal(limit)
            )
        )
        for database in {row[3] for row in rows if row[3]}:
            await session.execute(
                sql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL").format(
                    name, sql.Identifier(database)
                )
            )
        await session.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(name))
        for setting, value in READERS_SETTINGS.items():
            await session.execute(
                sql.SQL("ALTER ROLE {} SET {} = {}").format(
                    name, sql.Identifier(setting), sql.Literal(value)
                )
            )
    return oid
