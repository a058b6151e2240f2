"""What is wrong. It is told as a whole each time: what is not told any more has ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from pgherd.store.tables import alerts, number_of, storable, time_of
from pgherd.store.values import Alert

KEPT = timedelta(days=90)
"""For so long an alert is kept after its end ..."""
MOST = 100_000
"""... and not longer than there were so many later ones."""
BATCH = 1_000

_IS_OPEN = alerts.c.ended_at.is_(None)


def set_current(
    connection: Connection, now: datetime, current: Mapping[tuple[str, str], tuple[str, str]]
) -> tuple[list[Alert], list[Alert]]:
    """Those that begin, and those that end. `current` has name and subject: summary and remedy."""
    told = {
        (storable(name), storable(subject)): (storable(summary), storable(remedy))
        for (name, subject), (summary, remedy) in current.items()
    }
    rows = connection.execute(select(alerts).where(_IS_OPEN)).all()
    known = {(row.name, row.subject): row for row in rows}
    at = number_of(now)
    begun = []
    for (name, subject), (summary, remedy) in told.items():
        row = known.get((name, subject))
        words = {"summary": summary, "remedy": remedy}
        if row is None:
            new = {"name": name, "subject": subject, "since": at, **words}
            made = connection.execute(insert(alerts).values(new).returning(alerts)).one()
            begun.append(_alert(made))
        elif (row.summary, row.remedy) != (summary, remedy):
            connection.execute(update(alerts).where(alerts.c.id == row.id).values(words))
    ended = []
    for key, row in known.items():
        if key not in told:
            # Where the clock was put back, nothing ends before it began.
            end = update(alerts).where(alerts.c.id == row.id).values(ended_at=max(at, row.since))
            ended.append(_alert(connection.execute(end.returning(alerts)).one()))
    return begun, ended


def found(connection: Connection, *, open_only: bool, limit: int) -> list[Alert]:
    """The newest first; those that are open first of all."""
    query = select(alerts)
    if open_only:
        query = query.where(_IS_OPEN)
    order = (alerts.c.ended_at.is_not(None), alerts.c.since.desc(), alerts.c.id.desc())
    return [_alert(row) for row in connection.execute(query.order_by(*order).limit(limit))]


def remove_old(connection: Connection, now: datetime) -> None:
    """At most BATCH of those that ended long ago, or before very many others."""
    newest = connection.execute(select(func.max(alerts.c.id))).scalar()
    if newest is None:
        return
    is_old = alerts.c.ended_at < number_of(now - KEPT)
    is_far_back = alerts.c.ended_at.is_not(None) & (alerts.c.id <= newest - MOST)
    old = select(alerts.c.id).where(is_old | is_far_back).limit(BATCH)
    connection.execute(delete(alerts).where(alerts.c.id.in_(old.scalar_subquery())))


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        name=row.name,
        subject=row.subject,
        since=time_of(row.since),
        summary=row.summary,
        remedy=row.remedy,
        ended_at=None if row.ended_at is None else time_of(row.ended_at),
    )
