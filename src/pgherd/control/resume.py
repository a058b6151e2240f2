"""After a reboot: what was to run is brought back, once, and all else is left as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pgherd.contract.engine import Engine
from pgherd.contract.observed import Unknown
from pgherd.control.clock import Clock, Patience
from pgherd.control.lookout import Lookout
from pgherd.control.outcome import Outcome
from pgherd.control.up import converge
from pgherd.decide.plan import Unseen
from pgherd.decide.resumption import resumed
from pgherd.fleet.desired import Fleet


async def resume(
    fleet: Fleet,
    engines: Mapping[str, Engine],
    *,
    clock: Clock | None = None,
    patience: Patience | None = None,
) -> Outcome:
    """Bring back what nobody has stopped or destroyed, as the fleet wants it, without migrations.

    An engine that sees nothing is not waited for; it is among what is `unknown` in the outcome.
    """
    seen = await Lookout(engines, roles=False).look_everywhere()
    unseen = tuple(Unseen(n, s.reason) for n, s in seen.items() if isinstance(s, Unknown))
    wanted = resumed(fleet, seen)
    names = {environment.engine for environment in wanted.environments}
    if not names:
        return Outcome(unknown=unseen, seen=seen)
    used = {name: engine for name, engine in engines.items() if name in names}
    outcome = await converge(wanted, used, clock=clock, patience=patience)
    subjects = {e.name for e in wanted.environments} | {str(d.id) for d in wanted.databases}
    # What was left out is refused as if it had left the fleet file.
    return replace(
        outcome,
        refused=tuple(r for r in outcome.refused if r.subject in subjects),
        unknown=(*unseen, *outcome.unknown),
        seen={**seen, **outcome.seen},
    )
