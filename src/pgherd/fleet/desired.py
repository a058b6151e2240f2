"""What a fleet file wants, resolved: plain frozen values that everything below decides from.

Nothing here knows YAML. Sizes are bytes, OCPUs whole numbers, retention days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pgherd.errors import InputError
from pgherd.fleet.calendar import Peak, Window
from pgherd.fleet.history_place import HistoryPlace
from pgherd.fleet.receivers import Receiver

V = TypeVar("V", bound="EngineValues")


class Durability(StrEnum):
    """When a commit is acknowledged."""

    SYNCHRONOUS = "synchronous"
    """After a replica has it too: a failover loses nothing that was acknowledged."""
    ASYNCHRONOUS = "asynchronous"


class Pooling(StrEnum):
    """For how long a client has a server connection of its own, by PgBouncer's names."""

    SESSION = "session"
    """As long as it is connected: right for every client."""
    TRANSACTION = "transaction"
    """For one transaction; nothing of a session outlives it."""


@dataclass(frozen=True, slots=True, order=True)
class DatabaseId:
    """One service in one environment, written `production/auth`."""

    environment: str
    service: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.service}"

    @classmethod
    def parse(cls, text: str, example: str = "") -> DatabaseId:
        """Read `ENVIRONMENT/SERVICE`; InputError, with the example, for anything else."""
        environment, slash, service = text.partition("/")
        if not (environment and slash and service) or "/" in service:
            hint = f"write ENVIRONMENT/SERVICE{example and f', as in {example}'}"
            raise InputError(f"{text!r} is not a database", hint)
        return cls(environment, service)


@dataclass(frozen=True, slots=True)
class Ocpus:
    """OCPUs of each instance: where it starts, and how far the autopilot may go."""

    initial: int
    max: int


@dataclass(frozen=True, slots=True)
class Storage:
    """Storage of each instance in bytes; `max_bytes` None is unlimited."""

    initial_bytes: int
    max_bytes: int | None


@dataclass(frozen=True, slots=True)
class Replicas:
    """Read replicas beside the primary. `up` makes `min`; the autopilot may go to `max`."""

    min: int
    max: int


@dataclass(frozen=True, slots=True)
class Autoscale:
    """Scale up above these shares of CPU and memory, in percent."""

    cpu_percent: int
    memory_percent: int


class WhenFull(StrEnum):
    """What becomes of WAL that is not archived, where the disk is all but full."""

    HOLD = "hold"
    DROP_ARCHIVE = "drop-archive"


@dataclass(frozen=True, slots=True)
class Backup:
    """How long backups are kept, where copies go, and what becomes of WAL on a full disk.

    `stream`: WAL is received as it is written, beside being archived.
    """

    retention_days: int
    copy_to: tuple[str, ...] = ()
    when_full: WhenFull = WhenFull.HOLD
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Drills:
    """How often backups are proven by a restore, in days."""

    restore_days: int = 7


@dataclass(frozen=True, slots=True)
class Objectives:
    """A database is back in `rto`, and no more than the last `rpo` is lost; None: not promised."""

    rto: timedelta | None = None
    rpo: timedelta | None = None


class EngineValues(Protocol):
    """What an engine's section of the fleet file means for one environment, resolved.

    Each engine has its own, frozen; it reads them with `Environment.values_of`. Their members are
    what JSON can say, tuples, sets and enums of it.
    """

    def texts(self) -> Mapping[str, str]:
        """Each key of the section, with its value for people."""
        ...

    def as_json(self) -> Mapping[str, Any]:
        """The same for programs: what `pgherd show --json` prints. Keys are only ever added."""
        ...


