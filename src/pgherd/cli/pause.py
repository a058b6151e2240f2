"""`pgherd pause` and `resume`: what the autopilot leaves alone."""

from __future__ import annotations

import re

import click

from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.output import say
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.targets import require_known
from pgherd.errors import InputError
from pgherd.fleet.desired import Fleet
from pgherd.units import quoted

_UNITS = {"m": 60, "h": 3600, "d": 86_400}


@click.command()
@click.argument("target", metavar="[ENVIRONMENT|DATABASE]", required=False)
@click.option("--reason", required=True, help="Why; it is shown wherever it matters.")
@click.option(
    "--for", "length", metavar="TIME", help="Until when, as in 30m, 2h, 7d. Else for good."
)
@fleet_option
@pass_surroundings
def pause(
    surroundings: Surroundings, fleet: Fleet, *, target: str | None, reason: str, length: str | None
) -> None:
    """Let the autopilot leave something alone.

    The fleet, an environment or a database. It goes on to measure and to tell. Failover goes on
    too: it needs no autopilot.
    """
    from pgherd.autopilot.requests import Pause

    require_known(fleet, {}, (target,) if target else ())
    since = surroundings.now().timestamp()
    until = None if length is None else since + _seconds(length)
    pause = Pause(target or "", _storable(reason), since, until, surroundings.user())
    surroundings.autopilot(fleet.name).pause(pause)
    end = "until `{}`".format(command_line("resume", *([target] if target else [])))
    say(f"{target or fleet.name} is left alone" + (f" for {length}" if length else f" {end}"))


@click.command()
@click.argument("target", metavar="[ENVIRONMENT|DATABASE]", required=False)
@fleet_option
@pass_surroundings
def resume(surroundings: Surroundings, fleet: Fleet, *, target: str | None) -> None:
    """Let the autopilot go on with something.

    With what was paused, and with all that is in it.
    """
    require_known(fleet, {}, (target,) if target else ())
    was_paused = surroundings.autopilot(fleet.name).resume(target or "")
    say(f"{target or fleet.name} goes on" if was_paused else "nothing to do: it is not paused")


def _storable(reason: str) -> str:
    """Short, and without bytes that are no text."""
    return reason.encode(errors="backslashreplace").decode()[:1000]


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,5}) ?([mhd])", text)
    if not found:
        raise InputError(f"--for: {quoted(text)} is not a time", "write one as in 30m, 2h or 7d")
    return int(found[1]) * _UNITS[found[2]]
