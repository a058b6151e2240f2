"""`pgherd load`: the service's customers, played by the fleet's own program."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.control.load import broken, chosen, play
from pgherd.errors import NeedsHuman
from pgherd.fleet.desired import Fleet
from pgherd.report.load import results_table


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
