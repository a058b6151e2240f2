"""A fleet at one moment, as series are taken from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pgherd.contract.meter import DatabaseCounters, InstanceCounters
from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    Observations,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.fleet.desired import Database, DatabaseId, Fleet

ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class OfAutopilot:
    """The autopilot. `last_round_at` is in seconds since 1970, None where no round has ended.

    `resizes` are those of each database since its history began, None where that is not known.
    """

    is_up: bool
    last_round_at: float | None = None
    alerts: int | None = None
    resizes: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it. An engine that is not in `seen` was not looked at."""

    fleet: Fleet
    autopilot: OfAutopilot
    seen: Observations = field(default_factory=dict)
    counters: Mapping[DatabaseId, DatabaseCounters] = field(default_factory=dict)

    def engines(self) -> Iterator[EngineView]:
        """Those that were looked at."""
        for name, seen in self.seen.items():
            yield EngineView(name, isinstance(seen, Observation))

    def environments(self) -> Iterator[EnvironmentView]:
        """Those whose engine answered."""
        for environment in self.fleet.environments:
            seen = self.seen.get(environment.engine)
            if isinstance(seen, Observation):
                yield EnvironmentView(environment.name, seen)

    def databases(self) -> Iterator[DatabaseView]:
        """Those that the fleet file wants."""
        resizes = self.autopilot.resizes
        for database in self.fleet.databases:
            seen = self.seen.get(database.environment.engine)
            yield DatabaseView(
                database,
                seen.databases.get(database.id, ABSENT) if isinstance(seen, Observation) else seen,
                self.counters.get(database.id, DatabaseCounters()),
                None if resizes is None else resizes.get(str(database.id), 0),
            )

    def instances(self) -> Iterator[InstanceView]:
        """Those that are seen or measured."""
        for view in self.databases():
            seen = {i.name: i for i in view.observed.instances} if view.observed else {}
            counted = view.counters.instances
            for name in sorted({*seen, *counted}):
                measured = counted.get(name, InstanceCounters())
                yield InstanceView(view, name, seen.get(name), measured)


@dataclass(frozen=True, slots=True)
class EngineView:
    """One engine."""

    name: str
    is_up: bool

    def labels(self) -> dict[str, str]:
        """Which."""
        return {"engine": self.name}


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    """One environment, as its engine sees it."""

    name: str
    seen: Observation

    @property
    def is_up(self) -> bool | None:
        """What its databases share runs; None where it is stopped, or not there."""
        if self.name not in self.seen.environments - self.seen.stopped:
            return None
        return self.name not in self.seen.impaired

    def labels(self) -> dict[str, str]:
        """Which."""
        return {"environment": self.name}


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """One database. `seen` is ABSENT where it is not there, None where nobody looked."""

    database: Database
    seen: ObservedDatabase | Unknown | str | None
    counters: DatabaseCounters
    resizes: int | None

    @property
    def observed(self) -> ObservedDatabase | None:
        """As it was seen."""
        return self.seen if isinstance(self.seen, ObservedDatabase) else None

    @property
    def state(self) -> str | None:
        """In a word; None where nobody looked."""
        if isinstance(self.seen, ObservedDatabase):
            return self.seen.state.value
        return DatabaseState.UNKNOWN.value if isinstance(self.seen, Unknown) else self.seen

    @property
    def is_up(self) -> bool | None:
        """Its primary serves; None where it is not to, or that is not known."""
        match self.observed and self.observed.state:
            case DatabaseState.RUNNING | DatabaseState.DEGRADED:
                return True
            case DatabaseState.STARTING | DatabaseState.UNAVAILABLE:
                return False
            case _:
                return None

    @property
    def ocpus(self) -> int | None:
        """The size that it has."""
        if self.counters.ocpus is not None:
            return self.counters.ocpus
        return self.observed.ocpus if self.observed else None

    def labels(self) -> dict[str, str]:
        """Which."""
        return {"environment": self.database.id.environment, "service": self.database.id.service}


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One instance."""

    of: DatabaseView
    name: str
    observed: ObservedInstance | None
    counters: InstanceCounters

    @property
    def is_up(self) -> bool | None:
        """It serves; None where it is not to, or that is not known."""
        if self.observed is None or self.observed.state is InstanceState.UNKNOWN:
            return None
        is_stopped = self.of.observed and self.of.observed.state is DatabaseState.STOPPED
        return None if is_stopped else self.observed.serves

    @property
    def role(self) -> str:
        """What it is; empty where nobody knows."""
        if self.observed is not None and self.observed.role is not Role.UNKNOWN:
            return self.observed.role.value
        if self.counters.is_primary is None:
            return ""
        return (Role.PRIMARY if self.counters.is_primary else Role.REPLICA).value

    @property
    def lag_bytes(self) -> int | None:
        """As the primary sees it or it sees itself, whichever is more."""
        said = (self.observed.lag_bytes if self.observed else None, self.counters.lag_bytes)
        return max((lag for lag in said if lag is not None), default=None)

    @property
    def waits_for_restart(self) -> bool | None:
        """Some setting of it does."""
        return None if (seen := self.of.observed) is None else self.name in seen.restart_pending

    def labels(self) -> dict[str, str]:
        """Which."""
        role = {"role": self.role} if self.role else {}
        return {**self.of.labels(), "instance": self.name, **role}
