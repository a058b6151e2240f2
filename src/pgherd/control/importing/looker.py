"""Looks at one database for an import: a process that has no rights, and says what it found.

Its first line is how to open the database, each further one a question; each is answered by a
line. When nobody asks any more it ends, and its session with it. The server is a stranger: what it
says is passed on as JSON, and judged elsewhere.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import psycopg

from pgherd.control.importing import looking, stopping
from pgherd.engines.local.rightless import give_up_rights

LONGEST_REASON = 300
_STALLED_SECONDS = 60
_KEPT = {
    "application_name": "pgherd import",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": str(_STALLED_SECONDS * 1000),
}


def main(uid: str = "", gid: str = "") -> None:
    """Answer until there is no question."""
    give_up_rights(uid, gid)
    parameters = json.loads(sys.stdin.buffer.readline())
    connection: looking.Connection | None = None
    for line in sys.stdin.buffer:
        question = json.loads(line)
        try:
            if connection is None:
                connection = connect(parameters)
            answer = {"found": answered(connection, parameters, question)}
        except (psycopg.Error, OSError) as error:
            answer = {"error": reason(error), "state": getattr(error, "sqlstate", None)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    os._exit(0)


def connect(parameters: Mapping[str, str]) -> looking.Connection:
    """A session that looks, and lasts for as long as the import."""
    connection: looking.Connection = psycopg.connect(
        **{**parameters, **_KEPT},  # type: ignore[arg-type]
        autocommit=True,
        prepare_threshold=None,
    )
    looking.settle(connection)
    return connection


def answered(
    connection: looking.Connection, parameters: Mapping[str, str], question: Mapping[str, Any]
) -> Any:
    """What is found. Statistics and the end of writes are looked at in sessions of their own."""
    match question:
        case {"ask": "look"}:
            return looking.look(connection)
        case {"ask": "first rows", "tables": tables}:
            return looking.first_rows(connection, tables)
        case {"ask": "take"}:
            return looking.take(connection)
        case {"ask": "snapshot"}:
            return looking.snapshot(connection)
        case {"ask": "sums", "schema": schema, "table": table, "begin": begin}:
            if connection.info.server_version < 140000:
                # It would read all of the table for each part.
                return looking.sums(connection, schema, table, None) if begin == 0 else [0, None]
            return looking.sums(connection, schema, table, begin)
        case {"ask": "object sums"}:
            return looking.object_sums(connection)
        case {"ask": "sequences"}:
            return looking.sequences(connection)
        case {"ask": "prepare", "schemas": schemas, "extensions": extensions}:
            return looking.prepare(connection, schemas, extensions)
        case {"ask": "finish"}:
            return looking.finish(connection)
    with connect(parameters) as other:
        match question:
            case {"ask": "changes"}:
                return stopping.changes(other)
            case {"ask": "are writes stopped"}:
                return stopping.are_stopped(other)
            case {"ask": "stop writes"}:
                return stopping.stop_writes(other, connection.info.backend_pid)
            case {"ask": "allow writes"}:
                return stopping.allow_writes(other)
    raise ValueError("no such question")


def reason(error: BaseException) -> str:
    """Its first line, which is the server's own word."""
    return str(error).strip().partition("\n")[0][:LONGEST_REASON] or type(error).__name__


if __name__ == "__main__":
    main(*sys.argv[1:])
