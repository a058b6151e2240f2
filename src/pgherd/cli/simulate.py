"""`pgherd simulate`: what the autopilot would do under a load, over weeks, in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

import click

from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.prices_option import prices_option
from pgherd.cli.tables import print_table
from pgherd.cli.targets import chosen_databases
from pgherd.cli.written_file import chart_form, write_whole
from pgherd.decide.comparison import compare, ways
from pgherd.decide.cost import ocpu_hour_cost
from pgherd.errors import InputError
from pgherd.fleet.calendar import YEARS
from pgherd.fleet.desired import Database, Fleet
from pgherd.prices.table import PriceTable
from pgherd.report.drawing import draw
from pgherd.report.simulation import simulation_json, simulation_notes, simulation_table
from pgherd.report.simulation_chart import simulation_chart
from pgherd.shapes.shape import Load, Shape, load

STEP_SECONDS = 300.0
DEFAULT_SHAPE = "black-friday"
MONDAY = "2026-11-02"
"""The 26th day from then on, which has most of `black-friday`, is a Black Friday."""


@click.command()
@click.argument("target", metavar="[ENVIRONMENT|DATABASE]", required=False)
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=30,
    help="How many, from a Monday on.  [default: 30]",
)
@click.option(
    "--load",
    "shape_name",
    metavar="SHAPE",
    default=DEFAULT_SHAPE,
    help="black-friday, day-week, leak, noise, square-wave, or the path of a file that says"
    f" another.  [default: {DEFAULT_SHAPE}]",
)
@click.option(
    "--from",
    "monday",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    default=MONDAY,
    help="The Monday on which it begins, for peaks that the fleet file has on single days."
    f"  [default: {MONDAY}]",
)
@click.option(
    "--chart",
    "chart_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Draw one database into this file, which ends in .svg or .png.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@prices_option
@fleet_option
def simulate(
    fleet: Fleet,
    *,
    target: str | None,
    days: int,
    shape_name: str,
    monday: datetime,
    chart_file: Path | None,
    prices: PriceTable,
    as_json: bool,
) -> None:
    """Play a load against the rules for sizes.

    What the databases would have had, what it would have cost, and the same with sizes that never
    change. Nothing is looked at and nothing is changed.
    """
    from pgherd.shapes.file import read_shape

    shape, start = read_shape(shape_name), _monday(monday.date())
    chosen = chosen_databases(fleet, target)
    play = partial(_load, shape, days)
    if chart_file is not None:
        one = _only(chosen, chart_file)
        played = dict(ways(one, play(one), start))
        cost = ocpu_hour_cost(prices, one)
        chart = simulation_chart(one, played, shape.means, cost, prices.currency)
        write_whole(chart_file, draw(chart, chart_form(chart_file)), quiet=as_json)
    found = compare(chosen, play, partial(ocpu_hour_cost, prices), start)
    if as_json:
        say_json(simulation_json(found, prices.currency))
        return
    print_table(simulation_table(found, shape.means, prices.currency))
    for note in simulation_notes():
        say(note)


def _monday(day: date) -> date:
    if day.year not in YEARS:
        hint = f"write a year from {YEARS[0]} to {YEARS[-1]}"
        raise InputError(f"--from: {day} is out of range", hint)
    if day.weekday() != 0:
        earlier = day - timedelta(days=day.weekday())
        raise InputError(f"--from: {day} is not a Monday", f"write {earlier}")
    return day


def _load(shape: Shape, days: int, database: Database) -> Load:
    return load(shape, database.ocpus.max, seconds=STEP_SECONDS, days=days, seed=str(database.id))


def _only(chosen: Sequence[Database], chart_file: Path) -> Database:
    """The database to draw, once it is known that its chart can be written."""
    chart_form(chart_file)
    if len(chosen) > 1:
        command = command_line("simulate", str(chosen[0].id), flags=["--chart", str(chart_file)])
        raise InputError(
            f"a chart is of one database, and these are {len(chosen)}",
            f"name one, as in {command}",
        )
    return chosen[0]
