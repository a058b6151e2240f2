"""The contract between pgherd and the places where databases run.

An engine is asked for wanted ends (`ensure_...`), never given commands: each call may be
repeated, interrupted at any point and repeated again, and leads to the same end. What an
engine observes is plain data; what it cannot see is `Unknown`, which is never "not there".
Engines translate every error of a library or program into the tree of `pgherd.errors`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode

from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId, Durability, Environment, Pooling


class Role(StrEnum):
    """What an instance is at this moment."""

    PRIMARY = "primary"
    REPLICA = "replica"
    UNKNOWN = "unknown"


class InstanceState(StrEnum):
    """`running` (a primary) and `streaming` (a replica) serve; all others do not."""

    RUNNING = "running"
    STREAMING = "streaming"
    STARTING = "starting"
    STOPPED = "stopped"
    FAILED = "failed"
    UNKNOWN = "unknown"


class DatabaseState(StrEnum):
    """The state of a database as its users see it."""

    RUNNING = "running"
    """Every instance serves."""
    DEGRADED = "degraded"
    """The primary serves; some replica does not."""
    STARTING = "starting"
    """Not serving yet: being created or started."""
    UNAVAILABLE = "unavailable"
    """It should serve and has no primary."""
    STOPPED = "stopped"
    """Stopped on request, its data kept."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ObservedInstance:
    """One PostgreSQL server as seen now. `lag_bytes` is None for a primary or when unknown."""

    name: str
    role: Role
    state: InstanceState
    availability_domain: int | None = None
    lag_bytes: int | None = None
    address: str | None = None

    @property
    def serves(self) -> bool:
        """Clients are answered by it."""
        return self.state in (InstanceState.RUNNING, InstanceState.STREAMING)


@dataclass(frozen=True, slots=True)
class ObservedDatabase:
    """One database as seen now.

    `ocpus`, `durability` and `postgresql` are what is applied, None when unknown.
    `schema_revision` is the newest migration applied, None for none; it is only known
    while the database serves. `restart_pending` names the instances whose settings wait
    for a restart. `settings` are what else is applied, as `Engine.settings` names it; what is
    unknown is left out. `resize_ends_connections`: another size restarts it without a switchover.
    """

    id: DatabaseId
    state: DatabaseState
    instances: tuple[ObservedInstance, ...] = ()
    ocpus: int | None = None
    durability: Durability | None = None
    postgresql: int | None = None
    schema_revision: str | None = None
    restart_pending: tuple[str, ...] = ()
    detail: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    resize_ends_connections: bool = False

    @property
    def primary(self) -> ObservedInstance | None:
        """The instance that takes writes, None where none does."""
        for instance in self.instances:
            if instance.role is Role.PRIMARY and instance.serves:
                return instance
        return None


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, and why. Nothing is decided from it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Observation:
    """All that one engine sees. What is in neither mapping does not exist there.

    `environments` are all that exist, half made ones too. `impaired` says of those whose
    shared services should run and do not, why; `stopped` are those stopped on request.
    """

    environments: frozenset[str] = frozenset()
    databases: Mapping[DatabaseId, ObservedDatabase | Unknown] = field(default_factory=dict)
    impaired: Mapping[str, str] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing a place can or cannot do: `detail` says how it is, `remedy` what to do about it."""

    name: str
    available: bool
    detail: str
    remedy: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """What a place can make of one database that the fleet file wants.

    `database` is what would be made. `concessions` say where that is less than the fleet file
    asks for, as it accepts; `objections` say why nothing is made, each with its way out.
    """

    database: Database
    concessions: tuple[str, ...] = ()
    objections: tuple[InputError, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What the primary of a database used at one moment; each value None where it is unknown.

    Percents are of what the instance has. `at` is aware.
    """

    at: datetime
    cpu_percent: float | None = None
    memory_percent: float | None = None
    storage_bytes: int | None = None


