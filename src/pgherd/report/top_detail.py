"""One database as `pgherd top` shows it when it is opened: its instances, lines and past. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from pgherd.autopilot.reading import History
from pgherd.contract.meter import InstanceUsage
from pgherd.contract.observed import ObservedInstance, Role
from pgherd.fleet.summary import Table
from pgherd.report import sparkline
from pgherd.report.events import event_brief, why_lines
from pgherd.report.top import LONGEST, MOST_EVENTS, TopRow, known
from pgherd.report.top_columns import count, percent, short_duration, size
from pgherd.units import number

_HEADER = ("INSTANCE", "ROLE", "STATE", "AD", "CPU", "THROTTLED", "MEM", "CONN", "TPS", "LAG")
_LABEL = 13


def instances(row: TopRow) -> Table:
    """A line for each that is seen or measured."""
    seen = {i.name: i for i in row.sight.seen.instances} if row.sight.seen else {}
    used = row.usage.instances if row.usage else {}
    names = (*seen, *(name for name in used if name not in seen))
    rows = tuple(_instance(name, seen.get(name), used.get(name, InstanceUsage())) for name in names)
    return Table("", _HEADER, rows)


def trails(row: TopRow, now: float, width: int, marks: str) -> Iterator[str]:
    """CPU, transactions and connections of the last minutes, each with what it is now."""
    room = max(6, min(sparkline.MOST, width - _LABEL - 24))
    lines = (
        ("CPU", percent(row.cpu), [(p.at, known(p.cpu_percent)) for p in row.loads], 100.0),
        (
            "transactions",
            "" if row.transactions is None else f"{count(row.transactions)}/s",
            [(p.at, known(p.transactions_per_second)) for p in row.loads],
            None,
        ),
        ("connections", count(row.clients), [(p.at, known(p.clients)) for p in row.loads], None),
    )
    for label, value, points, highest in lines:
        line = sparkline.line(points, now, room, marks, highest)
        most = max((v for v in sparkline.slots(points, now, room) if v is not None), default=None)
        form = percent if label == "CPU" else count
        top = "" if most is None else f"most {form(most)}"
        yield f"{label:{_LABEL}}{value:>8}  {line}  {top}".rstrip()


def facts(row: TopRow) -> Iterator[str]:
    """What is one number for the whole database."""
    seen = row.sight.seen
    words = []
    if row.clients is not None:
        words.append(number(row.clients, "client"))
    if row.waiting is not None:
        words.append(f"{row.waiting} waiting")
    if row.waiting and row.longest_wait is not None:
        words[-1] += f" for up to {short_duration(row.longest_wait)}"
    if row.storage is not None:
        words.append(f"{size(row.storage)} of data")
    if seen and seen.postgresql:
        words.append(f"PostgreSQL {seen.postgresql}")
    if seen and seen.durability:
        words.append(seen.durability.value)
    if words:
        yield ", ".join(words)
    for detail in (row.sight.detail, row.sight.environment_detail):
        if detail:
            yield detail[:LONGEST]


def why(row: TopRow, told: History, at: float) -> Iterator[str]:
    """Why it has its size, and what is wrong with it."""
    now = datetime.fromtimestamp(at, UTC)
    for line in why_lines(row.id, History(now=told.now), now):
        yield line[:LONGEST]
    for alert in [alert for alert in told.alerts if alert.subject == row.id][:MOST_EVENTS]:
        yield f"alert: {alert.summary}; {alert.remedy}"[:LONGEST]


def past(row: TopRow, told: History) -> list[str]:
    """What was done to it, the newest first."""
    mine = [event for event in told.events if event.database == row.id]
    return [event_brief(event)[:LONGEST] for event in mine[:MOST_EVENTS]]


def _instance(name: str, seen: ObservedInstance | None, used: InstanceUsage) -> tuple[str, ...]:
    role = seen.role if seen else Role.UNKNOWN
    if role is Role.UNKNOWN and used.is_primary is not None:
        role = Role.PRIMARY if used.is_primary else Role.REPLICA
    domain = seen.availability_domain if seen else None
    lags = (seen.lag_bytes if seen else None, used.lag_bytes)
    return (
        name,
        role.value,
        seen.state.value if seen else "",
        "" if domain is None else str(domain),
        percent(known(used.cpu_percent)),
        percent(known(used.throttled_percent)),
        percent(known(used.memory_percent)),
        count(used.connections),
        count(known(used.transactions_per_second)),
        size(max((lag for lag in lags if lag is not None), default=None)),
    )
