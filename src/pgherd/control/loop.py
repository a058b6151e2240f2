"""The loop: look, decide, act, until nothing is left to do. `up`, `down` and `destroy` are it.

Nothing is remembered about the world. A run that has nothing to do is one look at each
engine. It may be cancelled, or die, at any moment; the next run goes on from what it sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from pgherd.contract.engine import Engine
from pgherd.control.act import Actor
from pgherd.control.clock import Clock, Patience
from pgherd.control.effort import Effort
from pgherd.control.events import OnEvent, Planned
from pgherd.control.lookout import Lookout
from pgherd.control.outcome import Outcome, Trouble
from pgherd.control.work import Decide, Work
from pgherd.decide.plan import Plan, Unseen
from pgherd.errors import TryLater


async def loop(
    engines: Mapping[str, Engine],
    actor: Actor,
    decide: Decide,
    *,
    on_event: OnEvent,
    clock: Clock,
    patience: Patience,
) -> Outcome:
    """Act until the plan is empty, or only what is parked, refused or not seen is left."""
    lookout = Lookout(engines, roles=False)
    work = Work(engines, actor, decide, lookout, on_event, clock, patience)
    blind = Effort("the fleet", clock, patience, on_event)
    with blind:
        while True:
            plan = decide(await lookout.look_everywhere())
            left = _left_of(plan, work)
            on_event(Planned(left, clock.now()))
            if not left.is_empty:
                await _round(left, work)
            elif left.unknown:
                blind.start()
                blind.begin("look")
                await blind.recover(TryLater(_unseen(left.unknown)))
            else:
                break
    troubles = tuple(Trouble(subject, error) for subject, error in work.troubles.items())
    return Outcome(tuple(work.done), troubles, left.refused, left.unknown, lookout.latest)


def _left_of(plan: Plan, work: Work) -> Plan:
    parked = work.parked
    rest = plan.without(parked)
    # An environment for its own sake is ensured once: a running one is not told from one
    # that is said to be impaired for good.
    parts = (p for p in rest.environments if p.databases or not work.has_done(p.steps))
    unknown = (u for u in rest.unknown if u.subject not in parked)
    return replace(rest, environments=tuple(parts), unknown=tuple(unknown))


async def _round(plan: Plan, work: Work) -> None:
    async with asyncio.TaskGroup() as group:
        for rank, part in enumerate(plan.environments):
            group.create_task(work.on_environment(part, rank))


def _unseen(unknown: tuple[Unseen, ...]) -> str:
    return ", ".join(f"{u.subject} is not seen: {u.reason}" for u in unknown)
