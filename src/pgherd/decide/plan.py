"""What would change, for the whole fleet: `plan` prints it, `up` carries it out.

Pure: the same wishes and the same observations give the same plan, and a plan that was
carried out plans to nothing. Three things are kept apart from the steps: what is refused
since it would lose data or cannot be done, what is not seen and so not decided, and nothing
else. Data is only ever given up by name: `production/order` for a database, `production`
for an environment that has left the fleet file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain

from pgherd.contract.observed import Observation, Observations, ObservedDatabase, Unknown
from pgherd.decide.actions import (
    Action,
    CreateDatabase,
    DatabaseAction,
    DeleteDatabase,
    DeleteEnvironment,
    EnsureEnvironment,
    EnvironmentAction,
    RepairDatabase,
    StartDatabase,
)
from pgherd.decide.database import Refusal, database_steps, refusal
from pgherd.decide.wish import Wish, Wishes
from pgherd.errors import InputError
from pgherd.fleet.desired import DatabaseId, Environment
from pgherd.units import number


@dataclass(frozen=True, slots=True)
class Unseen:
    """What no answer came from. Nothing is decided on it."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class DatabasePlan:
    """The steps of one database, in order. No other database waits for them."""

    id: DatabaseId
    steps: tuple[DatabaseAction, ...]


@dataclass(frozen=True, slots=True)
class EnvironmentPlan:
    """`before` comes before the databases, `after` only once all of them are done."""

    name: str
    engine: str
    before: tuple[EnvironmentAction, ...] = ()
    databases: tuple[DatabasePlan, ...] = ()
    after: tuple[EnvironmentAction, ...] = ()

    @property
    def steps(self) -> tuple[Action, ...]:
        """All of them, in an order in which they may be done."""
        of_databases = chain.from_iterable(database.steps for database in self.databases)
        return (*self.before, *of_databases, *self.after)

    def steps_of(self, id: DatabaseId) -> tuple[Action, ...]:
        """The steps of one database alone, and what its environment needs before them."""
        steps = next((d.steps for d in self.databases if d.id == id), ())
        return (*self.before, *steps) if steps else ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps by environment, and what is not done and why."""

    environments: tuple[EnvironmentPlan, ...] = ()
    refused: tuple[Refusal, ...] = ()
    unknown: tuple[Unseen, ...] = ()

    @property
    def steps(self) -> tuple[Action, ...]:
        """All steps of all environments."""
        return tuple(chain.from_iterable(e.steps for e in self.environments))

    @property
    def is_empty(self) -> bool:
        """Nothing to do. Something may still be refused or not seen."""
        return not self.steps

    def environment(self, name: str, engine: str) -> EnvironmentPlan:
        """The part of one environment; without steps where nothing is planned."""
        for part in self.environments:
            if (part.name, part.engine) == (name, engine):
                return part
        return EnvironmentPlan(name, engine)

    def hides(self, subject: str) -> str | None:
        """Why that one is not seen, None where it is."""
        return next((u.reason for u in self.unknown if u.subject == subject), None)

    def without(self, subjects: Collection[str]) -> Plan:
        """The same, less the steps of these databases and environments."""
        rest = (_less(part, subjects) for part in self.environments if part.name not in subjects)
        return Plan(tuple(p for p in rest if p.steps), self.refused, self.unknown)


def _less(part: EnvironmentPlan, subjects: Collection[str]) -> EnvironmentPlan:
    kept = tuple(d for d in part.databases if str(d.id) not in subjects)
    complete = len(kept) == len(part.databases)
    before = part.before if kept or complete else ()
    return EnvironmentPlan(part.name, part.engine, before, kept, part.after if complete else ())


def plan(
    wishes: Wishes, observations: Observations, *, allow_destroy: Collection[str] = ()
) -> Plan:
    """What makes the world match what is wanted."""
    parts: list[EnvironmentPlan] = []
    refused: list[Refusal] = []
    unknown: list[Unseen] = []
    for environment in wishes.environments:
        if environment.engine not in observations:
            raise InputError(
                f"{environment.name} is on engine {environment.engine!r}, which is not there",
                f"write engine: {' or '.join(sorted(observations))}",
            )
        part = _Wanted(wishes, environment, observations).plan()
        _collect(part, parts, refused, unknown)
    for engine, seen in observations.items():
        if isinstance(seen, Observation):
            _collect(_unwanted(wishes, engine, seen, allow_destroy), parts, refused, unknown)
    merged = _merged(parts)
    return Plan(tuple(p for p in merged if p.steps), tuple(refused), tuple(unknown))


def _collect(
    part: Plan, parts: list[EnvironmentPlan], refused: list[Refusal], unknown: list[Unseen]
) -> None:
    parts += part.environments
    refused += part.refused
    unknown += part.unknown


def _merged(parts: list[EnvironmentPlan]) -> Iterator[EnvironmentPlan]:
    """One part for each environment on an engine: changes first, then deletions."""
    merged: dict[tuple[str, str], EnvironmentPlan] = {}
    for part in parts:
        key = (part.name, part.engine)
        if (first := merged.get(key)) is None:
            merged[key] = part
        else:
            merged[key] = EnvironmentPlan(
                part.name,
                part.engine,
                first.before + part.before,
                first.databases + part.databases,
                first.after + part.after,
            )
    return iter(merged.values())


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One environment of the fleet file."""

    wishes: Wishes
    environment: Environment
    observations: Observations

    def plan(self) -> Plan:
        seen = self.observations[self.environment.engine]
        if isinstance(seen, Unknown):
            return Plan(unknown=(Unseen(self.environment.name, seen.reason),))
        databases: list[DatabasePlan] = []
        refused: list[Refusal] = []
        unknown: list[Unseen] = []
        for wish in self.wishes.in_environment(self.environment.name):
            found = self._database(wish, seen.databases.get(wish.id))
            if isinstance(found, tuple):
                refused += found
            elif isinstance(found, Unseen):
                unknown.append(found)
            else:
                databases.append(found)
        wanted = tuple(d for d in databases if d.steps)
        # Where everything is refused there is nothing to make a place for.
        hopeless = bool(refused) and not databases
        before = () if hopeless else tuple(self._before(seen, wanted))
        part = EnvironmentPlan(self.environment.name, self.environment.engine, before, wanted)
        return Plan((part,), tuple(refused), tuple(unknown))

    def _database(
        self, wish: Wish, seen: ObservedDatabase | Unknown | None
    ) -> DatabasePlan | tuple[Refusal, ...] | Unseen:
        if isinstance(seen, Unknown):
            return Unseen(str(wish.id), seen.reason)
        if seen is None and (elsewhere := self._elsewhere(wish.id)) is not None:
            return (_moved(str(wish.id), elsewhere, self.environment.engine),)
        if seen is not None and (reason := refusal(wish.database, seen)) is not None:
            return (reason,)
        if wish.objections:
            return tuple(Refusal(str(wish.id), o.message, o.hint) for o in wish.objections)
        return DatabasePlan(wish.id, database_steps(wish, seen))

    def _elsewhere(self, id: DatabaseId) -> str | None:
        for engine, seen in self.observations.items():
            if isinstance(seen, Observation) and id in seen.databases:
                return engine
        return None

    def _before(
        self, seen: Observation, databases: tuple[DatabasePlan, ...]
    ) -> Iterator[EnsureEnvironment]:
        name = self.environment.name
        if name not in seen.environments:
            yield EnsureEnvironment(name, "it does not exist")
        elif name in seen.impaired:
            yield EnsureEnvironment(name, seen.impaired[name])
        elif starting := [d.id for d in databases if _makes_it_serve(d.steps)]:
            # A half-made or half-running environment may look complete.
            verb = "is" if len(starting) == 1 else "are"
            reason = f"{len(starting)} of its databases {verb} to serve"
            yield EnsureEnvironment(name, reason)


