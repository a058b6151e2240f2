"""Where a fleet's environments are: which compartments hold them, and a site for each region.

Found by tags each time, since nothing is written down anywhere else. What a site has learnt of
its environment (OCIDs) is kept while this process lives.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pgherd.engines.oci import compartments, shapes
from pgherd.engines.oci.blueprint import Kind
from pgherd.engines.oci.clients import Clients
from pgherd.engines.oci.names import BORN, DESTROYED, ENVIRONMENT, FLEET, REGIONS, Owner
from pgherd.engines.oci.regions import home as home_region
from pgherd.engines.oci.sdk import THREADS, Cloud, Sleep
from pgherd.engines.oci.section import OCI
from pgherd.engines.oci.shapes import Shape
from pgherd.engines.oci.site import Site
from pgherd.engines.oci.values import OciValues
from pgherd.engines.oci.waiting import together
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import DatabaseId, Environment


@dataclass(frozen=True, slots=True)
class Held:
    """A compartment that holds one of the fleet's environments. The first region is its own."""

    owner: Owner
    profile: str
    compartment: str
    compartment_name: str
    regions: tuple[str, ...]

    @property
    def name(self) -> str:
        """The environment's."""
        return self.owner.environment


class Tenancy:
    """All that a fleet has on OCI."""

    def __init__(
        self, fleet: str, environments: Collection[Environment], root: Path, sleep: Sleep
    ) -> None:
        self.fleet = fleet
        self.root = root
        self.environments = {e.name: e for e in environments}
        for environment in self.environments.values():
            _require_settings(environment)
        self._sleep = sleep
        self._threads = ThreadPoolExecutor(THREADS, "oci")
        self._clouds: dict[tuple[str, str], Cloud] = {}
        self._sites: dict[tuple[str, str], Site] = {}
        self._shapes: dict[Cloud, tuple[Shape, ...]] = {}
        self._ready: set[str] = set()
        self._opening: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # Regions

    def cloud(self, profile: str, region: str) -> Cloud:
        """A region, seen with a profile."""
        if (profile, region) not in self._clouds:
            self._clouds[profile, region] = Cloud(profile, region, self._threads, sleep=self._sleep)
        return self._clouds[profile, region]

    def cloud_of(self, environment: Environment) -> Cloud:
        """The region of an environment."""
        oci = environment.values_of(OciValues)
        return self.cloud(oci.profile, oci.region or "")

    async def home(self, profile: str, cloud: Cloud) -> Cloud:
        """The tenancy's home region, where compartments are changed."""
        return self.cloud(profile, await home_region(cloud))

    async def shapes(self, cloud: Cloud) -> tuple[Shape, ...]:
        """What a region has for databases; asked once."""
        if cloud not in self._shapes:
            found = await cloud.all("psql", "list_shapes", compartment_id=cloud.tenancy)
            self._shapes[cloud] = shapes.read(found)
        return self._shapes[cloud]

    # Environments

    async def held(self) -> list[Held]:
        """All environments of the fleet that exist, those that left the fleet file too."""
        clouds = [(self.cloud_of(e), e) for e in self.environments.values()]
        places = {(cloud.profile, cloud.parent(e)): cloud for cloud, e in clouds}
        found = await together(
            *(compartments.below(cloud, parent) for (_, parent), cloud in places.items())
        )
        return [
            Held(owner, profile, compartment.id, compartment.name, regions)
            for (profile, _), below in zip(places, found, strict=True)
            for compartment in below
            for owner, regions in self._ownership(compartment)
        ]

    def _ownership(self, compartment: Any) -> Iterator[tuple[Owner, tuple[str, ...]]]:
        tags = compartment.freeform_tags or {}
        regions = _regions(compartment)
        is_ours = tags.get(FLEET) == self.fleet and ENVIRONMENT in tags and regions
        if is_ours and compartments.in_use(compartment):
            yield Owner(self.fleet, tags[ENVIRONMENT], tags.get(BORN, "")), regions

    async def holding(self, environment: str) -> Held:
        """The compartment of an environment; InputError where there is none."""
        found = [held for held in await self.held() if held.name == environment]
        if len(found) > 1:
            names = " and ".join(held.compartment_name for held in found)
            raise NeedsHuman(
                f"{environment} is in compartments {names}",
                f"take the tag {ENVIRONMENT} from the one that is not its own",
            )
        if not found:
            raise InputError(f"{environment} does not exist on oci", "run `pgherd up`")
        return found[0]

    def known(self, environment: str) -> Environment:
        """As the fleet file has it; InputError where it has it not."""
        if environment not in self.environments:
            raise InputError(f"{environment} is not in the fleet file", "write it there again")
        return self.environments[environment]

    async def ensure(self, environment: Environment) -> None:
        """Its compartment is there, and everything in it that databases need."""
        async with self._opening[environment.name]:
            held = await self._claim(environment)
            own, *others = self.sites(held)
            await own.ensure(environment)
            for site in others:
                await site.ensure(in_region(environment, site.cloud.region), like=own)
            self._ready.add(environment.name)

    async def _claim(self, environment: Environment) -> Held:
        """The compartment of an environment, made where there is none."""
        owner = Owner(self.fleet, environment.name)
        cloud = self.cloud_of(environment)
        seen = await compartments.below(cloud, cloud.parent(environment))
        regions: tuple[str, ...] = (cloud.region,)
        for compartment in seen:
            if not owner.owns(compartment):
                continue
            if compartments.in_use(compartment):
                owner = replace(owner, born=compartment.freeform_tags.get(BORN, ""))
                regions = _regions(compartment) or regions
                _require_same_place(environment, compartment.name, regions[0])
            elif compartment.name == environment.compartment:
                # The same however often this is tried.
                owner = replace(owner, born=compartment.freeform_tags[DESTROYED])
        profile = environment.values_of(OciValues).profile
        home = await self.home(profile, cloud)
        ocid = await compartments.ensure(home, environment, owner, seen, regions)
        return Held(owner, profile, ocid, environment.compartment, regions)

    async def open(self, environment: Environment) -> Site:
        """The site of an environment that is complete. TryLater where it is not."""
        try:
            held = await self.holding(environment.name)
        except InputError:
            raise TryLater(f"environment {environment.name} does not exist yet") from None
        _require_same_place(environment, held.compartment_name, held.regions[0])
        site = self.own(held)
        async with self._opening[environment.name]:
            if environment.name not in self._ready:
                for kind in Kind:
                    site.estate.forget(kind)
                await site.look_up(environment)
                self._ready.add(environment.name)
        return site

    def distrust(self, environment: str) -> None:
        """What is known of an environment does not hold any more."""
        self._ready.discard(environment)

    def forget(self, held: Held) -> None:
        """An environment is gone."""
        self.distrust(held.name)
        for region in held.regions:
            self._sites.pop((held.compartment, region), None)

    # Sites

    def site(self, held: Held, region: str) -> Site:
        """What an environment has in a region."""
        key = (held.compartment, region)
        if key not in self._sites:
            cloud = self.cloud(held.profile, region)
            clients = Clients(held.name, self.root / held.name)
            self._sites[key] = Site(cloud, held.owner, held.compartment, clients)
        return self._sites[key]

    def sites(self, held: Held) -> list[Site]:
        """All of an environment's, its own region's first."""
        return [self.site(held, region) for region in held.regions]

    def own(self, held: Held) -> Site:
        """What it has in its own region."""
        return self.site(held, held.regions[0])

    async def search(self, id: DatabaseId) -> tuple[Site, Any] | None:
        """The site of a database, and the summary of its system; None where it is nowhere."""
        found = [
            (site, system)
            for held in await self.held()
            for site in (self.sites(held) if held.name == id.environment else ())
            if (system := await site.systems.find(id)) is not None
        ]
        if len(found) > 1:
            regions = " and ".join(site.cloud.region for site, _ in found)
            raise NeedsHuman(f"{id} is in {regions}", "delete one of them in the console")
        return found[0] if found else None

    async def find(self, id: DatabaseId) -> tuple[Site, Any]:
        """The same; InputError where it is nowhere."""
        if (found := await self.search(id)) is None:
            raise InputError(f"{id} does not exist on oci", "run `pgherd up`")
        return found


