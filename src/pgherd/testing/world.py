"""The world of the in-memory engine: what would outlive every pgherd process.

Instances hold rows, so that losing data shows. Everything that changes the world goes
through `Steps`, which a test may end at any step as a crash would: the world stays as it
was at that moment and nothing more happens in it until it is given new steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pgherd.contract.backups import BackupCopy, KeptData, NamedPoint, ObservedBackup
from pgherd.contract.happenings import Happenings
from pgherd.contract.meter import DatabaseCounters, Usage
from pgherd.contract.observed import InstanceState, Role
from pgherd.contract.proofs import Hire, Proof
from pgherd.errors import PgherdError
from pgherd.fleet.desired import DatabaseId, Durability


class Killed(BaseException):
    """The process died here. No handler of ordinary errors may see it."""


class Steps:
    """Counts the changes of a world; after `limit` of them the process is dead."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self.taken: list[str] = []

    def take(self, name: str) -> None:
        """A change is about to be made. A dead process makes none, in no task of it."""
        if self.is_used_up:
            raise Killed(f"after {self.taken[-1] if self.taken else 'nothing'}, before {name}")
        self.taken.append(name)

    def raise_if_used_up(self) -> None:
        """A change was made; dying right after it loses its answer."""
        if self.is_used_up:
            raise Killed(f"after {self.taken[-1]}")

    @property
    def is_used_up(self) -> bool:
        """The process is dead."""
        return self._limit is not None and len(self.taken) >= self._limit


def utc_now() -> datetime:
    """The machine's time, aware."""
    return datetime.now(UTC)


@dataclass(slots=True)
class StoredInstance:
    """One server. `ocpus` are those it was started with."""

    name: str
    availability_domain: int
    role: Role
    state: InstanceState
    ocpus: int
    rows: list[str] = field(default_factory=list)
    lag_bytes: int = 0

    @property
    def serves(self) -> bool:
        """Clients are answered by it."""
        return self.state in (InstanceState.RUNNING, InstanceState.STREAMING)


@dataclass(slots=True)
class StoredDatabase:
    """One database with its instances by name."""

    id: DatabaseId
    ocpus: int
    durability: Durability
    postgresql: int
    instances: dict[str, StoredInstance] = field(default_factory=dict)
    is_ready: bool = False
    is_to_stop: bool = False
    schema_revision: str | None = None
    retention_days: int = 0
    created_at: datetime = field(default_factory=utc_now)
    written: list[tuple[datetime, str]] = field(default_factory=list)
    backups: list[ObservedBackup] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    points: list[NamedPoint] = field(default_factory=list)
    former: list[tuple[datetime, str]] = field(default_factory=list)
    kept: KeptData | None = None
    made_from: tuple[DatabaseId, str, datetime] | None = None
    masked_by: str = ""

    @property
    def primary(self) -> StoredInstance | None:
        """The instance that takes writes."""
        return next((i for i in self.instances.values() if i.role is Role.PRIMARY), None)

    @property
    def replicas(self) -> list[StoredInstance]:
        """All others."""
        return [i for i in self.instances.values() if i.role is not Role.PRIMARY]

    def best_replica(self) -> StoredInstance | None:
        """The serving replica that has most."""
        serving = [i for i in self.replicas if i.serves]
        return max(serving, key=lambda i: (len(i.rows), -i.lag_bytes, i.name), default=None)


