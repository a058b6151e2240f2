"""`pgherd plan`: what `up` would do now, why, and what the clients of each database notice."""

from __future__ import annotations

import asyncio

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.incomplete import ensure_complete
from pgherd.cli.output import say, say_json
from pgherd.cli.prices_option import prices_option
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.control.outcome import Outcome
from pgherd.control.up import Preview, preview
from pgherd.decide.actions import Interruption
from pgherd.decide.cost_change import Change, cost_change
from pgherd.fleet.desired import Fleet
from pgherd.prices.table import PriceTable
from pgherd.report.cost_json import change_json
from pgherd.report.cost_tables import change_text, stand_in_notes
from pgherd.report.plan import concessions, plan_json, plan_table
from pgherd.report.status import notes
from pgherd.report.words import few


@click.command()
@click.option(
    "--yes-destroy", metavar="NAME", multiple=True, help="As if `up` were called with the same."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@prices_option
@fleet_option
@pass_surroundings
def plan(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    prices: PriceTable,
    yes_destroy: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what up would do, changing nothing.

    Ends as up would where something is refused or not seen, or has migrations that nobody can
    read; with 0 otherwise, whether there is something to do or not.
    """
    found = asyncio.run(
        preview(
            fleet,
            surroundings.open_engines(fleet),
            allow_destroy=yes_destroy,
            migrations=surroundings.migrations(),
        )
    )
    change = cost_change(fleet, found.plan, found.seen, prices)
    if as_json:
        say_json(plan_json(found) | {"cost": change_json(change, prices)})
    else:
        _print(found)
        for note in notes(found.seen):
            say(note, lead="note: ", fg="yellow")
        for text, ids in concessions(found).items():
            say(f"{few(ids)}: {text}", lead="less than asked for: ", fg="yellow")
        if not found.plan.is_empty:
            _print_cost(fleet, change, prices)
    ensure_complete(
        Outcome(troubles=found.troubles, refused=found.plan.refused, unknown=found.plan.unknown)
    )


def _print(found: Preview) -> None:
    if not found.plan.is_empty:
        print_table(plan_table(found.plan), _style)
    elif found.plan.refused or found.plan.unknown or found.troubles:
        say("nothing to do, but for what is below")
    else:
        say("nothing to do: everything is as the fleet file says")


def _print_cost(fleet: Fleet, change: Change, prices: PriceTable) -> None:
    say()
    say(change_text(change, prices))
    for note in stand_in_notes(fleet.environments, prices):
        say(note)


def _style(cell: str) -> str:
    if cell == Interruption.NONE.value:
        return "dim"
    if cell == Interruption.DATA_LOSS.value:
        return "bold red"
    return "yellow" if cell in set(Interruption) else ""
