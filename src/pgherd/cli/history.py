"""`pgherd history`: the fleet files that were applied, and what each changed."""

from __future__ import annotations

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.control.applied import Applied
from pgherd.errors import InputError
from pgherd.fleet.desired import Fleet
from pgherd.report.history import applied_json, history_json, history_table


@click.command()
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@fleet_option
@pass_surroundings
def history(surroundings: Surroundings, fleet: Fleet, *, number: int | None, as_json: bool) -> None:
    """List the fleet files that were applied.

    With a NUMBER, what that one changed. The last 200 are kept.
    """
    applied = tuple(surroundings.history(fleet.name).all())
    if number is None:
        if as_json:
            say_json(history_json(applied))
        elif applied:
            print_table(history_table(applied))
        else:
            say(f"nothing was applied to {fleet.name} yet")
        return
    one, before = _numbered(applied, number)
    lines = one.difference(before)
    if as_json:
        say_json(applied_json(one, before))
    elif before and not lines:
        say(f"the same text as {before.number}, in {one.place}")
    for line in () if as_json else lines:
        say(line, keep="\t")


def _numbered(applied: tuple[Applied, ...], number: int) -> tuple[Applied, Applied | None]:
    for place, one in enumerate(applied):
        if one.number == number:
            return one, applied[place + 1] if place + 1 < len(applied) else None
    known = f"1 to {applied[0].number}" if applied else "none"
    raise InputError(f"nothing was applied under the number {number}", f"there are {known}")
