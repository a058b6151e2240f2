"""`pgherd alerts`: what a person should know of now, what to do about it, and who is told."""

from __future__ import annotations

import click

from pgherd.cli.failures import Failed
from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_table
from pgherd.errors import InputError, PgherdError
from pgherd.fleet.desired import Fleet
from pgherd.fleet.receivers import Receiver
from pgherd.report.events import alerts_json, alerts_table
from pgherd.report.receivers import receiver_lines, receivers_json


@click.command()
@click.option("--test", "is_test", is_flag=True, help="Send each receiver a message that says so.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@fleet_option
@pass_surroundings
def alerts(surroundings: Surroundings, fleet: Fleet, *, is_test: bool, as_json: bool) -> None:
    """List what is wrong now, and what to do about it.

    With since when it is so, and who is told, as of the autopilot's last round; `pgherd status`
    says when that was. With --test, receivers of the fleet file get a message instead, and it
    fails where one does not take it.
    """
    if is_test:
        _try(surroundings, fleet, as_json=as_json)
        return
    from pgherd.autopilot.reading import Wanted

    found = surroundings.told(fleet.name).read(Wanted(limit=1))
    if as_json:
        said = alerts_json(found.alerts)
        if fleet.notifications:
            said["receivers"] = receivers_json(fleet.notifications, found.receivers)
        say_json(said)
        return
    if found.alerts:
        print_table(alerts_table(found.alerts))
    else:
        say("no alerts")
    for line in receiver_lines(fleet.notifications, found.receivers):
        say(line)


def _try(surroundings: Surroundings, fleet: Fleet, *, as_json: bool) -> None:
    """All at once: one that does not answer takes its whole time."""
    from concurrent.futures import ThreadPoolExecutor

    if not fleet.notifications:
        hint = "write who is told under notifications, as docs/autopilot.md has it"
        raise InputError("the fleet file has no notifications", hint)
    with ThreadPoolExecutor(4) as pool:
        failures = list(
            pool.map(lambda receiver: _tried(surroundings, fleet, receiver), fleet.notifications)
        )
    tried = list(zip(fleet.notifications, failures, strict=True))
    if as_json:
        say_json({"receivers": [{**r.as_json(), "failed": e and e.message} for r, e in tried]})
    for receiver, error in () if as_json else tried:
        if error is None:
            say(f"{receiver.name} ({receiver.place}) has taken a message")
    if errors := [error for error in failures if error is not None]:
        raise Failed(errors)


def _tried(surroundings: Surroundings, fleet: Fleet, receiver: Receiver) -> PgherdError | None:
    from pgherd.autopilot.notice import trial

    try:
        surroundings.send(receiver, trial(fleet.name))
    except PgherdError as error:
        return error
    return None
