"""`pgherd plan`: what `up` would do now, why, and what the clients of each database notice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import click

from pgherd.cli.cost_tables import change_json, change_text, stand_in_notes
from pgherd.cli.failures import merged_refusals, print_error
from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.prices_option import prices_option
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.cli.words import few, number
from pgherd.control.up import Preview, preview
from pgherd.decide.actions import Action, Interruption, subject, summary
from pgherd.decide.cost_change import Change, cost_change
from pgherd.decide.plan import Plan
from pgherd.fleet.desired import Fleet
from pgherd.fleet.summary import Table
from pgherd.prices.table import PriceTable


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
    """Show what up would do, changing nothing."""
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
        return
    _print(found.plan)
    for text, ids in _concessions(found).items():
        say(f"{few(ids)}: {text}", lead="less than asked for: ", fg="yellow")
    if not found.plan.is_empty:
        _print_cost(fleet, change, prices)
    for refusal in merged_refusals(found.plan.refused):
        print_error(refusal.message, refusal.hint)
    for unseen in found.plan.unknown:
        print_error(f"{unseen.subject} is not seen: {unseen.reason}")
    for trouble in found.troubles:
        print_error(f"{trouble.subject}: {trouble.error.message}", trouble.error.hint)


def _concessions(found: Preview) -> dict[str, list[str]]:
    """Each with the databases that make it."""
    concessions: dict[str, list[str]] = {}
    for id, text in found.concessions:
        concessions.setdefault(text, []).append(str(id))
    return concessions


def plan_json(found: Preview) -> dict[str, Any]:
    """What `--json` prints. Keys are only ever added."""
    plan = found.plan
    return {
        "steps": [_step_json(step) for step in plan.steps],
        "refused": [
            {"subject": r.subject, "message": r.message, "hint": r.hint, "flag": r.flag}
            for r in plan.refused
        ],
        "unknown": [{"subject": u.subject, "reason": u.reason} for u in plan.unknown],
        "troubles": [
            {"subject": t.subject, "message": t.error.message, "hint": t.error.hint}
            for t in found.troubles
        ],
        "concessions": [{"subject": str(id), "message": text} for id, text in found.concessions],
    }


def _step_json(step: Action) -> dict[str, str]:
    return {
        "subject": subject(step),
        "action": summary(step),
        "reason": step.reason,
        "interruption": step.interruption.value,
    }


def _print(found: Plan) -> None:
    if found.is_empty:
        if found.refused or found.unknown:
            say("nothing is done before what is below is mended")
        else:
            say("nothing to do: everything is as the fleet file says")
        return
    title = number(len(found.steps), "step")
    header = ("Database", "Action", "Reason", "Interruption")
    print_table(Table(title, header, tuple(_rows(found))), _style)


def _rows(found: Plan) -> Iterator[tuple[str, ...]]:
    last = ""
    for step in found.steps:
        name = subject(step)
        yield ("" if name == last else name, summary(step), step.reason, step.interruption.value)
        last = name


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
