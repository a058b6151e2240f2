"""`pgherd load`: the service's customers, played by the fleet's own program."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.control.load import broken, chosen, play
from pgherd.errors import NeedsHuman
from pgherd.fleet.desired import Fleet
from pgherd.fleet.summary import Table


@click.command()
@click.option("--service", metavar="S", help="Only this service.  [default: all]")
@click.option("--environment", metavar="E", help="Only this environment.  [default: all]")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=10, show_default=True
)
@click.option(
    "--clients",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="How many customers at once, in each environment.",
)
@click.option("--seed", type=int, default=0, help="What the customers' choices follow from.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@fleet_option
@pass_surroundings
def load(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    service: str | None,
    environment: str | None,
    seconds: float,
    clients: int,
    seed: int,
    as_json: bool,
) -> None:
    """Play customers and say how they fared."""
    wish = {
        "seconds": seconds,
        "clients": clients,
        "seed": seed,
        "progress": sys.stderr.isatty(),
    }
    databases = chosen(fleet, service, environment)
    engines = surroundings.open_engines(fleet)
    found = asyncio.run(play(databases, engines, wish, partial(say, err=True)))
    if as_json:
        say_json(found)
    else:
        print_table(results_table(found))
    if not found["ok"]:
        raise NeedsHuman("; ".join(broken(found)), "run it with --json to see the ids")


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
