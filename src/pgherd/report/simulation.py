"""What a simulation found, as people and as programs read of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgherd.decide.comparison import Sum, Way
from pgherd.fleet.summary import Table
from pgherd.prices.money import format_money
from pgherd.units import number


def simulation_table(sums: Mapping[Way, Sum], title: str, currency: str) -> Table:
    """A row for each way in which sizes may come about, the autopilot's first."""
    header = ("Sizes", "OCPU hours", "Unused", "Short, min", "Exhausted", "Resizes", "Cost")
    rows = tuple(
        (
            str(way),
            f"{found.compute:,.0f}",
            f"{found.slack:.0%}",
            f"{found.throttled_minutes:,.0f}",
            f"{found.exhaustions_per_database_month:.2f}",
            str(found.resizes),
            format_money(found.cost, currency),
        )
        for way, found in sums.items()
    )
    autopilot = sums[Way.AUTOPILOT]
    of = f"{number(autopilot.databases, 'database')}, {number(round(autopilot.days), 'day')}"
    return Table(f"{title}: {of}", header, rows)


def simulation_notes() -> tuple[str, ...]:
    """What the columns are."""
    return (
        "Short: minutes in which a database wanted more OCPUs than it had, all together",
        "Exhausted: how often that began, for each database and month",
        "Cost: of OCPUs and their memory, for all instances; storage costs the same each way",
    )


def simulation_json(sums: Mapping[Way, Sum], currency: str) -> dict[str, Any]:
    """As programs read of it. Keys are only ever added.

    `compute_ratio`: how many times as much compute as the autopilot's people would provide.
    """
    autopilot = sums[Way.AUTOPILOT]
    provided = sums[Way.PROVISIONED].compute
    return {
        **_json(autopilot),
        "databases": autopilot.databases,
        "days": autopilot.days,
        "compute_ratio": provided / autopilot.compute if autopilot.compute else None,
        "currency": currency,
        "beside": {str(way): _json(found) for way, found in sums.items() if found != autopilot},
    }


def _json(found: Sum) -> dict[str, Any]:
    return {
        "resizes": found.resizes,
        "scale_downs": found.scale_downs,
        "ocpu_hours": found.compute,
        "slack": found.slack,
        "exhaustions_per_database_month": found.exhaustions_per_database_month,
        "throttled_minutes": found.throttled_minutes,
        "cost": str(found.cost),
    }
