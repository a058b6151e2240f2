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
from pgherd.cli.sparklines import screen_marks
from pgherd.cli.states import style_of
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.cli.tables import console_width, drawn, fits, print_table
from pgherd.cli.targets import require_known
from pgherd.contract.engine import Engine
from pgherd.control.lookout import Lookout
from pgherd.errors import TryLater
from pgherd.fleet.desired import Fleet
from pgherd.fleet.summary import Table
from pgherd.report.autopilot import autopilot_json, autopilot_text, history_text
from pgherd.report.sparkline import sparkline
from pgherd.report.status import Sight, notes, sights, sights_json
from pgherd.report.status_tables import status_tables

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from pgherd.autopilot.client import Autopilot
    from pgherd.autopilot.questions import State

_WATCH_SECONDS = 1.0


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
    state = autopilot.state()
    every = sights(fleet, seen, state.unprotected if state else None)
    found = (s for s in every if target in (None, str(s.id), s.id.environment))
    return Look(tuple(found), tuple(notes(seen)), state, at)


def _print(found: Look, target: str | None, *, as_json: bool) -> None:
    if as_json:
        say_json(_json(found))
        return
    for line in _head(found):
        say(line)
    say()
    for index, (table, lines) in enumerate(_tables(found, target, console_width())):
        if index:
            say()
        print_table(table, style_of)
        for line in lines:
            say(line)
    for note in found.notes:
        say(note)


def _head(found: Look) -> Iterator[str]:
    yield autopilot_text(found.autopilot, found.at)
    if (lack := history_text(found.autopilot)) is not None:
        yield lack


def _tables(found: Look, target: str | None, width: int) -> Iterator[tuple[Table, tuple[str, ...]]]:
    """On a terminal with the CPU of the last minutes, where there is room for it."""
    plain = status_tables(found.sights, target)
    cpu = found.autopilot.cpu if found.autopilot else {}
    if not cpu or not sys.stdout.isatty():
        yield from plain
        return
    marks = screen_marks()
    lines = {id: sparkline(values, marks, highest=100.0) for id, values in cpu.items()}
    full = status_tables(found.sights, target, lines)
    for without, with_lines in zip(plain, full, strict=True):
        yield with_lines if fits(with_lines[0], width) else without


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
    yield from (styled(line) for line in _head(found))
    yield styled()
    for table, lines in _tables(found, target, console.width):
        yield from drawn(table, console, style_of)
        yield from (styled(line) for line in lines)
        yield styled()
    yield from (styled(note) for note in found.notes)
