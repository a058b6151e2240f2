"""The lines of `pgherd top` around its table: what it says of the whole fleet. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pgherd.report.top import Order, Picked, TopRow
from pgherd.report.top_columns import count
from pgherd.units import number

HELP = (
    ("Up Down PgUp PgDn", "choose a database, or scroll"),
    ("Enter", "open it; Escape goes back"),
    ("P c, M m, T t", "sort by CPU, memory, transactions"),
    ("C, W, L", "sort by connections, waiting clients, replication lag"),
    ("N, F", "sort by name, as in the fleet file"),
    ("R", "the other way round"),
    ("/", "filter: these words in name, state or last event"),
    ("e", "all environments, then each of them"),
    ("Space", "stand still, and go on"),
    ("+ -, s", "look less often, more often; the next interval"),
    ("h ?", "this help"),
    ("q", "leave"),
)
LEGEND = (
    "OCPUS: the size now, of the sizes between which the autopilot chooses.",
    "CPU, MEM: of what the busiest instance has. 10 MIN: its CPU in that time.",
    "CONN: clients of the pooler. WAIT: those that wait for a connection, and how",
    "long. TPS: transactions a second. LAG: what a replica has still to replay.",
    "What is not known is blank.",
)
KEYS = "Enter open  P M T sort  / filter  e environment  Space pause  + - s  h help  q leave"
FEW_KEYS = "Enter  P M T sort  / filter  e env  Space  + -  h help  q"
INTERVALS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds from look to look."""


def summary(rows: Sequence[TopRow]) -> str:
    """The whole in one line. What is not known of any is not in it."""
    states = Counter(row.sight.state for row in rows)
    words = [f"{n} {state}" for state, n in states.items()]
    parts = [f"{number(len(rows), 'database')}: {', '.join(words)}" if rows else "no database"]
    ocpus = [row.ocpus for row in rows if row.ocpus is not None]
    clients = [row.clients for row in rows if row.clients is not None]
    waiting = [row.waiting for row in rows if row.waiting is not None]
    transactions = [row.transactions for row in rows if row.transactions is not None]
    if ocpus:
        parts.append(number(sum(ocpus), "OCPU"))
    if clients:
        parts.append(f"{number(sum(clients), 'client')}, {sum(waiting)} waiting")
    if transactions:
        parts.append(f"{count(sum(transactions))} tps")
    return "; ".join(parts)


def chosen(picked: Picked) -> str:
    """What is shown, and how it is sorted."""
    words = [picked.environment or "all environments"]
    if picked.words:
        words.append(f"with '{picked.words}'")
    backwards = ", reversed" if picked.is_reversed else ""
    if picked.order is not Order.FILE or picked.is_reversed:
        words.append(f"by {picked.order.value}{backwards}")
    return ", ".join(words)


def interval_after(seconds: float, step: int) -> float:
    """The one that many steps longer or shorter."""
    longer = [n for n in INTERVALS if n > seconds]
    shorter = [n for n in INTERVALS if n < seconds]
    if step > 0:
        return longer[0] if longer else INTERVALS[-1]
    return shorter[-1] if shorter else INTERVALS[0]


def next_interval(seconds: float) -> float:
    """The next longer one; after the longest the shortest."""
    return next((n for n in INTERVALS if n > seconds), INTERVALS[0])