@dataclass(frozen=True, slots=True)
class Environment:
    """What all databases of one environment share.

    `values` has what the section of each engine means for it, by engine: of its own, and of the
    others too, which it would have on them.
    """

    name: str
    engine: str
    compartment: str
    network: IPv4Network
    availability_domains: int
    values: Mapping[str, EngineValues] = field(default_factory=dict, hash=False)

    def values_of(self, kind: type[V]) -> V:
        """What the section of the engine whose values are of that type means here."""
        for values in self.values.values():
            if isinstance(values, kind):
                return values
        raise TypeError(f"{self.name} has no {kind.__name__}")

    def with_values(self, engine: str, values: EngineValues) -> Environment:
        """The same with other values of that engine."""
        return replace(self, values={**self.values, engine: values})


@dataclass(frozen=True, slots=True)
class Database:
    """One database as the fleet file wants it.

    `name` is the resource name (`ecommerce-production-auth-db`). `pooling` is what clients
    get that do not say. `postgresql` is the major version, None for the newest that the engine
    has. `migrations` is a folder of schema migrations, `load` the program that plays the
    service's customers, `masking` the SQL that masks its copies in other environments.
    `maintenance` is when something may be restarted unasked, `peaks` is
    load that people know of beforehand. `origins` says for each value where it came from
    (`fleet.yaml:12` or `default`).
    """

    id: DatabaseId
    name: str
    environment: Environment
    ocpus: Ocpus
    storage: Storage
    replicas: Replicas
    durability: Durability
    autoscale: Autoscale | None
    backup: Backup
    deletion_protection: bool
    pooling: Pooling = Pooling.SESSION
    postgresql: int | None = None
    migrations: Path | None = None
    load: Path | None = None
    masking: Path | None = None
    maintenance: tuple[Window, ...] = ()
    peaks: tuple[Peak, ...] = ()
    drills: Drills = Drills()
    objectives: Objectives = Objectives()
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where something listens: an address of this machine, and a port."""

    address: str
    port: int

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else f"{self.address}:{self.port}"
        )


METRICS = Listen("127.0.0.1", 9468)
"""Where metrics are served unless the fleet file says otherwise."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Every database of a company. `path` is the fleet file's own place, `text` what is in it.

    `monitoring` is where the autopilot serves metrics, None for nowhere. `notifications` are who
    is told of alerts, each with a name of its own. `history` is None for a file on this machine.
    """

    name: str
    path: Path
    services: tuple[str, ...]
    environments: tuple[Environment, ...]
    databases: tuple[Database, ...]
    monitoring: Listen | None = METRICS
    notifications: tuple[Receiver, ...] = ()
    history: HistoryPlace | None = None
    text: str = field(default="", compare=False, repr=False)

    def receiver(self, name: str) -> Receiver:
        """The receiver of that name; InputError where there is none."""
        for receiver in self.notifications:
            if receiver.name == name:
                return receiver
        raise InputError(f"{name!r} is not a receiver of this fleet")

    def without_secrets(self) -> Fleet:
        """The same for who decides, and must not know how receivers are told."""
        receivers = tuple(r.without_secret() for r in self.notifications)
        return replace(self, notifications=receivers, text="")

    def environment(self, name: str) -> Environment:
        """The environment of that name; InputError where there is none."""
        for environment in self.environments:
            if environment.name == name:
                return environment
        known = ", ".join(e.name for e in self.environments)
        raise InputError(f"{name!r} is not an environment of this fleet", f"write one of {known}")

    def database(self, id: DatabaseId) -> Database:
        """The database of that id; InputError where there is none."""
        self.environment(id.environment)
        for database in self.databases:
            if database.id == id:
                return database
        known = ", ".join(self.services)
        raise InputError(f"{id.service!r} is not a service of this fleet", f"write one of {known}")

    def id(self, text: str) -> DatabaseId:
        """Read `ENVIRONMENT/SERVICE`; InputError, with one of these databases, for anything else.

        One of the environment or the service that is named, where that is all that is.
        """
        ids = [d.id for d in self.databases]
        near = [id for id in ids if text in (id.environment, id.service)]
        return DatabaseId.parse(text, next((str(id) for id in near + ids), ""))

    def in_environment(self, name: str) -> Iterator[Database]:
        """The databases of one environment, in the order of the services."""
        return (d for d in self.databases if d.id.environment == name)
