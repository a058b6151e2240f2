"""`pgherd top`: a fleet while it works."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, styled
from pgherd.cli.sparklines import screen_marks
from pgherd.cli.states import style_of
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import print_lines
from pgherd.cli.targets import require_known
from pgherd.fleet.desired import Fleet

if TYPE_CHECKING:
    from pgherd.cli.live.gathering import Gathering

_WIDE = 200
"""Columns of what is printed for a program, which has no screen to fit."""


@click.command()
@click.argument("target", metavar="[ENVIRONMENT|DATABASE]", required=False)
@click.option("--once", is_flag=True, help="Print it once; so it is where stdout is no terminal.")
@click.option(
    "--every",
    "seconds",
    metavar="SECONDS",
    type=click.FloatRange(0.5, 3600),
    default=2.0,
    help="How often to look.  [default: 2]",
)
@fleet_option
@pass_surroundings
def top(
    surroundings: Surroundings, fleet: Fleet, *, target: str | None, once: bool, seconds: float
) -> None:
    """Watch what databases do.

    All of them, one environment, or one database with its instances; h shows the keys. What
    servers say of themselves is known while the autopilot runs.
    """
    from pgherd.cli.live.gathering import Gathering

    gathering = Gathering(surroundings, fleet)
    if once or not (sys.stdout.isatty() and sys.stdin.isatty()):
        _print(gathering, target)
        return
    from pgherd.cli.live.app import TopApp

    require_known(fleet, {}, (target,) if target else ())
    app = TopApp(gathering, target=target, seconds=seconds, marks=screen_marks(), style_of=style_of)
    app.run(mouse=False)
    if app.error:
        raise app.error
    if app.return_code:
        sys.exit(app.return_code)


def _print(gathering: Gathering, target: str | None) -> None:
    from pgherd.cli.live.drawing import detail, head, table
    from pgherd.report.autopilot import autopilot_text
    from pgherd.report.top import Picked
    from pgherd.report.top_words import chosen

    found = asyncio.run(gathering.look_once())
    known = {*found.environments, *(row.id for row in found.rows)}
    if target not in known:
        require_known(gathering.fleet, {}, (target,) if target else ())
    width = _width()
    if target and "/" in target:
        if row := found.row(target):
            first = styled(autopilot_text(found.autopilot, found.at))
            print_lines([first, *detail(row, found, width, screen_marks(), style_of)])
        return
    picked = Picked(environment=target)
    rows = picked.rows(found.rows)
    lines = head(found, rows, chosen(picked), width)
    heading, drawn = table(rows, found.at, width, screen_marks(), style_of)
    print_lines([*lines, heading, *drawn])
    for note in found.notes:
        say(note)


def _width() -> int:
    from rich.console import Console

    console = Console()
    return console.width if console.is_terminal or "COLUMNS" in os.environ else _WIDE
