"""What happened and why, in the order in which it was told; the clock may jump meanwhile."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from pgherd.store.tables import LARGEST, events, number_of, storable, time_of
from pgherd.store.values import Event

KEPT = timedelta(days=90)
MOST = 100_000
BATCH = 1_000
"""So many are removed at once."""
LONGEST = 4_000
"""Characters of a reason, and of the details as JSON."""


def add(
    connection: Connection,
    at: datetime,
    kind: str,
    reason: str,
    *,
    environment: str | None,
    database: str | None,
    details: Mapping[str, Any] | None,
) -> Event:
    """One more event. What concerns a database concerns its environment."""
    if database is not None and environment is None:
        environment = database.partition("/")[0]
    values = {
        "at": number_of(at),
        "kind": storable(kind),
        "reason": storable(reason)[:LONGEST],
        "environment": None if environment is None else storable(environment),
        "database": None if database is None else storable(database),
        "details": _text(details or {}),
    }
    row = connection.execute(insert(events).values(values).returning(events)).one()
    return _event(row)


def amend(connection: Connection, id: int, details: Mapping[str, Any]) -> Event | None:
    """These details come to those that it has. None where it is not there any more."""
    query = select(events).where(events.c.id == _number(id)).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    text = _text({**_details(row.details), **details})
    changed = update(events).where(events.c.id == row.id).values(details=text)
    return _event(connection.execute(changed.returning(events)).one())


def found(
    connection: Connection,
    *,
    database: str | None,
    environment: str | None,
    kinds: Collection[str] | None,
    since: datetime | None,
    after_id: int | None,
    limit: int,
) -> list[Event]:
    """The newest first; after an id, the oldest first."""
    query = select(events).limit(limit)
    if database is not None:
        query = query.where(events.c.database == storable(database))
    if environment is not None:
        query = query.where(events.c.environment == storable(environment))
    if kinds is not None:
        query = query.where(events.c.kind.in_([storable(kind) for kind in kinds]))
    if since is not None:
        query = query.where(events.c.at >= number_of(since))
    if after_id is None:
        query = query.order_by(events.c.id.desc())
    else:
        newest = connection.execute(select(func.max(events.c.id))).scalar() or 0
        # An id that no event has yet is of a former history: all of this one came after it.
        after = _number(after_id) if after_id <= newest else 0
        query = query.where(events.c.id > after).order_by(events.c.id)
    return [_event(row) for row in connection.execute(query)]


def remove_old(connection: Connection, now: datetime) -> None:
    """At most BATCH of those that are too old, and of those that are too many."""
    is_old = events.c.at < number_of(now - KEPT)
    old = select(events.c.id).where(is_old).order_by(events.c.at).limit(BATCH)
    connection.execute(delete(events).where(events.c.id.in_(old.scalar_subquery())))
    bounds = select(func.min(events.c.id), func.max(events.c.id))
    oldest, newest = connection.execute(bounds).one()
    if newest is not None and newest - oldest >= MOST:
        last = min(newest - MOST, oldest + BATCH)
        connection.execute(delete(events).where(events.c.id <= last))


def _event(row: Row[Any]) -> Event:
    return Event(
        id=row.id,
        at=time_of(row.at),
        kind=row.kind,
        reason=row.reason,
        environment=row.environment,
        database=row.database,
        details=_details(row.details),
    )


def _number(id: int) -> int:
    return max(-LARGEST, min(id, LARGEST))


def _text(details: Mapping[str, Any]) -> str:
    """As JSON, whatever is in it; only what fits, so that no event can fill the disk."""
    text = _json(details)
    if len(text) <= LONGEST:
        return text
    fitting: dict[str, Any] = {}
    size = len(_json({"cut": True}))
    for key, value in details.items():
        length = len(_json({key: value}))
        if size + length <= LONGEST:
            fitting[key] = value
            size += length
    return _json({**fitting, "cut": True})


def _json(details: Mapping[str, Any]) -> str:
    return json.dumps(dict(details), default=str, skipkeys=True)


def _details(text: str) -> dict[str, Any]:
    try:
        details = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return details if isinstance(details, dict) else {}
