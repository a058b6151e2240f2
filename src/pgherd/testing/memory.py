"""An engine whose databases are only remembered: the whole contract, without a process.

It is honest rather than convenient: each call is made of steps at which it may die, leaves
half-made things behind as programs do, and finishes what an earlier call began. The state
is in a `World`, which a new engine takes over as a new process would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pgherd.contract.access import Access, AccessRole
from pgherd.contract.backups import BackupHistory, BackupState, ObservedBackup, Window
from pgherd.contract.certificates import CertificateInfo
from pgherd.contract.logs import LogLine
from pgherd.contract.meter import Usage
from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.contract.offers import Capability, Offer
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Durability, Environment, Ocpus, Pooling
from pgherd.fleet.names import pooled_name
from pgherd.testing.world import StoredDatabase, StoredEnvironment, StoredInstance, World
from pgherd.units import format_days

NEWEST = 17
MAX_OCPUS = 1024
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)


class MemoryEngine:
    """Databases in a `World`."""

    def __init__(self, world: World, *, name: str = "memory", concurrency: int = 8) -> None:
        self.name = name
        self.concurrency = concurrency
        self.deadline: float | None = None
        self.reaches_databases = True
        self.world = world

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
        environments = self.world.environments.values()
        return Observation(
            frozenset(e.name for e in environments),
            {id: self._seen(database) for id, database in self.world.databases.items()},
            {
                e.name: f"{', '.join(sorted(e.missing))} not running"
                for e in environments
                if e.missing and not e.is_stopped
            },
            frozenset(e.name for e in environments if e.is_stopped and "services" in e.missing),
        )

    async def ensure_environment(self, environment: Environment) -> None:
        """Network, authority and services, one after the other."""
        async with self._call("ensure_environment"):
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
        async with self._call("ensure_database", database.id, is_known=False):
            self._require_running(database.id)
            stored = await self._recorded(database)
            if stored.is_to_stop:
                async with self.world.step(f"want {stored.id} running"):
                    stored.is_to_stop = False
            await self._primary_serves(stored)
            for replica in stored.replicas:
                await self._replica_streams(stored, replica)
            if not stored.is_ready:
                async with self.world.step(f"make the roles of {stored.id}"):
                    stored.is_ready = True

    async def ensure_replicas(self, database: Database, count: int) -> None:
        """Replicas are cloned into the emptiest domains; the worst go first."""
        async with self._call("ensure_replicas", database.id):
            stored = self._stored(database.id)
            self._require_primary(stored)
            while len(stored.replicas) > count:
                worst = min(stored.replicas, key=_merit)
                async with self.world.step(f"remove {worst.name}"):
                    del stored.instances[worst.name]
            while len(stored.replicas) < count:
                await self._new_instance(stored, database.environment, Role.REPLICA)
            for replica in stored.replicas:
                await self._replica_streams(stored, replica)

    async def ensure_ocpus(self, database: Database, ocpus: int) -> None:
        """The setting changes at once; instances take it over when they are restarted."""
        async with self._call("ensure_ocpus", database.id):
            stored = self._stored(database.id)
            if stored.ocpus != ocpus:
                async with self.world.step(f"set {stored.id} to {ocpus} OCPUs"):
                    stored.ocpus = ocpus

    async def ensure_durability(self, database: Database, durability: Durability) -> None:
        """Live."""
        async with self._call("ensure_durability", database.id):
            stored = self._stored(database.id)
            if stored.durability is not durability:
                async with self.world.step(f"set {stored.id} to {durability}"):
                    stored.durability = durability

    async def ensure_restarted(self, id: DatabaseId, instance: str) -> None:
        """Down and up again, if it waits for that."""
        async with self._call("ensure_restarted", id):
            stored = self._stored(id)
            found = self._instance(stored, instance)
            if found.ocpus == stored.ocpus:
                return
            serving = found.state
            async with self.world.step(f"stop {found.name}"):
                found.state = InstanceState.STARTING
            async with self.world.step(f"start {found.name}"):
                found.state, found.ocpus = serving, stored.ocpus

    async def ensure_stopped(self, id: DatabaseId) -> None:
        """Replicas first, so that the primary's last write reaches them."""
        async with self._call("ensure_stopped", id):
            stored = self._stored(id)
            if not stored.is_to_stop:
                async with self.world.step(f"want {id} stopped"):
                    stored.is_to_stop = True
            for instance in sorted(stored.instances.values(), key=_primary_last):
                if instance.state is not InstanceState.STOPPED:
                    async with self.world.step(f"stop {instance.name}"):
                        instance.state = InstanceState.STOPPED

    async def ensure_absent(self, id: DatabaseId) -> None:
        """Replicas first; the record last, so that a half-deleted database is seen."""
        async with self._call("ensure_absent", id, is_known=False):
            stored = self.world.databases.get(id)
            if stored is None:
                return
            for instance in sorted(stored.instances.values(), key=_primary_last):
                async with self.world.step(f"delete {instance.name}"):
                    del stored.instances[instance.name]
            async with self.world.step(f"forget {id}"):
                del self.world.databases[id]

    async def ensure_environment_stopped(self, environment: str) -> None:
        """Its services stop once none of its databases runs."""
        async with self._call("ensure_environment_stopped"):
            stored = self.world.environments.get(environment)
            if stored is None:
                raise InputError(f"{environment} is not an environment here")
            self._require_idle(environment)
            if not stored.is_stopped:
                async with self.world.step(f"want {environment} stopped"):
                    stored.is_stopped = True
            if "services" in stored.parts:
                async with self.world.step(f"stop services of {environment}"):
                    stored.parts.discard("services")

    async def ensure_environment_absent(self, environment: str) -> None:
        """Its parts, then its record; never while it has databases."""
        async with self._call("ensure_environment_absent"):
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
        async with self._call("switchover", id):
            stored = self._stored(id)
            primary = self._require_primary(stored)
            if primary.name == target:
                return primary.name
            heir = self._heir(stored, target)
            async with self.world.step(f"demote {primary.name}"):
                heir.rows = list(primary.rows)
                primary.role, primary.state = Role.REPLICA, InstanceState.STREAMING
            await self._promote(heir)
            return heir.name

    async def failover(self, id: DatabaseId, target: str | None = None) -> str:
        """Promote, whatever became of the primary, which follows if it lives."""
        async with self._call("failover", id):
            stored = self._stored(id)
            primary = stored.primary
            if primary is not None and primary.name == target and primary.serves:
                return primary.name
            heir = self._heir(stored, target)
            if primary is not None:
                async with self.world.step(f"fence {primary.name}"):
                    primary.role = Role.REPLICA
                    primary.state = InstanceState.FAILED
            await self._promote(heir)
            for replica in stored.replicas:
                await self._replica_streams(stored, replica)
            return heir.name

    def settings(self, database: Database) -> Mapping[str, str]:
        """How long backups are kept."""
        return {"backup.retention": format_days(database.backup.retention_days)}

    async def ensure_settings(self, database: Database) -> None:
        """Live."""
        async with self._call("ensure_settings", database.id):
            stored = self._stored(database.id)
            if stored.retention_days != database.backup.retention_days:
                async with self.world.step(f"set the settings of {stored.id}"):
                    stored.retention_days = database.backup.retention_days

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """What the world says that they used."""
        begin = self.world.now() - since
        return {
            id: [sample for sample in samples if sample.at >= begin]
            for id, samples in self.world.usage.items()
            if id in self.world.databases and self.world.hidden(id) is None
        }

    async def backups(self, id: DatabaseId) -> BackupHistory:
        """What was taken, and all the time since the database was made."""
        async with self._call("backups", id):
            stored = self._stored(id)
            window = Window(stored.created_at, self.world.now())
            return BackupHistory(tuple(reversed(stored.backups)), (window,))

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        """One more."""
        async with self._call("back_up", id):
            stored = self._stored(id)
            name = f"{id.service}-{len(stored.backups) + 1}"
            backup = ObservedBackup(name, self.world.now(), BackupState.AVAILABLE, "manual")
            async with self.world.step(f"back up {id}"):
                stored.backups.append(backup)
            return backup

    async def restore(
        self, source: DatabaseId, target: Database, moment: datetime, *, region: str | None = None
    ) -> None:
        """The rows of that moment, in the target's primary."""
        async with self._call("restore", source):
            if region is not None:
                raise InputError(f"{region} has no copies of {source}", "leave the region out")
            stored = self._stored(source)
            if not stored.created_at <= moment <= self.world.now():
                raise InputError(f"{source} cannot be restored to {moment}", "name another time")
            if target.id != source and target.id in self.world.databases:
                made_from = self.world.databases[target.id].made_from
                if made_from != (source, moment):
                    raise InputError(f"{target.id} is there already", "choose another name")
            await self.ensure_database(target)
            written = [(at, row) for at, row in stored.written if at <= moment]
            async with self.world.step(f"restore {source} to {target.id}"):
                made = self._stored(target.id)
                made.made_from, made.written = (source, moment), written
                for instance in made.instances.values():
                    instance.rows = [row for _, row in written]

    async def access(
        self, id: DatabaseId, role: AccessRole, pooling: Pooling = Pooling.SESSION
    ) -> Access:
        """A place where nobody listens."""
        async with self._call("access", id):
            users = {
                AccessRole.SERVICE: id.service,
                AccessRole.READ_ONLY: f"{id.service}_read_only",
                AccessRole.OPERATOR: "postgres",
            }
            name = pooled_name(id.service, pooling)
            return Access("memory.invalid", 5432, name, users[role])

    async def certificates(self) -> Sequence[CertificateInfo]:
        """One for each environment, named for how often it was made."""
        return [
            CertificateInfo(e.name, None, f"{e.name} {e.authority}", "server", _NEVER, Path(e.name))
            for e in self.world.environments.values()
            if "authority" in e.parts
        ]

    async def ensure_certificates(self, environment: str, *, renew: bool = False) -> int:
        """They never expire, so only `renew` makes one."""
        async with self._call("ensure_certificates"):
            stored = self.world.environments.get(environment)
            if stored is None:
                raise InputError(f"{environment} is not an environment here")
            if not renew:
                return 0
            async with self.world.step(f"renew the certificates of {environment}"):
                stored.authority += 1
            return 1

    async def logs(
        self, id: DatabaseId, *, instance: str | None = None, lines: int = 50, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """The steps that its instances took part in."""
        stored = self._stored(id)
        names = [instance] if instance else [str(id), *stored.instances]
        told = [s for s in self.world.steps.taken if any(name in s for name in names)]
        for text in told[-lines:]:
            yield LogLine("memory", text)

    @asynccontextmanager
    async def _call(
        self, operation: str, id: DatabaseId | None = None, *, is_known: bool = True
    ) -> AsyncIterator[None]:
        """What every call has in common: faults before and after, and what is not there."""
        failure = self.world.take_failure(operation, id)
        if failure and not failure.after:
            raise failure.error
        if id is not None and (reason := self.world.hidden(id)) is not None:
            raise TryLater(f"{id} does not answer: {reason}")
        if id is not None and is_known:
            self._stored(id)
        yield
        if failure:
            raise failure.error

    def _seen(self, stored: StoredDatabase) -> ObservedDatabase | Unknown:
        if (reason := self.world.hidden(stored.id)) is not None:
            return Unknown(reason)
        state = _state(stored)
        serves = state in (DatabaseState.RUNNING, DatabaseState.DEGRADED)
        return ObservedDatabase(
            stored.id,
            state,
            tuple(_instance(i) for i in stored.instances.values()),
            stored.ocpus,
            stored.durability,
            stored.postgresql,
            stored.schema_revision if serves else None,
            tuple(i.name for i in stored.instances.values() if i.ocpus != stored.ocpus),
            settings={"backup.retention": format_days(stored.retention_days)},
        )

    def _stored(self, id: DatabaseId) -> StoredDatabase:
        if (stored := self.world.databases.get(id)) is None:
            raise InputError(f"{id} is not here", "create it with pgherd up")
        return stored

    def _instance(self, stored: StoredDatabase, name: str) -> StoredInstance:
        if (instance := stored.instances.get(name)) is None:
            known = ", ".join(stored.instances)
            raise InputError(f"{name!r} is not an instance of {stored.id}", f"write one of {known}")
        return instance

    def _require_running(self, id: DatabaseId) -> None:
        environment = self.world.environments.get(id.environment)
        if environment is None or environment.missing:
            raise TryLater(f"environment {id.environment} does not run")

    def _require_primary(self, stored: StoredDatabase) -> StoredInstance:
        primary = stored.primary
        if primary is None or not primary.serves:
            raise TryLater(f"{stored.id} has no primary")
        return primary

    def _require_idle(self, environment: str) -> None:
        for id, stored in self.world.databases.items():
            if id.environment == environment and _state(stored) is not DatabaseState.STOPPED:
                raise TryLater(f"{id} still runs")

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
            await self._new_instance(stored, database.environment, Role.PRIMARY)
        return stored

    async def _new_instance(
        self, stored: StoredDatabase, environment: Environment, role: Role
    ) -> None:
        used = Counter(i.availability_domain for i in stored.instances.values())
        domain = min(range(1, environment.availability_domains + 1), key=lambda n: (used[n], n))
        names = (f"{stored.id.service}-{n}" for n in range(1, len(stored.instances) + 2))
        name = next(n for n in names if n not in stored.instances)
        async with self.world.step(f"make {name}"):
            stored.instances[name] = StoredInstance(
                name, domain, role, InstanceState.STARTING, stored.ocpus
            )

    async def _primary_serves(self, stored: StoredDatabase) -> None:
        primary = stored.primary
        if primary is None:
            candidates = [i for i in stored.replicas if i.state is not InstanceState.FAILED]
            if not candidates:
                hint = "restore it from a backup"
                raise NeedsHuman(f"{stored.id} has no instance with its data left", hint)
            await self._promote(max(candidates, key=_merit))
        elif not primary.serves:
            async with self.world.step(f"start {primary.name}"):
                primary.state, primary.ocpus = InstanceState.RUNNING, stored.ocpus

    async def _replica_streams(self, stored: StoredDatabase, replica: StoredInstance) -> None:
        if replica.serves:
            return
        primary = self._require_primary(stored)
        if replica.state is InstanceState.FAILED:
            async with self.world.step(f"wipe {replica.name}"):
                replica.rows, replica.state = [], InstanceState.STARTING
        async with self.world.step(f"clone {replica.name}"):
            replica.rows, replica.lag_bytes = list(primary.rows), 0
            replica.state, replica.ocpus = InstanceState.STREAMING, stored.ocpus

    def _heir(self, stored: StoredDatabase, target: str | None) -> StoredInstance:
        if not stored.replicas:
            raise InputError(f"{stored.id} has no replica", "add one in the fleet file")
        heir = stored.best_replica() if target is None else self._instance(stored, target)
        if heir is None or not heir.serves:
            raise TryLater(f"{target or stored.id} has no streaming replica")
        return heir

    async def _promote(self, heir: StoredInstance) -> None:
        async with self.world.step(f"promote {heir.name}"):
            heir.role, heir.state, heir.lag_bytes = Role.PRIMARY, InstanceState.RUNNING, 0


class MemoryMigrations:
    """Migrations of the world's databases: the newest revisions are given."""

    def __init__(self, world: World, heads: dict[DatabaseId, str]) -> None:
        self.world = world
        self._heads = heads

    def head(self, database: Database) -> str | None:
        """The revision that was given."""
        return self._heads.get(database.id)

    def apply(self, database: Database, access: Access) -> None:
        """The schema has it."""
        self.world.steps.take(f"migrate {database.id}")
        self.world.databases[database.id].schema_revision = self._heads[database.id]
        self.world.steps.raise_if_used_up()


def _state(stored: StoredDatabase) -> DatabaseState:
    instances = stored.instances.values()
    if stored.is_to_stop and all(i.state is InstanceState.STOPPED for i in instances):
        return DatabaseState.STOPPED
    if not stored.is_ready:
        return DatabaseState.STARTING
    if stored.primary is None or not stored.primary.serves:
        return DatabaseState.UNAVAILABLE
    whole = all(i.serves for i in instances)
    return DatabaseState.RUNNING if whole else DatabaseState.DEGRADED


def _instance(stored: StoredInstance) -> ObservedInstance:
    lag = stored.lag_bytes if stored.state is InstanceState.STREAMING else None
    return ObservedInstance(stored.name, stored.role, stored.state, stored.availability_domain, lag)


def _merit(instance: StoredInstance) -> tuple[bool, int, int, str]:
    return instance.serves, len(instance.rows), -instance.lag_bytes, instance.name


def _primary_last(instance: StoredInstance) -> tuple[bool, str]:
    return instance.role is Role.PRIMARY, instance.name
