"""Writes at the source stop before its last copy, where the user has asked for that.

The database's own default is all that its owner can set: a session may still say that it writes.
So those that are open are ended, and what was written meanwhile shows in the statistics.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

from pgherd.units import number

Connection = psycopg.Connection[Any]

END_SECONDS = 20.0
"""How long open sessions may take to end."""
SESSIONS = """
SELECT a.pid FROM pg_catalog.pg_stat_activity a
WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.usesysid IS NOT NULL AND COALESCE(a.backend_type, 'client backend') = 'client backend'
"""
CHANGES = """
SELECT COALESCE(pg_catalog.sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del), 0)::pg_catalog.int8
FROM pg_catalog.pg_stat_all_tables s WHERE s.schemaname !~ '^pg_'
  AND s.schemaname <> 'information_schema'
"""


def changes(connection: Connection) -> int:
    """How many rows were ever written there; another number later means more were."""
    return int(_one(connection.execute(CHANGES)))


def are_stopped(connection: Connection) -> bool:
    """Whether sessions there are read-only from their start already."""
    return bool(
        _one(
            connection.execute(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s"
                " JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase WHERE s.setrole = 0"
                " AND d.datname = pg_catalog.current_database()"
                " AND 'default_transaction_read_only=on' = ANY (s.setconfig))"
            )
        )
    )


def stop_writes(connection: Connection, own: int) -> str:
    """Sessions are read-only from their start, and those that began before have ended.

    What could not be ended, empty for nothing; the session with process `own` may stay.
    """
    prepared = _one(
        connection.execute(
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts p"
            " WHERE p.database = pg_catalog.current_database()"
        )
    )
    if prepared:
        return number(prepared, "prepared transaction")
    connection.execute(
        sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(
            _database(connection)
        )
    )
    began = {pid for (pid,) in connection.execute(SESSIONS)} - {own}
    for pid in began:
        with suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT pg_catalog.pg_terminate_backend(%s)", (pid,))
    deadline = time.monotonic() + END_SECONDS
    while left := began & {pid for (pid,) in connection.execute(SESSIONS)}:
        if time.monotonic() > deadline:
            return number(len(left), "open session")
        time.sleep(0.2)
    return ""


def allow_writes(connection: Connection) -> None:
    """As it was."""
    connection.execute(
        sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(
            _database(connection)
        )
    )


def _database(connection: Connection) -> sql.Identifier:
    name = _one(connection.execute("SELECT pg_catalog.current_database()::pg_catalog.text"))
    return sql.Identifier(str(name))


def _one(cursor: psycopg.Cursor[Any]) -> Any:
    row = cursor.fetchone()
    return row[0] if row else None
