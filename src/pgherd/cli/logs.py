"""`pgherd logs`: what the components of one database wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.contract.logs import LogLine
from pgherd.control.abilities import logs_of
from pgherd.fleet.desired import Fleet

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue")


@click.command()
@click.argument("database")
@click.option("--instance", metavar="NAME", help="Only this instance, as in auth-1.")
@click.option("--lines", type=click.IntRange(min=0), default=50, show_default=True)
@click.option("--follow", is_flag=True, help="Go on with what is written, until Ctrl-C.")
@fleet_option
@pass_surroundings
def logs(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    database: str,
    instance: str | None,
    lines: int,
    follow: bool,
) -> None:
    """Print the last lines of each component's log."""
    wanted = fleet.database(fleet.id(database))
    engine = surroundings.engine_of(fleet, wanted.id.environment)
    found = logs_of(engine).read(wanted.id, instance=instance, lines=lines, follow=follow)
    try:
        asyncio.run(_print(found))
    except KeyboardInterrupt:
        return


async def _print(found: AsyncIterator[LogLine]) -> None:
    colours: dict[str, str] = {}
    async for line in found:
        colour = colours.setdefault(line.source, _COLOURS[len(colours) % len(_COLOURS)])
        # PostgreSQL indents what follows on a line with a tab.
        say(f": {line.text}", lead=line.source, fg=colour, keep="\t")
