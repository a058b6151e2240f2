"""The local engine: the contract of `pgherd.contract`, kept on this machine.

It writes down what is wanted (manifests, configuration, certificates) and asks the agent to make
it so. Only the agent touches processes. What only changes need (cryptography, HTTP) is imported
where it is used, so that a look stays quick.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pgherd.contract.access import Access, AccessRole
from pgherd.contract.observed import Observation
from pgherd.contract.offers import Capability, Offer
from pgherd.engines.local import access, doctor, door, observation, offering, processes, rpc
from pgherd.engines.local.backup import moving, streams
from pgherd.engines.local.backup.backups import LocalBackups
from pgherd.engines.local.backup.proofs import LocalProofs
from pgherd.engines.local.backup.repository import silent_repositories
from pgherd.engines.local.backup.verifying import LocalVerifier
from pgherd.engines.local.databases import Databases
from pgherd.engines.local.environments import Certificates, Environments
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import (
    EnvironmentManifest,
    damaged_databases,
    read_databases,
    read_environments,
)
from pgherd.engines.local.meter import LocalMeter
from pgherd.engines.local.place import Place
from pgherd.engines.local.settings import SizeSettings
from pgherd.engines.local.values import LocalValues
from pgherd.errors import TryLater
from pgherd.fleet.desired import Database, DatabaseId, Durability, Environment, Pooling

AT_ONCE_PER_CPU = 8
"""Databases that are worked on; most of the time each of them waits for something."""


def utc_now() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


class LocalEngine:
    """Databases on this machine, with all of their state below `layout.root`."""

    name = "local"
    deadline: float | None = None

    def __init__(
        self,
        fleet: str,
        layout: Layout,
        concurrency: int | None = None,
        now: Callable[[], datetime] = utc_now,
        values: Mapping[str, LocalValues] | None = None,
    ) -> None:
        """`values` are what the fleet file says of its environments, as far as it does."""
        self.concurrency = concurrency or AT_ONCE_PER_CPU * (os.cpu_count() or 1)
        self.layout = layout
        self._values = values or {}
        self._place = Place(fleet, layout, now)
        self.certificates = Certificates(self._place)
        self.logs = access.Logs(self._place)
        self.reach = access.Reach(self._place)
        self._environments = Environments(self._place, self.certificates)
        self._databases = Databases(self._place)
        self.backups = LocalBackups(self._place, self._databases)
        self.proofs = LocalProofs(self._place, self.backups)
        self.verifier = LocalVerifier(self._place, self.backups)
        self.settings = SizeSettings(self._databases)
        self.meter = LocalMeter(self._place)

    async def capabilities(self) -> Sequence[Capability]:
        """What this machine can and cannot do."""
        return doctor.capabilities(self._place.layout)

    async def offers(self, databases: Collection[Database]) -> Sequence[Offer]:
        """New databases that this machine, its PostgreSQL or its paths have no room for."""
        return await offering.offers(self._place.layout, self._place.owner, databases)

    async def observe(self, *, roles: bool = True) -> Observation:
        """What the manifests want, and what runs of it."""
        place = self._place
        place.claim.require()
        wanted = observation.Wanted(
            tuple(read_environments(place.layout)),
            tuple(read_databases(place.layout)),
            tuple(damaged_databases(place.layout)),
        )
        seen, silent = await asyncio.gather(
            self._observe(wanted), silent_repositories(wanted.environments)
        )
        unkept = streams.unkept(place.layout, wanted.environments)
        impaired = {**self._otherwise(wanted.environments), **unkept, **silent, **seen.impaired}
        notes = tuple(place.quotas.notes(wanted.databases))
        return replace(seen, impaired=impaired, notes=notes)

    def _otherwise(self, manifests: Sequence[EnvironmentManifest]) -> dict[str, str]:
        """What `up` has to carry out of what the fleet file says of environments that run."""
        pairs = (
            (m, self._values[m.name]) for m in manifests if m.running and m.name in self._values
        )
        whys = ((m.name, moving.says_otherwise(m, v, self.layout)) for m, v in pairs)
        return {name: why for name, why in whys if why}

    async def _observe(self, wanted: observation.Wanted) -> Observation:
        place = self._place
        try:
            status = await place.agent.ask(door.Observe())
        except TryLater as error:
            running = processes.by_folder(place.owner.uid) if wanted.databases else {}
            why = observation.NO_AGENT if isinstance(error, rpc.NoAgent) else error.message
            return observation.without_agent(place.layout, wanted, running, why)
        return observation.with_agent(wanted, status, place.now())

    async def ensure_environment(self, environment: Environment) -> None:
        """Its authorities, certificates and etcd; the agent."""
        await self._environments.ensure(environment)

    async def ensure_environment_stopped(self, environment: str) -> None:
        """Its etcd does not run; nor does the agent when nothing else is wanted."""
        await self._environments.ensure_stopped(environment)

    async def ensure_environment_absent(self, environment: str) -> None:
        """Nothing of it is left: no etcd, no authority."""
        await self._environments.ensure_absent(environment)

    async def ensure_database(self, database: Database) -> None:
        """It exists and all of its instances run; made with its primary alone."""
        await self._databases.ensure(database)

    async def ensure_replicas(self, database: Database, count: int) -> None:
        """That many replicas stream."""
        await self._databases.ensure_replicas(database, count)

    async def ensure_ocpus(self, database: Database, ocpus: int) -> None:
        """PostgreSQL's settings follow the size, as far as they can without a restart."""
        await self._databases.ensure_ocpus(database, ocpus)

    async def ensure_durability(self, database: Database, durability: Durability) -> None:
        """Patroni's synchronous mode is on, or off."""
        await self._databases.ensure_durability(database, durability)

    async def ensure_restarted(self, id: DatabaseId, instance: str) -> None:
        """PostgreSQL of one instance was restarted, if its settings waited for it."""
        await self._databases.ensure_restarted(id, instance)

    async def ensure_stopped(self, id: DatabaseId) -> None:
        """Its processes are gone, its files kept."""
        await self._databases.ensure_stopped(id)

    async def ensure_absent(self, id: DatabaseId) -> None:
        """Its processes and all of its files are gone, its manifest last."""
        await self._databases.ensure_absent(id)

    async def switchover(self, id: DatabaseId, target: str | None = None) -> str:
        """Another instance leads; clients wait in the pooler meanwhile."""
        return await self._databases.switch_over(id, target, forced=False)

    async def failover(self, id: DatabaseId, target: str | None = None) -> str:
        """Another instance leads, whatever becomes of the old primary."""
        return await self._databases.switch_over(id, target, forced=True)

    async def access(
        self, id: DatabaseId, role: AccessRole, pooling: Pooling = Pooling.SESSION
    ) -> Access:
        """Through the pooler by certificate; the operator over the primary's Unix socket."""
        if role is AccessRole.OPERATOR:
            return await access.as_operator(self._place, id)
        return access.through_pooler(self._place, id, role, pooling)
