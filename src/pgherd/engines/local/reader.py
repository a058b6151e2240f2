"""The read-only role of a database: what is settled for it, and put back when it is changed.

PostgreSQL lets each role change its own password and settings, and offers no way to forbid it. So
nothing relies on them: no role logs in by a password, what a reader may use is bounded by the
pooler and by settings that a role cannot change, and what it may write by its rights. What it has
changed is put back by the agent's next look.
"""

from __future__ import annotations

import logging

from psycopg import sql

from pgherd.decide.parameters import readers_pool_size
from pgherd.engines.local import patroni
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.postgres import READERS_SETTINGS
from pgherd.engines.local.sessions import Connection

log = logging.getLogger(__name__)


def connection_limit(manifest: DatabaseManifest) -> int:
    """How many sessions a reader may have at one server.

    The pooler opens half as many; a query that it has given up runs on for a while.
    """
    return 2 * readers_pool_size(patroni.size(manifest))


async def mend(session: Connection, manifest: DatabaseManifest) -> None:
    """The reader has its own settings and no password; `session` is a superuser's."""
    role = manifest.read_only_role
    cursor = await session.execute(
        "SELECT a.rolpassword IS NOT NULL, a.rolconnlimit, d.datname, s.setconfig"
        " FROM pg_catalog.pg_authid a"
        " LEFT JOIN pg_catalog.pg_db_role_setting s ON s.setrole = a.oid"
        " LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase WHERE a.rolname = %s",
        (role,),
    )
    found = [(*row, set(config or ())) for *row, config in await cursor.fetchall()]
    limit = connection_limit(manifest)
    settings = {f"{name}={value}" for name, value in READERS_SETTINGS.items()}
    if not found or found == [(False, limit, None, settings)]:
        return
    log.warning("%s: settings of %s have changed: put back", manifest.id, role)
    name = sql.Identifier(role)
    async with session.transaction():
        await session.execute(
            sql.SQL("ALTER ROLE {} PASSWORD NULL CONNECTION LIMIT {}").format(
                name, sql.Literal(limit)
            )
        )
        for database in {row[2] for row in found if row[2]}:
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
