"""The in-memory engine itself: databases and environments, made and unmade in steps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from pgherd.contract.access import Access, AccessRole, Reach
from pgherd.contract.backups import Backups
from pgherd.contract.certificates import Certificates
from pgherd.contract.logs import Logs
from pgherd.contract.meter import Meter
from pgherd.contract.observed import DatabaseState, InstanceState, Observation, Role
from pgherd.contract.offers import Capability, Offer
from pgherd.contract.proofs import Proofs
from pgherd.contract.settings import Settings
from pgherd.contract.verification import Verifier
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Durability, Environment, Ocpus, Pooling
from pgherd.fleet.names import pooled_name
from pgherd.testing.memory import instances, seeing
from pgherd.testing.memory.abilities import (
    NOWHERE,
    MemoryCertificates,
    MemoryLogs,
    MemoryMeter,
    MemoryReach,
    MemorySettings,
)
from pgherd.testing.memory.backups import MemoryBackups, MemoryProofs, MemoryVerifier
from pgherd.testing.memory.calls import call, stored_database, stored_environment, stored_instance
from pgherd.testing.world import StoredDatabase, StoredEnvironment, World

NEWEST = 17
MAX_OCPUS = 1024


class MemoryEngine:
    """Databases in a `World`. It has every ability; a test may take one away by setting None."""

    def __init__(self, world: World, *, name: str = "memory", concurrency: int = 8) -> None:
        self.name = name
        self.concurrency = concurrency
        self.deadline: float | None = None
        self.world = world
        self.backups: Backups | None = MemoryBackups(world, self.ensure_database)
        self.proofs: Proofs | None = MemoryProofs(world)
        self.verifier: Verifier | None = MemoryVerifier(world)
        self.certificates: Certificates | None = MemoryCertificates(world)
        self.logs: Logs | None = MemoryLogs(world)
        self.meter: Meter | None = MemoryMeter(world)
        self.reach: Reach | None = MemoryReach(world)
        self.settings: Settings | None = MemorySettings(world)

    async def capabilities(self) -> Sequence[Capability]:
        """It remembers, and that is all."""
        return (
            Capability("memory", True, "databases are remembered"),
            Capability("disk", False, "nothing is stored", "use another engine", required=False),
        )

    async def offers(self, databases: Collection[Database]) -> Sequence[Offer]:
        """None of a PostgreSQL that was never thought of, and at most so many OCPUs."""
        return [
            self._offer(database)
            for database in databases
            if (database.postgresql or NEWEST) > NEWEST or database.ocpus.max > MAX_OCPUS
        ]

    def _offer(self, database: Database) -> Offer:
        if (database.postgresql or NEWEST) > NEWEST:
            if database.id in self.world.databases:
                return Offer(database)
            error = InputError(
                f"PostgreSQL {database.postgresql} is not here", f"write postgresql: {NEWEST}"
            )
            return Offer(database, objections=(error,))
        ocpus = Ocpus(min(database.ocpus.initial, MAX_OCPUS), MAX_OCPUS)
        text = f"at most {MAX_OCPUS} of {database.ocpus.max} OCPUs"
        return Offer(replace(database, ocpus=ocpus), (text,))

    async def observe(self, *, roles: bool = True) -> Observation:
        """All that is in the world, but for what is hidden."""
        self.world.observations += 1
        self.world.raise_if_blind()
        return seeing.observation(self.world)

    async def ensure_environment(self, environment: Environment) -> None:
        """Network, authority and services, one after the other."""
        async with call(self.world, "ensure_environment"):
            world, name = self.world, environment.name
            if name not in world.environments:
                async with world.step(f"record {name}"):
                    world.environments[name] = StoredEnvironment(name)
            stored = world.environments[name]
            if stored.is_stopped:
                async with world.step(f"want {name} running"):
                    stored.is_stopped = False
            for part in sorted(stored.missing):
                async with world.step(f"make {part} of {name}"):
                    stored.parts.add(part)

    async def ensure_database(self, database: Database) -> None:
        """It is there and serves, each instance of it."""
        async with call(self.world, "ensure_database", database.id, is_known=False):
            self._require_running(database.id)
            stored = await self._recorded(database)
            if stored.is_to_stop:
                async with self.world.step(f"want {stored.id} running"):
                    stored.is_to_stop = False
            await instances.ensure_primary_serves(self.world, stored)
            for replica in stored.replicas:
                await instances.ensure_streams(self.world, stored, replica)
            if not stored.is_ready:
                async with self.world.step(f"make the roles of {stored.id}"):
                    stored.is_ready = True

    async def ensure_replicas(self, database: Database, count: int) -> None:
        """Replicas are cloned into the emptiest domains; the worst go first."""
        async with call(self.world, "ensure_replicas", database.id):
            stored = stored_database(self.world, database.id)
            instances.serving_primary(stored)
            while len(stored.replicas) > count:
                worst = min(stored.replicas, key=instances.merit)
                async with self.world.step(f"remove {worst.name}"):
                    del stored.instances[worst.name]
            while len(stored.replicas) < count:
                await instances.make(self.world, stored, database.environment, Role.REPLICA)
            for replica in stored.replicas:
                await instances.ensure_streams(self.world, stored, replica)

    async def ensure_ocpus(self, database: Database, ocpus: int) -> None:
        """The setting changes at once; instances take it over when they are restarted."""
        async with call(self.world, "ensure_ocpus", database.id):
            stored = stored_database(self.world, database.id)
            if stored.ocpus != ocpus:
                async with self.world.step(f"set {stored.id} to {ocpus} OCPUs"):
                    stored.ocpus = ocpus

    async def ensure_durability(self, database: Database, durability: Durability) -> None:
        """Live."""
        async with call(self.world, "ensure_durability", database.id):
            stored = stored_database(self.world, database.id)
            if stored.durability is not durability:
                async with self.world.step(f"set {stored.id} to {durability}"):
                    stored.durability = durability

    async def ensure_restarted(self, id: DatabaseId, instance: str) -> None:
        """Down and up again, if it waits for that."""
        async with call(self.world, "ensure_restarted", id):
            stored = stored_database(self.world, id)
            found = stored_instance(stored, instance)
            if found.ocpus == stored.ocpus:
                return
            serving = found.state
            async with self.world.step(f"stop {found.name}"):
                found.state = InstanceState.STARTING
            async with self.world.step(f"start {found.name}"):
                found.state, found.ocpus = serving, stored.ocpus

    async def ensure_stopped(self, id: DatabaseId) -> None:
        """Replicas first, so that the primary's last write reaches them."""
        async with call(self.world, "ensure_stopped", id):
            stored = stored_database(self.world, id)
            if not stored.is_to_stop:
                async with self.world.step(f"want {id} stopped"):
                    stored.is_to_stop = True
            for instance in sorted(stored.instances.values(), key=instances.primary_last):
                if instance.state is not InstanceState.STOPPED:
                    async with self.world.step(f"stop {instance.name}"):
                        instance.state = InstanceState.STOPPED

    async def ensure_absent(self, id: DatabaseId) -> None:
        """Replicas first; the record last, so that a half-deleted database is seen."""
        async with call(self.world, "ensure_absent", id, is_known=False):
            stored = self.world.databases.get(id)
            if stored is None:
                return
            for instance in sorted(stored.instances.values(), key=instances.primary_last):
                async with self.world.step(f"delete {instance.name}"):
                    del stored.instances[instance.name]
            async with self.world.step(f"forget {id}"):
                self.world.gone[id] = self.world.databases.pop(id)

    async def ensure_environment_stopped(self, environment: str) -> None:
        """Its services stop once none of its databases runs."""
        async with call(self.world, "ensure_environment_stopped"):
            stored = stored_environment(self.world, environment)
            self._require_idle(environment)
            if not stored.is_stopped:
                async with self.world.step(f"want {environment} stopped"):
                    stored.is_stopped = True
            if "services" in stored.parts:
                async with self.world.step(f"stop services of {environment}"):
                    stored.parts.discard("services")

    async def ensure_environment_absent(self, environment: str) -> None:
        """Its parts, then its record; never while it has databases."""
        async with call(self.world, "ensure_environment_absent"):
            stored = self.world.environments.get(environment)
            if any(id.environment == environment for id in self.world.databases):
                raise InputError(f"{environment} still has databases", "destroy them first")
            if stored is None:
                return
            for part in sorted(stored.parts, reverse=True):
                async with self.world.step(f"remove {part} of {environment}"):
                    stored.parts.discard(part)
            async with self.world.step(f"forget {environment}"):
                del self.world.environments[environment]

    async def switchover(self, id: DatabaseId, target: str | None = None) -> str:
        """Demote, then promote, so that there are never two primaries."""
        async with call(self.world, "switchover", id):
            stored = stored_database(self.world, id)
            primary = instances.serving_primary(stored)
            if primary.name == target:
                return primary.name
            heir = instances.heir(stored, target)
            async with self.world.step(f"demote {primary.name}"):
                heir.rows = list(primary.rows)
                primary.role, primary.state = Role.REPLICA, InstanceState.STREAMING
            await instances.promote(self.world, heir)
            return heir.name

    async def failover(self, id: DatabaseId, target: str | None = None) -> str:
        """Promote, whatever became of the primary, which follows if it lives."""
        async with call(self.world, "failover", id):
            stored = stored_database(self.world, id)
            primary = stored.primary
            if primary is not None and primary.name == target and primary.serves:
                return primary.name
            heir = instances.heir(stored, target)
            if primary is not None:
                async with self.world.step(f"fence {primary.name}"):
                    primary.role = Role.REPLICA
                    primary.state = InstanceState.FAILED
            await instances.promote(self.world, heir)
            for replica in stored.replicas:
                await instances.ensure_streams(self.world, stored, replica)
            return heir.name

    async def access(
        self, id: DatabaseId, role: AccessRole, pooling: Pooling = Pooling.SESSION
    ) -> Access:
        """A place where nobody listens."""
        async with call(self.world, "access", id):
            users = {
                AccessRole.SERVICE: id.service,
                AccessRole.READ_ONLY: f"{id.service}_read_only",
                AccessRole.OPERATOR: "postgres",
            }
            name = pooled_name(id.service, pooling)
            return Access(NOWHERE, 5432, name, users[role])

    async def _recorded(self, database: Database) -> StoredDatabase:
        world, id = self.world, database.id
        if id not in world.databases:
            version = database.postgresql or NEWEST
            async with world.step(f"record {id}"):
                world.databases[id] = StoredDatabase(
                    id,
                    database.ocpus.initial,
                    database.durability,
                    version,
                    retention_days=database.backup.retention_days,
                    created_at=world.now(),
                )
        stored = world.databases[id]
        if not stored.instances:
            await instances.make(self.world, stored, database.environment, Role.PRIMARY)
        return stored

    def _require_running(self, id: DatabaseId) -> None:
        environment = self.world.environments.get(id.environment)
        if environment is None or environment.missing:
            raise TryLater(f"environment {id.environment} does not run")

    def _require_idle(self, environment: str) -> None:
        for id, stored in self.world.databases.items():
            if id.environment == environment and seeing.state(stored) is not DatabaseState.STOPPED:
                raise TryLater(f"{id} still runs")
