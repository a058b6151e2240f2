"""`pgherd why`: why a database has the size that it has."""

from __future__ import annotations

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.fleet.desired import Fleet
from pgherd.report.events import why_json, why_lines


@click.command()
@click.argument("database")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@fleet_option
@pass_surroundings
def why(surroundings: Surroundings, fleet: Fleet, *, database: str, as_json: bool) -> None:
    """Say why a database has its size.

    With what was last done to it by itself.
    """
    from pgherd.autopilot.reading import Wanted

    id = fleet.database(fleet.id(database)).id
    found = surroundings.told(fleet.name).read(Wanted(database=str(id), limit=10))
    if as_json:
        say_json(why_json(str(id), found))
        return
    for line in why_lines(str(id), found, surroundings.now()):
        say(line)