@dataclass(slots=True)
class StoredEnvironment:
    """What the databases of an environment share."""

    name: str
    parts: set[str] = field(default_factory=set)
    is_stopped: bool = False
    authority: int = 0

    @property
    def missing(self) -> set[str]:
        """What has to be made or started before databases can run in it."""
        return {"network", "authority", "services"} - self.parts


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that is going to fail: before anything of it happens, or after all of it."""

    operation: str
    id: DatabaseId | None
    error: PgherdError
    after: bool


@dataclass(slots=True)
class World:
    """Everything there is, and the faults that wait to happen."""

    environments: dict[str, StoredEnvironment] = field(default_factory=dict)
    databases: dict[DatabaseId, StoredDatabase] = field(default_factory=dict)
    steps: Steps = field(default_factory=Steps)
    observations: int = 0
    usage: dict[DatabaseId, list[Usage]] = field(default_factory=dict)
    counters: dict[DatabaseId, DatabaseCounters] = field(default_factory=dict)
    happenings: Happenings | None = None
    found_in_copies: str = ""
    """What a drill finds that is no good; empty where all is."""
    hire: Hire | None = None
    """What a drill costs; None for nothing."""
    gone: dict[DatabaseId, StoredDatabase] = field(default_factory=dict)
    """What was deleted: its backups are kept."""
    copies: tuple[BackupCopy, ...] = ()
    """Of all databases, each with all that is written by now."""
    now: Callable[[], datetime] = utc_now
    _hidden: dict[DatabaseId, str] = field(default_factory=dict)
    _blind: list[PgherdError] = field(default_factory=list)
    _failures: list[Failure] = field(default_factory=list)

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """One change of the world, made in its block."""
        # Other tasks get their turn at every step, as they would while a program runs.
        await asyncio.sleep(0)
        self.steps.take(name)
        yield
        self.steps.raise_if_used_up()

    def write(self, id: DatabaseId, row: str) -> None:
        """What a client does: the primary has it, and every streaming replica without lag."""
        database = self.databases[id]
        primary = database.primary
        if primary is None or not primary.serves:
            raise ConnectionError(f"{id} has no primary")
        primary.rows.append(row)
        database.written.append((self.now(), row))
        for replica in database.replicas:
            if replica.serves and replica.lag_bytes == 0:
                replica.rows = list(primary.rows)
            else:
                replica.lag_bytes += len(row)

    def rows(self, id: DatabaseId) -> list[str]:
        """What a client reads on the primary."""
        primary = self.databases[id].primary
        if primary is None or not primary.serves:
            raise ConnectionError(f"{id} has no primary")
        return list(primary.rows)

    def break_instance(self, id: DatabaseId, name: str) -> None:
        """Its host dies. The data plane fails over by itself where it can."""
        database = self.databases[id]
        instance = database.instances[name]
        instance.state = InstanceState.FAILED
        if instance.role is Role.PRIMARY and (heir := database.best_replica()) is not None:
            instance.role = Role.REPLICA
            heir.role, heir.state, heir.lag_bytes = Role.PRIMARY, InstanceState.RUNNING, 0

    def reboot(self) -> None:
        """Everything that ran does not run any more; everything stored is there."""
        for environment in self.environments.values():
            environment.parts.discard("services")
        for database in self.databases.values():
            for instance in database.instances.values():
                instance.state = InstanceState.STOPPED

    def hide(self, id: DatabaseId, reason: str = "no answer") -> None:
        """No answer comes from it any more."""
        self._hidden[id] = reason

    def show(self, id: DatabaseId) -> None:
        """It answers again."""
        del self._hidden[id]

    def hidden(self, id: DatabaseId) -> str | None:
        """Why it does not answer."""
        return self._hidden.get(id)

    def blind_next(self, error: PgherdError, times: int = 1) -> None:
        """The next looks see nothing at all."""
        self._blind += [error] * times

    def fail_next(
        self,
        operation: str,
        error: PgherdError,
        *,
        id: DatabaseId | None = None,
        times: int = 1,
        after: bool = False,
    ) -> None:
        """The next calls of an operation fail: before anything happens, or `after` all of it."""
        self._failures += [Failure(operation, id, error, after)] * times

    def take_failure(self, operation: str, id: DatabaseId | None) -> Failure | None:
        """The failure that is due for a call, if any."""
        for failure in self._failures:
            if failure.operation == operation and failure.id in (None, id):
                self._failures.remove(failure)
                return failure
        return None

    def raise_if_blind(self) -> None:
        """What `blind_next` asked for."""
        if self._blind:
            raise self._blind.pop(0)

    def picture(self) -> dict[str, object]:
        """What matters of the state that a story ends in, and nothing that may differ."""
        return {
            "environments": {e.name: (sorted(e.parts), e.is_stopped) for e in self._sorted()},
            "databases": {str(id): _picture(d) for id, d in sorted(self.databases.items())},
        }

    def _sorted(self) -> list[StoredEnvironment]:
        return [self.environments[name] for name in sorted(self.environments)]


def _picture(database: StoredDatabase) -> dict[str, object]:
    primary = database.primary
    return {
        "instances": sorted((i.role.value, i.state.value) for i in database.instances.values()),
        "domains": len({i.availability_domain for i in database.instances.values()}),
        "sizes": {i.ocpus for i in database.instances.values()},
        "ocpus": database.ocpus,
        "durability": database.durability.value,
        "schema_revision": database.schema_revision,
        "rows": sorted(primary.rows) if primary else [],
    }
