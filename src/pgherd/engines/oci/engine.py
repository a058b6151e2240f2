"""The engine for OCI: the contract of `pgherd.contract`, kept with the service's own means.

Nothing is remembered but client certificates: what exists is what OCI lists with pgherd's tags.
So a run that ended anywhere is gone on with by looking again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pgherd.contract.access import Access, AccessRole
from pgherd.contract.observed import Observation
from pgherd.contract.offers import Capability, Offer
from pgherd.engines.oci import compartments, limits, shapes
from pgherd.engines.oci.access import access_to
from pgherd.engines.oci.backups import OciBackups
from pgherd.engines.oci.certificates import OciCertificates
from pgherd.engines.oci.logs import OciLogs
from pgherd.engines.oci.making import ensure_absent, make, reach
from pgherd.engines.oci.offers import Place, offers, whereabouts
from pgherd.engines.oci.proofs import OciProofs
from pgherd.engines.oci.regions import domains, subscribed
from pgherd.engines.oci.sdk import Cloud, Sleep
from pgherd.engines.oci.seeing import Eye
from pgherd.engines.oci.settings import SystemSettings
from pgherd.engines.oci.site import Site
from pgherd.engines.oci.systems import require_running
from pgherd.engines.oci.tenancy import Tenancy
from pgherd.engines.oci.usage import OciMeter
from pgherd.engines.oci.waiting import together
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Durability, Environment, Pooling

CONCURRENCY = 4
"""Databases that are worked on at once: more makings in parallel and the service throttles."""


class OciEngine:
    """The databases of one fleet on OCI. `root` holds certificates of clients."""

    name = "oci"
    concurrency = CONCURRENCY
    deadline: float | None = 3600.0
    reach: None = None

    def __init__(
        self,
        fleet: str,
        environments: Collection[Environment],
        root: Path,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._tenancy = Tenancy(fleet, environments, root, sleep)
        self._eye = Eye(self._tenancy)
        self.backups = OciBackups(self._tenancy, self._eye)
        self.proofs = OciProofs(self._tenancy, self._eye)
        self.verifier: None = None
        self.certificates = OciCertificates(self._tenancy)
        self.logs = OciLogs(self._tenancy)
        self.meter = OciMeter(self._tenancy)
        self.settings = SystemSettings(self._tenancy)

    # Seeing

    async def capabilities(self) -> Sequence[Capability]:
        """What this tenancy, profile and region can do."""
        from pgherd.engines.oci.doctor import capabilities

        environments = tuple(self._tenancy.environments.values())
        return await capabilities(environments, self._tenancy.cloud)

    async def offers(self, databases: Collection[Database]) -> Sequence[Offer]:
        """Where shapes, domains, limits, storage or retention are less than is wanted."""
        if not databases:
            return []
        clouds = {
            whereabouts(d.environment): self._tenancy.cloud_of(d.environment) for d in databases
        }
        existing, places = await together(
            self._eye.glance(), together(*(self._place(cloud) for cloud in clouds.values()))
        )
        return list(offers(databases, dict(zip(clouds, places, strict=True)), existing))

    async def _place(self, cloud: Cloud) -> Place:
        regions = await subscribed(cloud)
        if cloud.region not in regions:
            raise InputError(
                f"the tenancy is not subscribed to {cloud.region}",
                f"write one of {', '.join(regions)}, or subscribe to it in the console",
            )
        found, names, left = await together(
            self._tenancy.shapes(cloud), domains(cloud), limits.systems_left(cloud)
        )
        return Place(found, names, left, cloud.tenancy, tuple(regions))

    async def observe(self, *, roles: bool = True) -> Observation:
        """Everything that carries the fleet's tags."""
        return await self._eye.look(roles=roles)

    # Environments

    async def ensure_environment(self, environment: Environment) -> None:
        """Compartment, network, vault, secrets and poolers."""
        await self._tenancy.ensure(environment)

    async def ensure_environment_stopped(self, environment: str) -> None:
        """Its poolers do not run; the rest costs next to nothing."""
        held = await self._tenancy.holding(environment)
        self._tenancy.distrust(environment)
        for site in self._tenancy.sites(held):
            for system in await site.systems.live():
                if system.lifecycle_state != "INACTIVE":
                    raise TryLater(f"{site.systems.owner.database(system)} still runs")
            await site.stop()

    async def ensure_environment_absent(self, environment: str) -> None:
        """Network and poolers are gone, vault and secrets soon; the compartment stays, empty."""
        for held in await self._tenancy.held():
            if held.name != environment:
                continue
            sites = self._tenancy.sites(held)
            for site in sites:
                if await site.systems.live():
                    raise InputError(f"{environment} still has databases", "destroy them first")
            for site in sites:
                await site.ensure_absent()
                site.clients.forget()
            home = await self._tenancy.home(held.profile, sites[0].cloud)
            await compartments.mark_empty(home, held.compartment, held.owner)
            self._tenancy.forget(held)

    # Databases

    async def ensure_database(self, database: Database) -> None:
        """Its system serves, and the poolers know where."""
        own = await self._tenancy.open(self._tenancy.known(database.id.environment))
        found = await self._tenancy.search(database.id)
        if found is not None and found[1].lifecycle_state == "DELETING":
            site, system = found
            await site.systems.delete(database.id, system.id)
            found = None
        if found is None:
            await make(self._tenancy, own, database)
        else:
            site, system = found
            await reach(site, database, system.id)

    async def ensure_replicas(self, database: Database, count: int) -> None:
        """Nodes are added and taken one by one; each shares the database's storage."""
        site, system = await self._tenancy.find(database.id)
        await site.systems.scale(database, system.id, 1 + count)

    async def ensure_ocpus(self, database: Database, ocpus: int) -> None:
        """All nodes get the size; the service restarts them as it must."""
        site, system = await self._tenancy.find(database.id)
        shape = shapes.of_name(await self._tenancy.shapes(site.cloud), system.shape)
        if shape is None:
            raise InputError(f"{site.cloud.region} does not have shape {system.shape} any more")
        if ocpus > shape.max_ocpus:
            raise InputError(
                f"{database.id} has shape {system.shape}, which ends at {shape.max_ocpus} OCPUs",
                "restore it to a new database, which gets a larger shape",
            )
        await site.systems.resize(database.id, system.id, ocpus, shape)
        await reach(site, database, system.id)

    async def ensure_durability(self, database: Database, durability: Durability) -> None:
        """Nothing to do: the storage has every commit several times before it is acknowledged."""
        await self._tenancy.find(database.id)

    async def ensure_restarted(self, id: DatabaseId, instance: str) -> None:
        """Nothing waits for a restart on OCI: the service restarts what has to be."""
        site, system = await self._tenancy.find(id)
        _named(id, await self._instances(site, system.id), instance)

    async def ensure_stopped(self, id: DatabaseId) -> None:
        """INACTIVE: nothing of it is billed but its storage."""
        site, system = await self._tenancy.find(id)
        await site.systems.stop(id, system.id)

    async def ensure_absent(self, id: DatabaseId) -> None:
        """Its system is deleted, and its poolers forget it."""
        await ensure_absent(self._tenancy, id)

    async def switchover(self, id: DatabaseId, target: str | None = None) -> str:
        """The service fails over to that instance; connections to the old primary end."""
        return await self._change_primary(id, target)

    async def failover(self, id: DatabaseId, target: str | None = None) -> str:
        """The same: the service knows one way."""
        return await self._change_primary(id, target)

    async def _change_primary(self, id: DatabaseId, target: str | None) -> str:
        site, summary = await self._tenancy.find(id)
        require_running(id, summary)
        instances = await self._instances(site, summary.id)
        primary = await site.systems.primary(summary.id)
        if target is not None:
            heir = _named(id, instances, target)
        else:
            others = [i for i in instances if i.id != primary and i.lifecycle_state == "ACTIVE"]
            if not others:
                raise InputError(f"{id} has no replica", "write replicas: 1 or more")
            heir = min(others, key=lambda i: str(i.display_name))
        if heir.id != primary:
            await site.systems.fail_over(id, summary.id, heir.id)
        return str(heir.display_name)

    async def _instances(self, site: Site, system: str) -> list[Any]:
        found = (await site.systems.get(system)).data
        return [i for i in found.instances or () if i.lifecycle_state != "DELETED"]

    # Access

    async def access(
        self, id: DatabaseId, role: AccessRole, pooling: Pooling = Pooling.SESSION
    ) -> Access:
        """Through the poolers, by certificate; the operator as the master user."""
        return await access_to(self._tenancy, id, role, pooling)


def _named(id: DatabaseId, instances: Sequence[Any], name: str) -> Any:
    """The instance of that name; InputError where there is none."""
    for instance in instances:
        if instance.display_name == name:
            return instance
    known = ", ".join(sorted(i.display_name for i in instances))
    raise InputError(f"{name!r} is not an instance of {id}", f"write one of {known}")
