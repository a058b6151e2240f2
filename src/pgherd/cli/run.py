"""`pgherd run`: the autopilot of a fleet, in this terminal."""

from __future__ import annotations

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.errors import TryLater
from pgherd.fleet.desired import Fleet


@click.command()
@click.option("--dry-run", is_flag=True, help="Decide and tell, and change nothing.")
@click.option("--stop", is_flag=True, help="End the one that runs; databases run on.")
@fleet_option
@pass_surroundings
def run(surroundings: Surroundings, fleet: Fleet, *, dry_run: bool, stop: bool) -> None:
    """Run the autopilot of the fleet, until Ctrl-C.

    It works from what was applied with up, which starts one too. A second one is refused.
    """
    autopilot = surroundings.autopilot(fleet.name)
    if stop:
        say("the autopilot has ended" if autopilot.end() else "nothing to do: it does not run")
        return
    if surroundings.history(fleet.name).newest() is None:
        raise TryLater(f"nothing was applied to {fleet.name} yet", "run `pgherd up` first")
    say(f"the autopilot of {fleet.name} runs until Ctrl-C; `pgherd events` tells what it does")
    surroundings.run_autopilot(fleet.name, dry_run)
