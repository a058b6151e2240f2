"""`pgherd metrics`: what is known of a fleet now, as Prometheus reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import click

from pgherd.cli.fleet_option import fleet_option
from pgherd.cli.output import say_lines
from pgherd.cli.surroundings import Surroundings, pass_surroundings
from pgherd.contract.engine import Engine
from pgherd.contract.meter import DatabaseCounters
from pgherd.control.lookout import Lookout
from pgherd.errors import PgherdError, TryLater
from pgherd.fleet.desired import DatabaseId, Fleet
from pgherd.metrics.families import document
from pgherd.metrics.picture import OfAutopilot, Picture

SINCE = timedelta(minutes=5)


@click.command()
@fleet_option
@pass_surroundings
def metrics(surroundings: Surroundings, fleet: Fleet) -> None:
    """Print metrics of the fleet once, in Prometheus' text format.

    The autopilot serves the same over HTTP, where the fleet file says under monitoring. What
    servers say of themselves is known while it runs. What is unknown is left out.
    """
    say_lines(document(asyncio.run(_picture(surroundings, fleet))))


async def _picture(surroundings: Surroundings, fleet: Fleet) -> Picture:
    engines = surroundings.open_engines(fleet)
    measured = await asyncio.gather(*(_counters(engine) for engine in engines.values()))
    return Picture(
        fleet,
        _autopilot(surroundings, fleet),
        await Lookout(engines).look_everywhere(),
        {id: counters for found in measured for id, counters in found.items()},
    )


async def _counters(engine: Engine) -> Mapping[DatabaseId, DatabaseCounters]:
    """Of one engine; nothing where it has no meter, or that does not answer."""
    if engine.meter is None:
        return {}
    try:
        await engine.meter.usage(SINCE)
    except PgherdError:
        return {}
    return engine.meter.counters()


def _autopilot(surroundings: Surroundings, fleet: Fleet) -> OfAutopilot:
    from pgherd.autopilot.reading import Wanted

    state = surroundings.autopilot(fleet.name).state()
    try:
        resizes = surroundings.told(fleet.name).read(Wanted(limit=1)).resizes
    except TryLater:
        resizes = None
    if state is None:
        return OfAutopilot(is_up=False, resizes=resizes)
    return OfAutopilot(state.controller is not None, state.last_round_at, state.alerts, resizes)
