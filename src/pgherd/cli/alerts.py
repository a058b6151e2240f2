"""`pgherd alerts`: what a person should know of now, and what to do about it."""

from __future__ import annotations

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.fleet.desired import Fleet
from pgherd.report.events import alerts_json, alerts_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@fleet_option
@pass_surroundings
def alerts(surroundings: Surroundings, fleet: Fleet, *, as_json: bool) -> None:
    """List what is wrong now, since when, and what to do about it.

    As the autopilot saw it in its last round; `pgherd status` says when that was.
    """
    from pgherd.autopilot.reading import Wanted

    found = surroundings.told(fleet.name).read(Wanted(limit=1)).alerts
    if as_json:
        say_json(alerts_json(found))
    elif found:
        print_table(alerts_table(found))
    else:
        say("no alerts")
