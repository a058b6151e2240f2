"""What decide may ask for: a closed set of plain values, each with its reason and its price.

An action names what it changes and from what to what, so that `plan` can print it, `up`
can carry it out, and both say the same. Whoever consumes an `Action` matches all of them
and ends in `assert_never`: a new action cannot be forgotten anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, assert_never

from pgherd.fleet.desired import DatabaseId, Durability


class Interruption(StrEnum):
    """What the clients of a database notice."""

    NONE = "none"
    PAUSE = "a pause of under a second"
    REPLICA_RESTART = "a restart of a replica"
    ROLLING_RESTART = "restarts one by one, a pause of under a second"
    RESTART = "a restart: a few seconds"
    SERVICE_RESTART = "restarts by the service: connections end, maybe for minutes"
    STOP = "it does not serve until it is started again"
    DATA_LOSS = "the data is lost"


@dataclass(frozen=True, slots=True)
class EnsureEnvironment:
    """What the databases of an environment share exists and runs."""

    interruption: ClassVar[Interruption] = Interruption.NONE
    environment: str
    reason: str


@dataclass(frozen=True, slots=True)
class CreateDatabase:
    """A database that is not there is made, with its primary alone."""

    interruption: ClassVar[Interruption] = Interruption.NONE
    id: DatabaseId
    reason: str


@dataclass(frozen=True, slots=True)
class StartDatabase:
    """A database that does not serve yet is brought to serve."""

    interruption: ClassVar[Interruption] = Interruption.NONE
    id: DatabaseId
    reason: str


@dataclass(frozen=True, slots=True)
class RepairDatabase:
    """Instances that do not serve are mended."""

    interruption: ClassVar[Interruption] = Interruption.NONE
    id: DatabaseId
    reason: str


@dataclass(frozen=True, slots=True)
class SetReplicas:
    """Replicas are added or taken away."""

    interruption: ClassVar[Interruption] = Interruption.NONE
    id: DatabaseId
    current: int
    target: int
    reason: str


@dataclass(frozen=True, slots=True)
class SetOcpus:
    """Every instance gets another size. Restarts for settings that need one follow."""

    id: DatabaseId
    current: int
    target: int
    reason: str
    interruption: Interruption


@dataclass(frozen=True, slots=True)
class SetDurability:
    """Commits are acknowledged earlier or later than now."""

    interruption: ClassVar[Interruption] = Interruption.NONE
    id: DatabaseId
    current: Durability
    target: Durability
    reason: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a database, by the fleet file's name."""

    name: str
    current: str
    target: str


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """What is set for a database beside its size is set anew. Restarts may follow."""

    id: DatabaseId
    settings: tuple[Setting, ...]
    reason: str
    interruption: Interruption


@dataclass(frozen=True, slots=True)
class RestartInstance:
    """An instance takes over settings that waited for a restart."""

    id: DatabaseId
    instance: str
    reason: str
    interruption: Interruption


@dataclass(frozen=True, slots=True)
class Switchover:
    """A replica becomes the primary, with the poolers paused meanwhile."""

    interruption: ClassVar[Interruption] = Interruption.PAUSE
    id: DatabaseId
    current: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class ApplyMigrations:
    """The schema is brought to the newest revision of its migrations."""

    interruption: ClassVar[Interruption] = Interruption.NONE
    id: DatabaseId
    current: str | None
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class StopDatabase:
    """Nothing of it runs any more; its data is kept."""

    interruption: ClassVar[Interruption] = Interruption.STOP
    id: DatabaseId
    reason: str


@dataclass(frozen=True, slots=True)
class DeleteDatabase:
    """Nothing of it is left."""

    interruption: ClassVar[Interruption] = Interruption.DATA_LOSS
    id: DatabaseId
    reason: str


@dataclass(frozen=True, slots=True)
class StopEnvironment:
    """What an environment's databases share does not run any more."""

    interruption: ClassVar[Interruption] = Interruption.STOP
    environment: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeleteEnvironment:
    """Nothing of it is left, its certificate authority neither."""

    interruption: ClassVar[Interruption] = Interruption.DATA_LOSS
    environment: str
    reason: str


EnvironmentAction = EnsureEnvironment | StopEnvironment | DeleteEnvironment
DatabaseAction = (
    CreateDatabase
    | StartDatabase
    | RepairDatabase
    | SetReplicas
    | SetOcpus
    | SetDurability
    | ChangeSettings
    | RestartInstance
    | Switchover
    | ApplyMigrations
    | StopDatabase
    | DeleteDatabase
)
Action = EnvironmentAction | DatabaseAction


def subject(action: Action) -> str:
    """What it is done to: `production` or `production/auth`."""
    match action:
        case EnsureEnvironment() | StopEnvironment() | DeleteEnvironment():
            return action.environment
        case _:
            return str(action.id)


def summary(action: Action) -> str:
    """What is done, in a few words, without its subject and its reason."""
    match action:
        case EnsureEnvironment():
            return "set up what its databases share"
        case CreateDatabase():
            return "create"
        case StartDatabase():
            return "start"
        case RepairDatabase():
            return "repair"
        case SetReplicas():
            return f"replicas {action.current} → {action.target}"
        case SetOcpus():
            return f"ocpus {action.current} → {action.target}"
        case SetDurability():
            return f"durability {action.current} → {action.target}"
        case ChangeSettings():
            return ", ".join(f"{s.name} {s.current} → {s.target}" for s in action.settings)
        case RestartInstance():
            return f"restart {action.instance}"
        case Switchover():
            return f"switchover {action.current} → {action.target}"
        case ApplyMigrations():
            return f"migrations {action.current or 'none'} → {action.target}"
        case StopDatabase() | StopEnvironment():
            return "stop"
        case DeleteDatabase() | DeleteEnvironment():
            return "delete"
        case _:
            assert_never(action)


def is_disruptive(action: Action) -> bool:
    """It takes a serving instance away for a while, so it wants a fresh look just before."""
    return isinstance(action, RestartInstance | Switchover)
