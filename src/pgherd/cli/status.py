"""`pgherd status`: what runs where. It takes no lock and changes nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say, say_json, styled
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import drawn, print_table
from pgherd.cli.targets import require_known
from pgherd.contract.engine import Engine
from pgherd.contract.observed import DatabaseState, InstanceState
from pgherd.control.lookout import Lookout
from pgherd.errors import TryLater
from pgherd.fleet.desired import Fleet
from pgherd.report.autopilot import autopilot_json, autopilot_text
from pgherd.report.status import ABSENT, Sight, notes, sights, sights_json
from pgherd.report.status_tables import status_tables

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from pgherd.autopilot.client import Autopilot
    from pgherd.autopilot.questions import State

_WATCH_SECONDS = 1.0
_STYLES = {
    DatabaseState.RUNNING.value: "green",
    InstanceState.STREAMING.value: "green",
    DatabaseState.DEGRADED.value: "yellow",
    DatabaseState.STARTING.value: "yellow",
    DatabaseState.UNAVAILABLE.value: "bold red",
    InstanceState.FAILED.value: "bold red",
    DatabaseState.UNKNOWN.value: "bold red",
    DatabaseState.STOPPED.value: "dim",
    ABSENT: "dim",
}


@click.command()
@click.argument("target", metavar="[ENVIRONMENT|DATABASE]", required=False)
@click.option("--watch", is_flag=True, help="Look again each second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@fleet_option
@pass_surroundings
def status(
    surroundings: Surroundings, fleet: Fleet, *, target: str | None, watch: bool, as_json: bool
) -> None:
    """Show what runs where.

    Everything, one environment, or one database with all of its instances. Exits with 3 where
    something cannot be seen.
    """
    engines = surroundings.open_engines(fleet)
    autopilot = surroundings.autopilot(fleet.name)

    def look() -> Look:
        return asyncio.run(_look(fleet, engines, autopilot, target, surroundings.now().timestamp()))

    if watch:
        _watch(look, target, as_json=as_json)
        return
    found = look()
    _print(found, target, as_json=as_json)
    unseen = [sight for sight in found.sights if not sight.is_seen]
    if unseen:
        rest = f" and {len(unseen) - 1} more" if len(unseen) > 1 else ""
        raise TryLater(f"{unseen[0].id}{rest} cannot be seen: {unseen[0].detail}")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: the databases, what is to be said of their places, and the autopilot.

    `at` is in seconds since 1970.
    """

    sights: tuple[Sight, ...]
    notes: tuple[str, ...]
    autopilot: State | None
    at: float


async def _look(
    fleet: Fleet,
    engines: Mapping[str, Engine],
    autopilot: Autopilot,
    target: str | None,
    at: float,
) -> Look:
    seen = await Lookout(engines).look_everywhere()
    require_known(fleet, seen, (target,) if target else ())
    found = (s for s in sights(fleet, seen) if target in (None, str(s.id), s.id.environment))
    return Look(tuple(found), tuple(notes(seen)), autopilot.state(), at)


def _print(found: Look, target: str | None, *, as_json: bool) -> None:
    if as_json:
        say_json(_json(found))
        return
    say(autopilot_text(found.autopilot, found.at))
    say()
    for index, (table, lines) in enumerate(status_tables(found.sights, target)):
        if index:
            say()
        print_table(table, _style)
        for line in lines:
            say(line)
    for note in found.notes:
        say(note)


def _json(found: Look) -> dict[str, Any]:
    return {
        "autopilot": autopilot_json(found.autopilot),
        **sights_json(found.sights),
        "notes": list(found.notes),
    }


def _watch(look: Callable[[], Look], target: str | None, *, as_json: bool) -> None:
    try:
        if sys.stdout.isatty() and not as_json:
            _watch_screen(look, target)
        else:
            _watch_lines(look, target, as_json=as_json)
    except KeyboardInterrupt:
        return


def _watch_lines(look: Callable[[], Look], target: str | None, *, as_json: bool) -> None:
    while True:
        found = look()
        if as_json:
            say_json(_json(found), indent=None)
        else:
            _print(found, target, as_json=False)
            say()
        time.sleep(_WATCH_SECONDS)


def _watch_screen(look: Callable[[], Look], target: str | None) -> None:
    from rich.console import Console, Group
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            found = look()
            live.update(Group(*_screen(found, target, console)), refresh=True)
            time.sleep(_WATCH_SECONDS)


def _screen(found: Look, target: str | None, console: Console) -> Iterator[RenderableType]:
    yield styled(autopilot_text(found.autopilot, found.at))
    yield styled()
    for table, lines in status_tables(found.sights, target):
        yield from drawn(table, console, _style)
        yield from (styled(line) for line in lines)
        yield styled()
    yield from (styled(note) for note in found.notes)


def _style(cell: str) -> str:
    """The colour of a cell that is a state; none for any other."""
    return _STYLES.get(cell, "")
