"""How far a run has come, derived from what it tells: for a display, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pgherd.control.events import (
    Event,
    Finished,
    Late,
    Parked,
    Planned,
    Retrying,
    Started,
    Waiting,
)
from pgherd.decide.actions import (
    Action,
    CreateDatabase,
    SetReplicas,
    StartDatabase,
    StopDatabase,
    subject,
)
from pgherd.decide.plan import Plan
from pgherd.fleet.desired import DatabaseId


@dataclass(frozen=True, slots=True)
class Activity:
    """What is going on with one subject, since when, and what it waits for where that is long."""

    subject: str
    action: Action | None
    since: float
    trouble: str = ""
    waits: str = ""


@dataclass(slots=True)
class _DatabaseHeadway:
    left: int = 0
    expected: int = 1
    serving: int = 0
    growth: int = 0
    is_parked: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """One environment: how many are done of how many."""

    environment: str
    databases: int
    of_databases: int
    instances: int
    of_instances: int


@dataclass(slots=True)
class Headway:
    """Fed with events; `expected` is how many instances each database should have."""

    expected: Mapping[DatabaseId, int]
    activities: dict[str, Activity] = field(default_factory=dict)
    finished: int = 0
    _databases: dict[DatabaseId, _DatabaseHeadway] = field(default_factory=dict)

    def on_event(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case Planned(plan=plan):
                self._planned(plan)
            case Started(action=action, at=at):
                name = subject(action)
                self.activities[name] = Activity(name, action, at)
            case Finished(action=action):
                self.activities.pop(subject(action), None)
                self._finished(action)
            case Retrying(subject=name, error=error, at=at):
                self.activities[name] = Activity(name, None, at, error.message)
            case Parked(subject=name):
                self.activities.pop(name, None)
                self._parked(name)
            case Waiting(subject=name, why=why):
                if known := self.activities.get(name):
                    self.activities[name] = replace(known, waits=why)
            case Late():
                pass

    def scores(self) -> Iterator[Score]:
        """Each environment that has databases, in the fleet file's order."""
        environments = dict.fromkeys(id.environment for id in list(self._databases))
        for name in environments:
            mine = [d for id, d in list(self._databases.items()) if id.environment == name]
            yield Score(
                name,
                sum(1 for d in mine if d.left == 0 and not d.is_parked),
                len(mine),
                sum(d.serving for d in mine),
                sum(d.expected for d in mine),
            )

    def _planned(self, plan: Plan) -> None:
        if not self._databases:
            for id, count in self.expected.items():
                self._databases[id] = _DatabaseHeadway(expected=count, serving=count)
        planned = {d.id: d.steps for part in plan.environments for d in part.databases}
        for id, found in self._databases.items():
            found.left = len(planned.get(id, ()))
        for id, steps in planned.items():
            found = self._databases.setdefault(id, _DatabaseHeadway())
            found.left = len(steps)
            self._expect(found, steps)

    def _expect(self, found: _DatabaseHeadway, steps: tuple[Action, ...]) -> None:
        found.growth = 0
        for step in steps:
            if isinstance(step, SetReplicas):
                found.expected = 1 + step.target
                found.growth = max(0, step.target - step.current)
        starts = any(isinstance(s, CreateDatabase | StartDatabase) for s in steps)
        found.serving = 0 if starts else found.expected - found.growth

    def _finished(self, action: Action) -> None:
        self.finished += 1
        id = getattr(action, "id", None)
        found = self._databases.get(id) if id else None
        if found is None:
            return
        found.left = max(0, found.left - 1)
        if isinstance(action, CreateDatabase | StartDatabase):
            found.serving = found.expected - found.growth
        elif isinstance(action, SetReplicas):
            found.serving = found.expected
        elif isinstance(action, StopDatabase):
            found.serving = 0

    def _parked(self, name: str) -> None:
        for id, found in self._databases.items():
            if name in (str(id), id.environment) and (found.left or name == str(id)):
                found.is_parked = True
