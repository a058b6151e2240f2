"""`up`: the world is made to match the fleet file, and what it would take (`plan`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from pgherd.contract.engine import Engine
from pgherd.contract.observed import Observations
from pgherd.control.act import Actor, Migrations
from pgherd.control.clock import Clock, Patience, SystemClock
from pgherd.control.events import OnEvent, ignore
from pgherd.control.lookout import Lookout
from pgherd.control.loop import loop
from pgherd.control.outcome import Outcome, Trouble
from pgherd.control.wishes import wishes
from pgherd.decide.plan import Plan, plan
from pgherd.decide.wish import Wishes
from pgherd.fleet.desired import DatabaseId, Fleet


async def converge(
    fleet: Fleet,
    engines: Mapping[str, Engine],
    *,
    allow_destroy: Collection[str] = (),
    migrations: Migrations | None = None,
    on_event: OnEvent = ignore,
    clock: Clock | None = None,
    patience: Patience | None = None,
) -> Outcome:
    """Act until the world is as the fleet file wants it, as far as that is possible.

    Trouble with one database never stops the others: it is in the outcome. Raises InputError
    where an environment names an engine that is not among `engines`.
    """
    wanted = Wishes(fleet.environments, await wishes(fleet.databases, engines, migrations))

    def decide(observations: Observations) -> Plan:
        return plan(wanted, observations, allow_destroy=allow_destroy)

    outcome = await loop(
        engines,
        Actor(wanted, migrations),
        decide,
        on_event=on_event,
        clock=clock or SystemClock(),
        patience=patience or Patience(),
    )
    return replace(outcome, troubles=(*outcome.troubles, *_troubles(wanted)))


@dataclass(frozen=True, slots=True)
class Preview:
    """What `converge` would do now, and what it was decided from."""

    plan: Plan
    seen: Observations
    wishes: Wishes

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """The databases whose migrations cannot be read."""
        return tuple(_troubles(self.wishes))

    @property
    def concessions(self) -> tuple[tuple[DatabaseId, str], ...]:
        """Where less is made than the fleet file asks for, as it accepts."""
        return tuple((w.id, text) for w in self.wishes.databases for text in w.concessions)


async def preview(
    fleet: Fleet,
    engines: Mapping[str, Engine],
    *,
    allow_destroy: Collection[str] = (),
    migrations: Migrations | None = None,
) -> Preview:
    """What `converge` would do now."""
    wanted = Wishes(fleet.environments, await wishes(fleet.databases, engines, migrations))
    seen = await Lookout(engines, roles=False).look_everywhere()
    return Preview(plan(wanted, seen, allow_destroy=allow_destroy), seen, wanted)


def _troubles(wanted: Wishes) -> Iterator[Trouble]:
    for wish in wanted.databases:
        if wish.migration_error is not None:
            yield Trouble(str(wish.id), wish.migration_error)
