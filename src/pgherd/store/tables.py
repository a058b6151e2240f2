"""The tables as the newest revision leaves them, and what all statements share.

Times are whole numbers, the same in SQLite and PostgreSQL: microseconds since 1970, and seconds
for the slots of samples. All names begin with `pgherd_`, so that a database may have other tables.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import ModuleType

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

from pgherd.store.values import Sample

REVISION_TABLE = "pgherd_revision"
LARGEST = 2**63 - 1

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# SQLite numbers rows by itself only where the type is exactly INTEGER.
_ID = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

events = Table(
    "pgherd_events",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("environment", Text),
    Column("database", Text),
    Column("details", Text, nullable=False),
    Index("pgherd_events_at", "at"),
    Index("pgherd_events_environment", "environment", "id"),
    Index("pgherd_events_database", "database", "id"),
    sqlite_autoincrement=True,  # the number of an event that was removed is not given again
)

# The slots of all databases lie together, by time: a write changes few pages, and what is old
# goes in whole pages. Each value is kept as a sum, and in how many samples it was known.
samples = Table(
    "pgherd_samples",
    metadata,
    Column("tier", SmallInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("database", Text, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("cpu_max", Double),
    *(
        column
        for name in Sample.__struct_fields__
        for column in (
            Column(f"{name}_sum", Double),
            Column(f"{name}_known", Integer, nullable=False),
        )
    ),
    sqlite_with_rowid=False,
)

alerts = Table(
    "pgherd_alerts",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("summary", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("ended_at", BigInteger),
    Index(
        "pgherd_alerts_open",
        "name",
        "subject",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index("pgherd_alerts_ended", "ended_at"),
    sqlite_autoincrement=True,
)

kept = Table(
    "pgherd_kept",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)


def dialect_of(connection: Connection) -> ModuleType:
    """Whose `insert` knows what to do where a row is there already."""
    from sqlalchemy.dialects import postgresql, sqlite

    return postgresql if connection.dialect.name == "postgresql" else sqlite


def number_of(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _BEGINNING) // _MICROSECOND


def time_of(number: int) -> datetime:
    """The time again."""
    return _BEGINNING + number * _MICROSECOND


def storable(words: str) -> str:
    """Somebody's text, without what SQLite or PostgreSQL refuse: NUL and lone surrogates."""
    return words.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
