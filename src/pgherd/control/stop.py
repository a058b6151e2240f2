"""`down`: databases stop, all at once, then what their environments share. Data is kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pgherd.contract.engine import Engine
from pgherd.contract.observed import Observations
from pgherd.control.act import Actor
from pgherd.control.clock import Clock, Patience, SystemClock
from pgherd.control.events import OnEvent, ignore
from pgherd.control.loop import loop
from pgherd.control.outcome import Outcome
from pgherd.decide.plan import Plan
from pgherd.decide.removal import stop_plan
from pgherd.decide.wish import Wishes


async def stop(
    engines: Mapping[str, Engine],
    *,
    targets: Collection[str] = (),
    on_event: OnEvent = ignore,
    clock: Clock | None = None,
    patience: Patience | None = None,
) -> Outcome:
    """Stop these environments and databases (`production`, `production/auth`), or all.

    What has left the fleet file and still runs is stopped too.
    """

    def decide(observations: Observations) -> Plan:
        return stop_plan(observations, targets)

    return await loop(
        engines,
        Actor(Wishes(), None),
        decide,
        on_event=on_event,
        clock=clock or SystemClock(),
        patience=patience or Patience(),
    )
