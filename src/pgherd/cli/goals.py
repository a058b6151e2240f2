"""What a database is restored to, as it is given on the command line and read there."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pgherd.contract.backups import (
    Goal,
    Latest,
    Moment,
    Point,
    Position,
    Restored,
    Transaction,
    check_point_name,
    lsn_of,
)
from pgherd.errors import InputError
from pgherd.report.backups import moment_text
from pgherd.units import quoted


def parse_goal(
    to: str | None,
    point: str | None,
    lsn: str | None,
    transaction: str | None,
    now: datetime,
) -> Goal:
    """The one that is given. InputError for none, for several, and for what is no such thing."""
    given = [text for text in (to, point, lsn, transaction) if text is not None]
    if len(given) != 1:
        raise InputError(
            "one thing to restore to is needed" if not given else "it is restored to one thing",
            "write one of --to, --to-point, --to-lsn and --to-transaction",
        )
    if to is not None:
        return Latest() if to == str(Latest()) else Moment(parse_moment(to, now))
    if point is not None:
        return Point(check_point_name(point))
    if lsn is not None:
        if (position := lsn_of(lsn)) is None:
            raise InputError(f"{quoted(lsn)} is not a position", "write one as in 0/3000148")
        return Position(position)
    if not transaction or not re.fullmatch(r"[1-9][0-9]{0,18}", transaction):
        raise InputError(
            f"{quoted(transaction or '')} is not the number of a transaction",
            "write what pg_current_xact_id() said there, as in 745",
        )
    return Transaction(int(transaction))


def goal_text(goal: Goal, done: Restored) -> str:
    """As people read of it, after: as it was."""
    if isinstance(goal, Moment):
        return f"at {moment_text(goal.at)} UTC"
    if isinstance(goal, Latest):
        return f"at {moment_text(done.until)} UTC, the latest then" if done.until else "at its last"
    return f"at {goal}"


def parse_moment(text: str, now: datetime) -> datetime:
    """A time in the past, aware. InputError for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{quoted(text)} is not a time", "write one as in 2026-11-23T10:00:00"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise InputError(
            f"{moment_text(moment.astimezone(UTC))} UTC is in the future",
            f"write a time before {moment_text(now.astimezone(UTC))} UTC",
        )
    return moment.astimezone(UTC)


def since(goal: Goal) -> str:
    """From when on what was written is lost."""
    if isinstance(goal, Moment):
        return f"{moment_text(goal.at)} UTC"
    return "now" if isinstance(goal, Latest) else str(goal)
