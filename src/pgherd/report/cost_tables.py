"""What `pgherd cost` shows to people: tables, and notes on them.

Pure functions from costs to cells. Amounts stand right aligned: people compare them by length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from pgherd.contract.observed import Unknown
from pgherd.decide.cost import (
    HOURS,
    Charge,
    DatabaseCost,
    FleetCost,
    Month,
    estimates,
)
from pgherd.decide.cost_change import Change
from pgherd.fleet.desired import Environment
from pgherd.fleet.summary import Table
from pgherd.prices.money import format_money
from pgherd.prices.table import PriceTable
from pgherd.report.status import ABSENT
from pgherd.report.words import listed
from pgherd.units import format_bytes, number

LOCAL = "local"
NOT_KNOWN = "not known"
IN_ALL = "in all"
NOT_COUNTED = ("backups", "traffic", "keys")

_Row = tuple[str, str, str, str]


def cost_tables(cost: FleetCost, prices: PriceTable, *, current: bool) -> Iterator[Table]:
    """One for each environment, then all of them together."""
    names = tuple(cost.initial.environments)
    currency = prices.currency
    for name in names:
        databases = [c for c in cost.databases if c.database.id.environment == name]
        rows = [_database_row(c, currency) for c in databases]
        if name in cost.poolers:
            rows.append(("poolers", *(format_money(cost.poolers[name], currency),) * 3))
        rows.append(_sum_row(cost, (name,), IN_ALL, currency))
        yield _table(f"{name}{_sizes(databases)}", "Database", rows, current=current)
    rows = [_sum_row(cost, (name,), name, currency) for name in names]
    rows.append(_sum_row(cost, names, IN_ALL, currency))
    yield _table("a month of everything", "Environment", rows, current=current)


def cost_notes(cost: FleetCost, prices: PriceTable) -> Iterator[str]:
    """How the amounts came about, a line each."""
    yield f"prices of {prices.as_of}, {HOURS} hours a month"
    yield f"source: {prices.source}"
    yield from stand_in_notes([c.database.environment for c in cost.databases], prices)
    if endless := [c for c in cost.databases if _is_cut_off(c)]:
        limit = format_bytes(endless[0].maximum.size.storage_bytes)
        databases = number(len(endless), "database")
        yield f"maximum storage of {databases} counts as {limit}, where the service ends"
    for reason in dict.fromkeys(estimates(cost, prices).values()):
        yield f"estimate: {reason}"
    yield f"not counted: {listed(left_out(cost, prices))}"


def stand_in_notes(environments: Sequence[Environment], prices: PriceTable) -> Iterator[str]:
    """Which environments are priced as if they ran on another engine."""
    by_engine: dict[str, dict[str, None]] = {}
    for environment in environments:
        if environment.engine not in prices.engines:
            by_engine.setdefault(environment.engine, {})[environment.name] = None
    for engine, names in by_engine.items():
        verb = "runs" if len(names) == 1 else "run"
        where = "this machine" if engine == LOCAL else f"{engine}, which has no prices"
        yield f"{listed(names)} {verb} on {where}; priced as on {prices.priced_as(engine)}"


def change_text(change: Change, prices: PriceTable) -> str:
    """What the steps of a plan do to the cost, in a line."""
    before, after = (format_money(m, prices.currency) for m in (change.before, change.after))
    if change.amount:
        amount = format_money(change.amount, prices.currency, signed=True)
        text = f"these steps change the monthly cost by {amount}, to {after}"
    else:
        text = f"these steps leave the monthly cost at {before}"
    gone = number(len(change.without_storage), "database")
    rest = [
        f"not known for {number(len(change.unknown), 'database')}" if change.unknown else "",
        f"without the storage of {gone} not in the fleet file" if change.without_storage else "",
    ]
    return "; ".join(filter(None, [text, *rest]))


def _table(title: str, first: str, rows: Sequence[_Row], *, current: bool) -> Table:
    lines = [(first, "Initial", "Current", "Maximum"), *rows]
    kept = lines if current else [(line[0], line[1], line[3]) for line in lines]
    columns = [_aligned(column) for column in zip(*kept, strict=True)]
    header, *cells = zip((line[0] for line in lines), *columns[1:], strict=True)
    return Table(title, header, tuple(cells))


def _aligned(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    return [cell.rjust(width) for cell in column]


def _database_row(cost: DatabaseCost, currency: str) -> _Row:
    return (
        cost.database.id.service,
        format_money(cost.initial.cost, currency),
        _current_text(cost.current, currency),
        format_money(cost.maximum.cost, currency),
    )


def _current_text(current: Charge | Unknown | None, currency: str) -> str:
    match current:
        case Charge():
            return format_money(current.cost, currency)
        case Unknown():
            return NOT_KNOWN
        case _:
            return ABSENT


def _sum_row(cost: FleetCost, names: Sequence[str], head: str, currency: str) -> _Row:
    def text(month: Month) -> str:
        return format_money(_sum(month, names), currency)

    unseen = sum(id.environment in names for id in cost.unseen)
    databases = sum(c.database.id.environment in names for c in cost.databases)
    known = text(cost.current) + (" + ?" if unseen else "")
    current = NOT_KNOWN if unseen == databases else known
    return (head, text(cost.initial), current, text(cost.maximum))


def _sum(month: Month, names: Sequence[str]) -> Decimal:
    return sum((month.environments[name] for name in names), Decimal(0))


def _sizes(databases: Sequence[DatabaseCost]) -> str:
    """What every one of them is, where they are all alike."""
    alike = {(_size(c.initial), _size(c.maximum)) for c in databases}
    if len(alike) != 1:
        return ""
    ((initial, maximum),) = alike
    return f": initial {initial}, maximum {maximum}"


def _size(charge: Charge) -> str:
    size = charge.size
    return f"{size.nodes} x {size.ocpus} OCPUs and {format_bytes(size.storage_bytes)}"


def _is_cut_off(cost: DatabaseCost) -> bool:
    most = cost.database.storage.max_bytes
    return most is None or most > cost.maximum.size.storage_bytes


def left_out(cost: FleetCost, prices: PriceTable) -> list[str]:
    """What these amounts do not count."""
    engines = [prices.engines[c.priced_as] for c in cost.databases]
    counted = all(e.performance and e.performance.units_per_gb for e in engines)
    units = () if counted else ("performance units",)
    pooled = all(c.database.id.environment in cost.poolers for c in cost.databases)
    return [*NOT_COUNTED, *units, *(() if pooled else ("pooler machines",))]
