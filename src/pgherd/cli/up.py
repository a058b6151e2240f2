"""`pgherd up`: the world is made to match the fleet file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import click

from pgherd.cli.fleet_option import command_line, fleet_option
from pgherd.cli.incomplete import ensure_complete
from pgherd.cli.output import say
from pgherd.cli.progress import expected_instances, progress
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.contract.engine import Engine
from pgherd.contract.observed import DatabaseState, Observation, ObservedDatabase
from pgherd.control.clock import Clock
from pgherd.control.events import Event, OnEvent, Planned
from pgherd.control.outcome import Outcome
from pgherd.control.signals import run
from pgherd.control.up import converge
from pgherd.decide.actions import summary
from pgherd.decide.plan import Plan
from pgherd.fleet.desired import Fleet
from pgherd.report.words import counted, duration
from pgherd.units import number

_SERVING = (DatabaseState.RUNNING, DatabaseState.DEGRADED)
_FEW_STEPS = 8


@click.command()
@click.option(
    "--yes-destroy",
    metavar="NAME",
    multiple=True,
    help="A database or environment that has left the fleet file and may be deleted, data and all.",
)
@click.option(
    "--autopilot/--no-autopilot",
    default=True,
    help="Whether the autopilot runs from then on.  [default: it does]",
)
@wait_option
@fleet_option
@pass_surroundings
def up(
    surroundings: Surroundings,
    fleet: Fleet,
    *,
    yes_destroy: tuple[str, ...],
    autopilot: bool,
    wait: bool,
) -> None:
    """Make the world match the fleet file.

    What is right already is left alone. May be interrupted and called again at any time.
    """
    clock = surroundings.clock()
    began = clock.now()
    engines = surroundings.open_engines(fleet)
    with surroundings.lock(fleet, "up", wait=wait):
        surroundings.history(fleet.name).record(fleet, surroundings.now(), surroundings.user())
        pilot = surroundings.autopilot(fleet.name)
        pilot.keep_variables(fleet, os.environ)
        if autopilot:
            pilot.begin()
        else:
            pilot.end()
        outcome = run(_up(surroundings, fleet, engines, yes_destroy, clock))
    say(ending(outcome, clock.now() - began))
    if autopilot:
        pilot.ensure_running()
    ensure_complete(outcome)
    for line in way_in(fleet):
        say(line)


async def _up(
    surroundings: Surroundings,
    fleet: Fleet,
    engines: Mapping[str, Engine],
    allow_destroy: tuple[str, ...],
    clock: Clock,
) -> Outcome:
    with progress(clock, expected_instances(fleet)) as on_event:
        return await converge(
            fleet,
            engines,
            allow_destroy=allow_destroy,
            migrations=surroundings.migrations(),
            on_event=announcing(on_event),
            clock=clock,
        )


def announcing(on_event: OnEvent) -> OnEvent:
    """The same, with the first plan printed before anything is done."""
    announced = False

    def tell(event: Event) -> None:
        nonlocal announced
        if isinstance(event, Planned) and not announced:
            announced = True
            for line in plan_lines(event.plan):
                say(line)
        on_event(event)

    return tell


def plan_lines(plan: Plan) -> list[str]:
    """What is going to be done: each step where they are few, else a line an environment."""
    steps = [
        f"{database.id}: {summary(step)}, since {step.reason}"
        for part in plan.environments
        for database in part.databases
        for step in database.steps
    ]
    if len(steps) <= _FEW_STEPS:
        return steps
    return [f"{part.name}: {counted(part.steps)}" for part in plan.environments]


def ending(outcome: Outcome, seconds: float) -> str:
    """As in: 30 databases run: 60 instances in 21.3 s."""
    found = [
        database
        for observation in outcome.seen.values()
        if isinstance(observation, Observation)
        for database in observation.databases.values()
        if isinstance(database, ObservedDatabase) and database.state in _SERVING
    ]
    databases = number(len(found), "database")
    instances = number(sum(i.serves for d in found for i in d.instances), "instance")
    verb = "runs" if len(found) == 1 else "run"
    text = f"{databases} {verb}: {instances}"
    if outcome.is_complete and not outcome.done:
        return f"nothing to do: {text} ({duration(seconds)})"
    return f"{text} in {duration(seconds)}"


def way_in(fleet: Fleet) -> Iterator[str]:
    """How to connect, with a database that is there."""
    if fleet.databases:
        id = str(fleet.databases[0].id)
        yield f"connect with  {command_line('connect', id)}"
        yield f'              psql "$({command_line("url", id)})"'
