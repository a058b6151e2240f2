"""What must outlive a restart: bytes under a key, of which the store knows nothing."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from pgherd.store.tables import dialect_of, kept, storable


def remember(connection: Connection, key: str, value: bytes) -> None:
    """Keep it under that key, instead of what was there."""
    statement = dialect_of(connection).insert(kept).values(key=storable(key), value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=[kept.c.key], set_={"value": value})
    )


def recall(connection: Connection, key: str) -> bytes | None:
    """What is kept under that key."""
    row = connection.execute(select(kept.c.value).where(kept.c.key == storable(key))).one_or_none()
    return None if row is None else bytes(row.value)


def forget(connection: Connection, key: str) -> None:
    """Nothing is kept under that key."""
    connection.execute(delete(kept).where(kept.c.key == storable(key)))