def _regions(compartment: Any) -> tuple[str, ...]:
    return tuple((compartment.freeform_tags or {}).get(REGIONS, "").split())


def in_region(environment: Environment, region: str) -> Environment:
    """As it is in another region than its own: nothing there is the user's."""
    oci = replace(environment.values_of(OciValues), region=region, vcn=None, vault=None, key=None)
    return environment.with_values(OCI.engine, oci)


@dataclass(frozen=True, slots=True)
class Move:
    """A place where an environment is, and another one that the fleet file says."""

    what: str
    now: str
    wanted: str | None


def moves(environment: Environment, compartment: str, region: str) -> Iterator[Move]:
    """Where the fleet file says another place than that where it is."""
    if compartment != environment.compartment:
        yield Move("compartment", compartment, environment.compartment)
    wanted = environment.values_of(OciValues).region
    if region != wanted:
        yield Move("region", region, wanted)


def _require_same_place(environment: Environment, compartment: str, region: str) -> None:
    """InputError where an environment would be moved."""
    for move in moves(environment, compartment, region):
        raise InputError(
            f"{environment.name} is in {move.what} {move.now} and the fleet file says "
            f"{move.wanted}: pgherd does not move environments",
            f"write {move.what}: {move.now}, or destroy it first",
        )


def _require_settings(environment: Environment) -> None:
    """InputError where the fleet file does not say where on OCI an environment is."""
    if environment.values_of(OciValues).region is None:
        raise InputError(
            f"{environment.name} is on engine oci and has no region",
            "write oci: {region: us-ashburn-1}",
        )