class BackupState(StrEnum):
    """`available` alone can be restored."""

    RUNNING = "running"
    AVAILABLE = "available"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ObservedBackup:
    """One backup. `region` is where it is, None where the place has none; times are aware."""

    name: str
    taken_at: datetime
    state: BackupState
    kind: str
    bytes: int | None = None
    kept_until: datetime | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time; a database can be restored to any second in it."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class BackupHistory:
    """What a database can be restored to. Backups are the newest first."""

    backups: tuple[ObservedBackup, ...] = ()
    windows: tuple[Window, ...] = ()


class AccessRole(StrEnum):
    """As whom to connect."""

    SERVICE = "service"
    """The service: owns its schema, reads and writes."""
    READ_ONLY = "read-only"
    """Reads everything, writes nothing; goes to replicas where there are any."""
    OPERATOR = "operator"
    """Superuser, past the pooler, on the primary."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to open one database. With certificates: `certificate`, `key`, `authority` are files.

    `host` may be several, with commas between. `connect_timeout` is in seconds, for each of them.
    `options` are the server's own, for the start of the session. `server_user` is the login that a
    server behind a Unix socket must run as.
    """

    host: str
    port: int
    database: str
    user: str
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    connect_timeout: int | None = None
    options: str | None = None
    server_user: str | None = None

    def parameters(self) -> dict[str, str]:
        """The libpq connection parameters."""
        parameters = {
            "host": self.host,
            "port": str(self.port),
            "dbname": self.database,
            "user": self.user,
        }
        if self.connect_timeout is not None:
            parameters["connect_timeout"] = str(self.connect_timeout)
        if self.options is not None:
            parameters["options"] = self.options
        if self.server_user is not None:
            parameters["requirepeer"] = self.server_user
        if self.certificate and self.key and self.authority:
            parameters |= {
                "sslmode": "verify-full",
                "sslcert": str(self.certificate),
                "sslkey": str(self.key),
                "sslrootcert": str(self.authority),
            }
        return parameters

    def uri(self) -> str:
        """A libpq URI that any libpq client can use as it is."""
        in_front = {"host", "port", "dbname", "user"}
        rest = {k: v for k, v in self.parameters().items() if k not in in_front}
        # A folder in the place of the host name is a Unix socket's.
        host = quote(self.host, safe="")
        query = f"?{urlencode(rest, quote_via=quote, safe='/')}" if rest else ""
        return f"postgresql://{quote(self.user)}@{host}:{self.port}/{quote(self.database)}{query}"

    def variables(self) -> dict[str, str]:
        """The same as libpq's environment variables."""
        names = {"dbname": "PGDATABASE", "connect_timeout": "PGCONNECT_TIMEOUT"}
        return {names.get(k, f"PG{k.upper()}"): v for k, v in self.parameters().items()}


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """One certificate in use; times are aware. `database` is None for an environment's own.

    From `due_at` on it is renewed, None where nothing ever renews it.
    """

    environment: str
    database: DatabaseId | None
    subject: str
    purpose: str
    not_after: datetime
    path: Path
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log of one component (`postgresql`, `patroni`, `pooler`, ...)."""

    source: str
    text: str


class Engine(Protocol):
    """A place where databases run. Each `ensure_...` changes one kind of thing.

    All calls raise TryLater when the place does not answer or is not ready, NeedsHuman when it
    will not be ready by itself. Those that take a DatabaseId raise InputError when it is unknown.
    """

    name: str
    concurrency: int
    """How many databases may be worked on at once."""
    deadline: float | None
    """Seconds after which work on one database is late, None for as long as everywhere."""
    reaches_databases: bool
    """pgherd itself can connect to the databases from where it runs; migrations need that."""

    async def capabilities(self) -> Sequence[Capability]:
        """What this place can and cannot do."""
        ...

    async def offers(self, databases: Collection[Database]) -> Sequence[Offer]:
        """Those that cannot be made here just as they are wanted, and why. Changes nothing.

        Said before anything is begun. Of a database that exists, only what it cannot become.
        """
        ...

    async def observe(self, *, roles: bool = True) -> Observation:
        """All that is there now. Raises TryLater when the engine cannot see at all.

        Without `roles`, instances of several may have Role.UNKNOWN where knowing costs a call.
        """
        ...

    def settings(self, database: Database) -> Mapping[str, str]:
        """What is set for it beside sizes and durability, by the fleet file's names. Pure."""
        ...

    async def usage(self, since: timedelta) -> Mapping[DatabaseId, Sequence[Usage]]:
        """What the databases used from `since` ago until now, the oldest first.

        A database without an answer is not in it.
        """
        ...

    async def ensure_environment(self, environment: Environment) -> None:
        """Its network, authorities and shared services exist and run."""
        ...

    async def ensure_database(self, database: Database) -> None:
        """It exists with `id`, and every instance that it has runs; the primary takes writes.

        Where it was not there it is created with its primary, and with as many of its
        `replicas.min` as come with it; started where it was stopped; mended where an instance
        was broken.
        """
        ...

    async def ensure_replicas(self, database: Database, count: int) -> None:
        """It has that many replicas, all streaming. The primary is never taken away."""
        ...

    async def ensure_ocpus(self, database: Database, ocpus: int) -> None:
        """Each instance has that many OCPUs, and what PostgreSQL derives from them.

        Live: a setting that waits for a restart shows up in `restart_pending`.
        """
        ...

    async def ensure_durability(self, database: Database, durability: Durability) -> None:
        """Commits are acknowledged as `durability` says. Live."""
        ...

    async def ensure_settings(self, database: Database) -> None:
        """What `settings` names is as the fleet file says. Live."""
        ...

    async def ensure_restarted(self, id: DatabaseId, instance: str) -> None:
        """An instance with pending settings was restarted. Not done on one that needs none."""
        ...

    async def ensure_stopped(self, id: DatabaseId) -> None:
        """Nothing of it runs; its data is kept."""
        ...

    async def ensure_absent(self, id: DatabaseId) -> None:
        """Nothing of it is left. Its data is gone."""
        ...

    async def ensure_environment_stopped(self, environment: str) -> None:
        """Its shared services do not run; called when its databases are stopped."""
        ...

    async def ensure_environment_absent(self, environment: str) -> None:
        """Nothing of it is left; called when it has no databases any more."""
        ...

    async def switchover(self, id: DatabaseId, target: str | None = None) -> str:
        """Make `target`, or the best replica, the primary, failing no transaction; its name."""
        ...

    async def failover(self, id: DatabaseId, target: str | None = None) -> str:
        """Make a replica the primary though the primary may be lost; its name."""
        ...

    async def backups(self, id: DatabaseId) -> BackupHistory:
        """What it can be restored to, in every region."""
        ...

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        """A backup taken now, once it is complete."""
        ...

    async def restore(
        self,
        source: DatabaseId,
        target: Database,
        moment: datetime,
        *,
        region: str | None = None,
    ) -> None:
        """`target` is as `source` was at `moment`, to the second; it serves.

        Where both are the same, what was written since is lost. `region` is another one that
        has copies: the target is made there from the last copy before the moment. A target that
        is there already and is another database is an InputError.
        """
        ...

    async def access(
        self, id: DatabaseId, role: AccessRole, pooling: Pooling = Pooling.SESSION
    ) -> Access:
        """How to connect as `role`. An operator always has a session of its own."""
        ...

    async def certificates(self) -> Sequence[CertificateInfo]:
        """Every certificate in use."""
        ...

    async def ensure_certificates(self, environment: str, *, renew: bool = False) -> int:
        """All certificates of an environment are valid and served; how many were made new.

        With `renew`, all of them are made anew, with no connection dropped.
        """
        ...

    def logs(
        self, id: DatabaseId, *, instance: str | None = None, lines: int = 50, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """The last lines of every component's log, then those that come, if `follow`."""
        ...
