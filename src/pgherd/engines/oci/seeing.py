"""Looking at all of a fleet's databases on OCI with as few calls as there can be.

One list of compartments for each parent, one of systems and one of instances for each
compartment, and one get for each database; one more for who is the primary, where that is asked.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pgherd.contract.observed import Observation, ObservedDatabase, Unknown
from pgherd.engines.oci import observation, poolers
from pgherd.engines.oci.blueprint import Kind, pooler_addresses
from pgherd.engines.oci.refusals import NotFound
from pgherd.engines.oci.routes import Routes
from pgherd.engines.oci.site import Site
from pgherd.engines.oci.tenancy import Held, Move, Tenancy, moves
from pgherd.engines.oci.waiting import together
from pgherd.errors import TryLater
from pgherd.fleet.desired import DatabaseId

GLANCE_SECONDS = 5.0
"""For so long the look after a glance goes by its lists; it follows at once or not at all."""


@dataclass(frozen=True, slots=True)
class _View:
    """One environment in one region."""

    environment: str
    databases: Mapping[DatabaseId, ObservedDatabase | Unknown]
    is_stopped: bool
    trouble: str


@dataclass(frozen=True, slots=True)
class _Glance:
    """Which environments and systems there were at one moment of the monotonic clock."""

    at: float
    held: list[Held]
    summaries: Mapping[Site, list[Any]]


class Eye:
    """Looks, and keeps the lists of a glance for the look that follows at once."""

    def __init__(self, tenancy: Tenancy, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._tenancy = tenancy
        self._monotonic = monotonic
        self._glance: _Glance | None = None

    async def glance(self) -> dict[DatabaseId, str]:
        """Which databases are there, with the name of each one's shape."""
        at = self._monotonic()
        held = await self._tenancy.held()
        sites = [site for one in held for site in self._tenancy.sites(one)]
        lists = await together(*(site.systems.live() for site in sites))
        self._glance = _Glance(at, held, dict(zip(sites, lists, strict=True)))
        return {
            id: str(summary.shape)
            for site, summaries in self._glance.summaries.items()
            for summary in summaries
            if (id := site.systems.owner.database(summary)) is not None
        }

    def forget(self) -> None:
        """Something is about to change: the next look is a whole one."""
        self._glance = None

    def _fresh(self) -> _Glance | None:
        """The last glance, once, while it is not old."""
        glance, self._glance = self._glance, None
        is_fresh = glance is not None and self._monotonic() - glance.at <= GLANCE_SECONDS
        return glance if is_fresh else None

    async def look(self, *, roles: bool) -> Observation:
        """Everything that carries the fleet's tags."""
        glance = self._fresh()
        held = glance.held if glance else await self._tenancy.held()
        kept = glance.summaries if glance else {}
        views = await together(
            *(
                self._view(one, site, kept.get(site), roles=roles)
                for one in held
                for site in self._tenancy.sites(one)
            )
        )
        databases: dict[DatabaseId, ObservedDatabase | Unknown] = {}
        for view in views:
            for id, seen in view.databases.items():
                databases[id] = Unknown("it is in two regions") if id in databases else seen
        running = {view.environment for view in views if not view.is_stopped}
        return Observation(
            frozenset(one.name for one in held),
            databases,
            {v.environment: v.trouble for v in views if v.trouble and v.environment in running},
            frozenset(one.name for one in held) - running,
        )

    async def _view(self, held: Held, site: Site, kept: list[Any] | None, *, roles: bool) -> _View:
        site.estate.forget(Kind.INSTANCE)
        summaries, instances = await together(_kept_or(site, kept), poolers.found(site.estate))
        told = await poolers.told(site.estate)
        by_id: dict[DatabaseId, list[Any]] = defaultdict(list)
        for summary in summaries:
            id = site.systems.owner.database(summary)
            if id is not None:
                by_id[id].append(summary)
        own = site.cloud.region == held.regions[0]
        looks = await together(
            *(_database(site, id, found, told, roles=roles, own=own) for id, found in by_id.items())
        )
        states = [i.lifecycle_state for i in instances]
        return _View(
            held.name,
            {id: seen for id, seen in zip(by_id, looks, strict=True) if seen is not None},
            is_stopped=set(states) == {"STOPPED"},
            trouble=self._moved(held, told) or _trouble(states, self._poolers_wanted(held), told),
        )

    def _moved(self, held: Held, told: Sequence[Routes | None]) -> str:
        """Where the fleet file says another place than that where it is, which ones."""
        environment = self._tenancy.environments.get(held.name)
        if environment is None:
            return ""
        found = list(moves(environment, held.compartment_name, held.regions[0]))
        networks = " and ".join(sorted({r.network for r in told if r is not None}))
        if networks and networks != str(environment.network):
            found.append(Move("network", networks, str(environment.network)))
        for move in found:
            return f"its {move.what} is {move.now} and the fleet file says {move.wanted}"
        return ""

    def _poolers_wanted(self, held: Held) -> int:
        """How many there should be, as far as the fleet file says."""
        environment = self._tenancy.environments.get(held.name)
        return len(pooler_addresses(environment)) if environment else 1


async def _kept_or(site: Site, kept: list[Any] | None) -> list[Any]:
    return await site.systems.live() if kept is None else kept


async def _database(
    site: Site,
    id: DatabaseId,
    found: list[Any],
    told: Sequence[Routes | None],
    *,
    roles: bool,
    own: bool,
) -> ObservedDatabase | Unknown | None:
    if len(found) > 1:
        return Unknown(f"{len(found)} systems on oci carry its tags")
    try:
        system = (await site.systems.get(found[0].id)).data
        if not site.systems.is_live(system):
            return None
        several = len(system.instances or ()) > 1
        is_up = system.lifecycle_state in ("ACTIVE", "UPDATING")
        primary = await site.systems.primary(system.id) if roles and several and is_up else None
    except NotFound:
        return None
    except TryLater as error:
        return Unknown(error.message)
    is_routed = bool(told) and all(r is not None and r.leads_to(id, system.id) for r in told)
    seen = observation.database(id, system, primary, is_routed=is_routed)
    if own:
        return seen
    # Restored there: its copies go elsewhere than the fleet file says, which is right.
    settings = {k: v for k, v in seen.settings.items() if k != observation.COPIES}
    return replace(seen, settings=settings)


def _trouble(states: Sequence[str], wanted: int, told: Sequence[Routes | None]) -> str:
    """Why the poolers of an environment need a hand, empty where they do not."""
    if len(states) < wanted:
        return f"{len(states)} of {wanted} poolers are there"
    if ill := [state for state in states if state != "RUNNING"]:
        return f"a pooler is {ill[0]}"
    if None in told:
        return "a pooler knows nothing"
    now = datetime.now(UTC)
    if any(r and r.certificate_due and now > r.certificate_due for r in told):
        return "its poolers' certificate is to be renewed"
    return ""
