"""`pgherd events`: what the autopilot has done, and why."""

from __future__ import annotations

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.cli.targets import require_known
from pgherd.fleet.desired import Fleet
from pgherd.report.events import event_json, event_line, events_json, events_table


@click.command()
@click.argument("target", metavar="[ENVIRONMENT|DATABASE]", required=False)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, help="How many.  [default: 50]"
)
@click.option("--follow", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; one event a line with --follow.")
@fleet_option
@pass_surroundings
def events(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    target: str | None,
    limit: int,
    follow: bool,
    as_json: bool,
) -> None:
    """List what was done by itself, the newest first.

    By the autopilot, and by the local engine: failovers, with when what was so. Everything, or
    what is about one environment or database. Kept for 90 days.
    """
    from pgherd.autopilot.reading import Wanted

    require_known(fleet, {}, (target,) if target else ())
    history = surroundings.told(fleet.name)
    is_database = target is not None and "/" in target
    wanted = Wanted(
        database=target if is_database else None,
        environment=None if is_database else target,
        limit=limit,
        follow=follow,
    )
    if follow:
        try:
            for event in history.follow(wanted):
                if as_json:
                    say_json(event_json(event), indent=None)
                else:
                    say(event_line(event))
        except KeyboardInterrupt:
            return
        return
    found = history.read(wanted).events
    if as_json:
        say_json(events_json(found))
    elif found:
        print_table(events_table(found))
    else:
        say("nothing has happened by itself yet")
