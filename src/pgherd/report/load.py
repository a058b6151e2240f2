"""How a fleet's customers fared, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgherd.fleet.summary import Table


def results_table(found: Mapping[str, Any]) -> Table:
    """A row for each database."""
    header = (
        "Database",
        "Transactions",
        "TPS",
        "Errors",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
        "Longest stall ms",
        "Acknowledged",
        "Lost",
        "Invariants",
    )
    title = (
        f"{found['transactions']:,} transactions in {found['seconds']:.1f} s:"
        f" {found['tps']:,.0f} TPS, {found['clients']} clients in each environment"
    )
    return Table(title, header, tuple(_row(d) for d in found["databases"]))


def _row(database: Mapping[str, Any]) -> tuple[str, ...]:
    latency = database["latency_ms"]
    errors = " ".join(f"{kind}:{count}" for kind, count in database["errors"].items())
    violated = sum(1 for i in database["invariants"] if i["violations"])
    hold = f"{violated} violated" if violated else f"{len(database['invariants'])} hold"
    is_verified = database["verified"]
    return (
        f"{database['environment']}/{database['service']}",
        f"{database['transactions']:,}",
        f"{database['tps']:,.0f}",
        errors or "0",
        *(f"{latency[p]:.1f}" for p in ("p50", "p95", "p99", "max")),
        f"{database['longest_stall_ms']:.0f}",
        f"{sum(database['acknowledged'].values()):,}",
        str(database["lost"]) if is_verified else "unknown",
        hold if is_verified else "unknown",
    )
