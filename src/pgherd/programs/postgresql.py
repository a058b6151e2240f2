"""PostgreSQL, as every engine's databases have it: what a service and its reader may do."""

from __future__ import annotations

READER_QUERY_SECONDS = 300
"""When the pooler ends a reader's query."""
READER_SETTINGS = {
    "default_transaction_read_only": "on",
    # Before the pooler does, which would leave the server at work.
    "statement_timeout": f"{READER_QUERY_SECONDS - 10}s",
}
"""What a reader's sessions begin with."""
NOT_FOR_READERS = (
    "lo_creat|lo_create|lo_from_bytea|pg_logical_emit_message|pg_notify"
    "|pg_(try_)?advisory_.*|txid_current|pg_current_xact_id"
)
"""The functions, as a pattern, that PostgreSQL lets everyone call and a reader must not.

Large objects and messages are writes, to the disk of everybody; advisory locks are held by the
server connection, which the next client gets; a transaction id is used up for ever.
"""


def quoted(name: str) -> str:
    """An SQL identifier, quoted: service names such as order and user are SQL's own words.

    PgBouncer's files quote in the same way.
    """
    return '"' + name.replace('"', '""') + '"'


def admission(service: str, reader: str) -> str:
    """SQL: who may connect to the service's database, once nobody else may. Names are quoted."""
    return f"""\
GRANT CONNECT, TEMPORARY ON DATABASE {service} TO {service};
GRANT CONNECT ON DATABASE {service} TO {reader};
"""


def reading(service: str, reader: str) -> str:
    """SQL: the reader may read what the service makes from now on. Names are quoted."""
    return f"""\
ALTER DEFAULT PRIVILEGES FOR ROLE {service} GRANT USAGE ON SCHEMAS TO {reader};
ALTER DEFAULT PRIVILEGES FOR ROLE {service} GRANT SELECT ON TABLES TO {reader};
ALTER DEFAULT PRIVILEGES FOR ROLE {service} GRANT SELECT ON SEQUENCES TO {reader};
"""