def _makes_it_serve(steps: tuple[DatabaseAction, ...]) -> bool:
    return any(isinstance(s, CreateDatabase | StartDatabase | RepairDatabase) for s in steps)


def _moved(subject: str, current: str, target: str) -> Refusal:
    return Refusal(
        subject,
        f"it is on engine {current} and the fleet file says {target}: "
        "pgherd does not move databases between engines",
        f"write engine: {current}, or destroy it first",
    )


def _unwanted(
    wishes: Wishes, engine: str, seen: Observation, allow_destroy: Collection[str]
) -> Plan:
    """What one engine has and the fleet file has not."""
    wanted = {wish.id for wish in wishes.databases}
    kept = {e.name for e in wishes.environments}
    names = seen.environments | {id.environment for id in seen.databases}
    parts: list[EnvironmentPlan] = []
    refused: list[Refusal] = []
    unknown: list[Unseen] = []
    for name in sorted(names):
        extra = sorted(id for id in seen.databases if id.environment == name and id not in wanted)
        unwanted = _Unwanted(engine, name, name not in kept, extra, seen, allow_destroy)
        _collect(unwanted.plan(), parts, refused, unknown)
    return Plan(tuple(parts), tuple(refused), tuple(unknown))


@dataclass(frozen=True, slots=True)
class _Unwanted:
    """What of one environment is there and not in the fleet file. `gone`: all of it."""

    engine: str
    name: str
    gone: bool
    databases: list[DatabaseId]
    seen: Observation
    allow_destroy: Collection[str]

    def plan(self) -> Plan:
        unknown = tuple(self._unseen())
        hidden = {u.subject for u in unknown}
        there = [id for id in self.databases if str(id) not in hidden]
        allowed = [id for id in there if self._is_allowed(id)]
        kept = [id for id in there if id not in allowed]
        steps = tuple(DatabasePlan(id, (self._delete(id),)) for id in allowed)
        complete = self.gone and not hidden and not kept and self.name in self.allow_destroy
        after = (DeleteEnvironment(self.name, _GONE),) if complete else ()
        part = EnvironmentPlan(self.name, self.engine, (), steps, after)
        return Plan((part,), tuple(self._refused(kept)), unknown)

    def _is_allowed(self, id: DatabaseId) -> bool:
        return str(id) in self.allow_destroy or (self.gone and self.name in self.allow_destroy)

    def _delete(self, id: DatabaseId) -> DeleteDatabase:
        return DeleteDatabase(id, f"{_GONE}, and was named to be destroyed")

    def _unseen(self) -> Iterator[Unseen]:
        for id in self.databases:
            if isinstance(found := self.seen.databases[id], Unknown):
                yield Unseen(str(id), found.reason)

    def _refused(self, kept: list[DatabaseId]) -> Iterator[Refusal]:
        if self.gone and self.name not in self.allow_destroy:
            count = len(self.databases)
            message = f"{_GONE} and has {number(count, 'database')} with data"
            yield _destroyed_by_name(self.name, message)
        elif not self.gone:
            for id in kept:
                yield _destroyed_by_name(str(id), f"{_GONE} and has data")


_GONE = "it is not in the fleet file"


def _destroyed_by_name(name: str, message: str) -> Refusal:
    hint = f"write it into the fleet file again, or destroy it with --yes-destroy {name}"
    return Refusal(name, message, hint, name)
