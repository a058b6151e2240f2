"""What is seen of instances, databases and environments: plain data, nothing guessed.

What gives no answer is `Unknown`, which is never "not there".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pgherd.fleet.desired import DatabaseId, Durability


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
    for a restart. `settings` are what else is applied, as the engine's `Settings` name it; what is
    unknown is left out. `resize_ends_connections`: another size restarts it without a switchover;
    `resizes_live`: another size within the fleet file's bounds restarts nothing.
    `answered_at` is when somebody who came the way of its clients was last answered, None where
    nobody was, or tries; two that differ in it alone are equal.
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
    resizes_live: bool = False
    answered_at: datetime | None = field(default=None, compare=False)

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
    shared services should run and do not, why; `stopped` are those stopped on request. `notes` are
    for people: what this place lacks, as it shows now.
    """

    environments: frozenset[str] = frozenset()
    databases: Mapping[DatabaseId, ObservedDatabase | Unknown] = field(default_factory=dict)
    impaired: Mapping[str, str] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


Observations = Mapping[str, Observation | Unknown]
"""What each engine sees, by the engine's name; Unknown where it cannot see at all."""
