"""What a fleet costs, as programs read it. Keys are only ever added."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pgherd.decide.cost import Charge, DatabaseCost, FleetCost, Month, estimates, storage_gb
from pgherd.decide.cost_change import Change
from pgherd.prices.table import PriceTable
from pgherd.report.cost_tables import left_out


def cost_json(cost: FleetCost, prices: PriceTable, *, current: bool) -> dict[str, Any]:
    """What `--json` prints."""
    environments = {c.database.environment.name: c.database.environment for c in cost.databases}
    return {
        "currency": prices.currency,
        "as_of": prices.as_of.isoformat(),
        "month": {
            "initial": _month_json(cost.initial),
            "current": current_json(cost) if current else None,
            "maximum": _month_json(cost.maximum),
        },
        "databases": [_database_json(c, prices) for c in cost.databases],
        "poolers": {name: _amount(each) for name, each in cost.poolers.items()},
        "source": prices.source,
        "priced_as": {n: prices.priced_as(e.engine) for n, e in environments.items()},
        "estimates": estimates(cost, prices),
        "not_counted": left_out(cost, prices),
    }


def current_json(cost: FleetCost) -> dict[str, Any]:
    """The current month; `unknown` are databases that are in no sum, and why."""
    unknown = {str(id): reason for id, reason in cost.unseen.items()}
    return {**_month_json(cost.current), "unknown": unknown}


def change_json(change: Change, prices: PriceTable) -> dict[str, Any]:
    """What `plan --json` says of the cost."""
    return {
        "currency": prices.currency,
        "as_of": prices.as_of.isoformat(),
        "month": {
            "before": _amount(change.before),
            "after": _amount(change.after),
            "change": _amount(change.amount),
        },
        "unknown": [str(id) for id in change.unknown],
        "without_storage": [str(id) for id in change.without_storage],
    }


def _amount(amount: Decimal) -> float:
    """Cents are exact in JSON's text, whatever they are in between."""
    return float(amount)


def _month_json(month: Month) -> dict[str, Any]:
    environments = {name: _amount(each) for name, each in month.environments.items()}
    return {"total": _amount(month.total), "environments": environments}


def _database_json(cost: DatabaseCost, prices: PriceTable) -> dict[str, Any]:
    current = cost.current
    return {
        "environment": cost.database.id.environment,
        "service": cost.database.id.service,
        "name": cost.database.name,
        "engine": cost.database.environment.engine,
        "series": cost.series,
        "initial": _charge_json(cost, cost.initial, prices),
        "current": _charge_json(cost, current, prices) if isinstance(current, Charge) else None,
        "maximum": _charge_json(cost, cost.maximum, prices),
    }


def _charge_json(cost: DatabaseCost, charge: Charge, prices: PriceTable) -> dict[str, Any]:
    size = charge.size
    return {
        "nodes": size.nodes,
        "ocpus": size.ocpus,
        "runs": size.runs,
        "storage_bytes": size.storage_bytes,
        "storage_gb": float(storage_gb(size, prices.engines[cost.priced_as])),
        "cost": _amount(charge.cost),
    }
