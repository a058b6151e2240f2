"""Long work while it goes on: a calm display on a terminal, plain lines in a pipe.

On a terminal a block of fixed height is redrawn in place and gone at the end, when the
command prints what came of it. In a pipe each action is a line, once it is done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pgherd.cli.headway import Activity, Headway
from pgherd.cli.output import say, styled
from pgherd.control.clock import Clock
from pgherd.control.events import (
    Event,
    Finished,
    Late,
    OnEvent,
    Parked,
    Planned,
    Retrying,
    Started,
    Waiting,
)
from pgherd.decide.actions import EnsureEnvironment, subject, summary
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.report.words import duration, past

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN_ACTIVITIES = 6
_REDRAWS_PER_SECOND = 5


@contextmanager
def progress(clock: Clock, expected: Mapping[DatabaseId, int]) -> Iterator[OnEvent]:
    """Yields what to tell the events to. `expected` are the instances of each database."""
    if sys.stdout.isatty():
        with _live(clock, expected) as on_event:
            yield on_event
    else:
        yield _Lines().on_event


def expected_instances(fleet: Fleet) -> dict[DatabaseId, int]:
    """How many instances each database has at least once it is up."""
    return {d.id: 1 + d.replicas.min for d in fleet.databases}


class _Lines:
    """A line for each event that has one; an environment is ensured with every retry, told once."""

    def __init__(self) -> None:
        self._set_up = set[str]()

    def on_event(self, event: Event) -> None:
        """Print it."""
        if isinstance(event, Finished) and isinstance(event.action, EnsureEnvironment):
            if event.action.environment in self._set_up:
                return
            self._set_up.add(event.action.environment)
        if line := event_line(event):
            say(line)


def event_line(event: Event) -> str:
    """What happened, as in `production/auth: created (2.1 s)`; empty for what needs no line."""
    match event:
        case Planned() | Started():
            return ""
        case Finished(action=action, seconds=seconds):
            return f"{subject(action)}: {past(action)} ({duration(seconds)})"
        case Retrying(subject=name, error=error, delay=delay):
            return f"{name}: tries again in {duration(delay)}: {error.message}"
        case Parked(subject=name, error=error):
            return f"{name}: given up: {error.message}"
        case Late(subject=name, seconds=seconds):
            return f"{name}: not done after {duration(seconds)}, still at it"
        case Waiting(subject=name, why=why):
            return f"still waits for {name}: {why}"


@contextmanager
def _live(clock: Clock, expected: Mapping[DatabaseId, int]) -> Iterator[OnEvent]:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    headway = Headway(expected)
    began = clock.now()

    def on_event(event: Event) -> None:
        headway.on_event(event)
        if isinstance(event, Parked | Late):
            console.print(styled(event_line(event), "yellow"), soft_wrap=True)

    def draw() -> RenderableType:
        return drawing(headway, clock.now() - began, clock.now(), console.width)

    with Live(
        get_renderable=draw,
        console=console,
        refresh_per_second=_REDRAWS_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield on_event


def drawing(headway: Headway, elapsed: float, now: float, width: int) -> RenderableType:
    """The block: a line for each environment, what goes on longest, and the time."""
    from rich.console import Group

    return Group(
        styled(),
        _score_table(headway, width),
        styled(),
        *_activity_lines(headway, now, width),
        styled(f"  {duration(elapsed)}", "dim"),
    )


def _score_table(headway: Headway, width: int) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    bar_width = max(8, min(30, width - 60))
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(width=bar_width)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    for score in headway.scores():
        is_done = score.databases == score.of_databases
        grid.add_row(
            styled(f"  {score.environment}"),
            ProgressBar(
                total=score.of_databases,
                completed=score.databases,
                width=bar_width,
                complete_style="cyan",
                finished_style="green",
            ),
            styled(f"{score.databases}/{score.of_databases} databases", "green" if is_done else ""),
            styled(f"{score.instances}/{score.of_instances} instances", "dim"),
        )
    return grid


def _activity_lines(headway: Headway, now: float, width: int) -> Iterator[RenderableType]:
    activities = sorted(headway.activities.values(), key=lambda a: (a.since, a.subject))
    shown = activities[:_SHOWN_ACTIVITIES]
    for activity in shown:
        yield _activity_line(activity, now, width)
    for _ in range(_SHOWN_ACTIVITIES - len(shown)):
        yield styled()
    rest = len(activities) - len(shown)
    yield styled(f"  and {rest} more" if rest else "", "dim")


def _activity_line(activity: Activity, now: float, width: int) -> RenderableType:
    is_trouble = activity.action is None
    what = activity.trouble
    if activity.action is not None:
        what = activity.waits or summary(activity.action)
    time = duration(max(0.0, now - activity.since))
    line = styled(f"  {activity.subject:<24} ", "dim")
    line.no_wrap = True
    line.append_text(styled(what, "yellow" if is_trouble else "default not dim"))
    line.truncate(max(20, width - len(time) - 4), overflow="ellipsis", pad=True)
    line.append(f"  {time}")
    return line
