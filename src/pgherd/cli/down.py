"""`pgherd down`: databases stop, with all of their data kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.incomplete import ensure_complete
from pgherd.cli.output import say
from pgherd.cli.progress import progress
from pgherd.cli.surroundings import Surroundings, pass_surroundings, wait_option
from pgherd.cli.targets import require_known
from pgherd.contract.engine import Engine
from pgherd.control.clock import Clock
from pgherd.control.lookout import Lookout
from pgherd.control.outcome import Outcome
from pgherd.control.signals import run
from pgherd.control.stop import stop
from pgherd.decide.actions import Action, StopDatabase
from pgherd.fleet.desired import Fleet
from pgherd.report.words import duration
from pgherd.units import number


@click.command()
@click.argument("targets", metavar="[ENVIRONMENT|DATABASE]...", nargs=-1)
@wait_option
@fleet_option
@pass_surroundings
def down(surroundings: Surroundings, fleet: Fleet, *, targets: tuple[str, ...], wait: bool) -> None:
    """Stop databases, keeping all data.

    Everything, or what is named. pgherd up brings it back.
    """
    clock = surroundings.clock()
    began = clock.now()
    engines = surroundings.open_engines(fleet)
    with surroundings.lock(fleet, "down", wait=wait):
        if not targets:
            surroundings.autopilot(fleet.name).end()
        outcome = run(_down(fleet, engines, targets, clock))
    say(_ending(outcome, clock.now() - began))
    ensure_complete(outcome)


async def _down(
    fleet: Fleet, engines: Mapping[str, Engine], targets: tuple[str, ...], clock: Clock
) -> Outcome:
    require_known(fleet, await Lookout(engines).look_everywhere() if targets else {}, targets)
    with progress(clock, {}) as on_event:
        return await stop(engines, targets=targets, on_event=on_event, clock=clock)


def _ending(outcome: Outcome, seconds: float) -> str:
    if outcome.is_complete and not outcome.done:
        return "nothing to do: nothing runs"
    stopped = count_of(outcome.done, StopDatabase)
    return f"{number(stopped, 'database')} stopped in {duration(seconds)}, all data kept"


def count_of(done: Iterable[Action], kind: type[Action]) -> int:
    """How many subjects had an action of that kind."""
    return len({action for action in done if isinstance(action, kind)})
