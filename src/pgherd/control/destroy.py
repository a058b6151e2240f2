"""`destroy`: databases and environments are deleted, data and all.

Only backups that their engine keeps can bring them back.

What has deletion protection is refused unless it is named in `allow_destroy`, and where
anything is refused nothing is deleted.
"""

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
from pgherd.decide.removal import destroy_plan
from pgherd.decide.wish import Wishes
from pgherd.fleet.desired import Fleet


async def destroy(
    fleet: Fleet,
    engines: Mapping[str, Engine],
    *,
    targets: Collection[str] = (),
    allow_destroy: Collection[str] = (),
    on_event: OnEvent = ignore,
    clock: Clock | None = None,
    patience: Patience | None = None,
) -> Outcome:
    """Delete these environments and databases (`production`, `production/auth`), or all.

    Whoever calls has asked the user; protection does not rely on that.
    """

    def decide(observations: Observations) -> Plan:
        return destroy_plan(fleet, observations, targets, allow_destroy)

    return await loop(
        engines,
        Actor(Wishes(), None),
        decide,
        on_event=on_event,
        clock=clock or SystemClock(),
        patience=patience or Patience(),
    )
