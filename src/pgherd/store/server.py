"""The history in a database of a PostgreSQL server: a fleet's own, and none of its databases."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, create_engine, event

from pgherd.errors import NeedsHuman
from pgherd.store import learnt
from pgherd.store.values import Whose

if TYPE_CHECKING:  # who reads a file does without
    import psycopg

CONNECT_SECONDS = 5
_OWNER = "fleet"
"""Of what is kept: the fleet's name."""


class Line:
    """The connections to a server, which another thread may cut: what waits for it fails then.

    A server that stands still keeps its connections, so no limit of the network's ends the wait.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: WeakSet[psycopg.Connection[Any]] = WeakSet()

    def add(self, connection: psycopg.Connection[Any]) -> None:
        """One more."""
        with self._lock:
            self._connections.add(connection)

    def cut(self) -> None:
        """None of them goes on."""
        import psycopg

        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with (
                suppress(OSError, psycopg.Error),
                socket.socket(fileno=os.dup(connection.pgconn.socket)) as own,
            ):
                own.shutdown(socket.SHUT_RDWR)


def server_engine(url: URL, line: Line | None = None) -> Engine:
    """With one connection, which is looked at before it is used."""
    engine = create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "pgherd history",
            "prepare_threshold": None,  # it may be behind a pooler
            "tcp_user_timeout": 10_000,
        },
    )
    if line is not None:

        @event.listens_for(engine, "do_connect")
        def connect(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
            connection = dialect.connect(*arguments, **options)
            line.add(connection)
            return connection

    return engine


def require_apart(connection: Connection, whose: Whose, name: str) -> None:
    """It is in no database of the fleet, which would be away just when there is something to tell.

    A server of a fleet has pgherd's library, and says so to everybody.
    """
    query = (
        "SELECT pg_catalog.current_setting('pgherd.reported', true) IS NOT NULL,"
        " pg_catalog.current_database()"
    )
    is_fleets, database = connection.exec_driver_sql(query).one()
    if is_fleets and database in whose.services:
        raise NeedsHuman(
            f"{name} is in a database of the fleet itself",
            "give it a database of its own, on a server that is no part of the fleet",
        )


def require_own(connection: Connection, whose: Whose, name: str) -> None:
    """It is the history of that fleet, from now on; NeedsHuman where it is another's."""
    found = learnt.recall(connection, _OWNER)
    if found is None:
        learnt.remember(connection, _OWNER, whose.fleet.encode())
    elif found != whose.fleet.encode():
        other = found.decode(errors="replace")[:100]
        raise NeedsHuman(f"{name} is of fleet {other!r}", "give each fleet a database of its own")
