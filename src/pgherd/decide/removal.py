"""Taking things down on request: what `down` stops and what `destroy` deletes.

Both are derived from what is seen, so they finish what an earlier run began. An environment
follows its databases. What has deletion protection, or has left the fleet file so that
nobody can say whether it had, is only destroyed when it, or its environment, is named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pgherd.contract.observed import DatabaseState, Observation, Observations, Unknown
from pgherd.decide.actions import DeleteDatabase, DeleteEnvironment, StopDatabase, StopEnvironment
from pgherd.decide.database import Refusal
from pgherd.decide.plan import DatabasePlan, EnvironmentPlan, Plan, Unseen
from pgherd.fleet.desired import DatabaseId, Fleet


def stop_plan(observations: Observations, targets: Collection[str] = ()) -> Plan:
    """What stops these environments and databases, or everything."""
    return _over(observations, _Stop(targets))


def destroy_plan(
    fleet: Fleet,
    observations: Observations,
    targets: Collection[str] = (),
    allow_destroy: Collection[str] = (),
) -> Plan:
    """What deletes these environments and databases, or everything; all of it or nothing."""
    found = _over(observations, _Destroy(targets, fleet, allow_destroy))
    return Plan((), found.refused, found.unknown) if found.refused else found


def _is_target(id: DatabaseId, targets: Collection[str]) -> bool:
    return not targets or id.environment in targets or str(id) in targets


@dataclass(frozen=True, slots=True)
class _Stop:
    targets: Collection[str]

    def database(self, id: DatabaseId, state: DatabaseState) -> DatabasePlan | Refusal | None:
        if not _is_target(id, self.targets) or state is DatabaseState.STOPPED:
            return None
        return DatabasePlan(id, (StopDatabase(id, f"asked for; it is {state}"),))

    def environment(self, name: str, seen: Observation) -> StopEnvironment | None:
        if (self.targets and name not in self.targets) or name in seen.stopped:
            return None
        return StopEnvironment(name, "asked for")


@dataclass(frozen=True, slots=True)
class _Destroy:
    targets: Collection[str]
    fleet: Fleet
    allow_destroy: Collection[str]

    def database(self, id: DatabaseId, state: DatabaseState) -> DatabasePlan | Refusal | None:
        if not _is_target(id, self.targets):
            return None
        named = str(id) in self.allow_destroy or id.environment in self.allow_destroy
        if not named and (reason := self._protection(id)):
            # Who names one database is not told to give up its whole environment.
            flag = str(id) if str(id) in self.targets else id.environment
            hint = f"write --yes-destroy {flag} to destroy it with its data"
            return Refusal(str(id), reason, hint, flag)
        return DatabasePlan(id, (DeleteDatabase(id, f"asked for; it is {state}"),))

    def _protection(self, id: DatabaseId) -> str:
        siblings = list(self.fleet.in_environment(id.environment))
        for database in siblings:
            if database.id == id:
                return "it has deletion protection" if database.deletion_protection else ""
        if siblings and not any(d.deletion_protection for d in siblings):
            return ""
        return "it is not in the fleet file, so it counts as protected"

    def environment(self, name: str, seen: Observation) -> DeleteEnvironment | None:
        if self.targets and name not in self.targets:
            return None
        return DeleteEnvironment(name, "asked for")


def _over(observations: Observations, verb: _Stop | _Destroy) -> Plan:
    parts: list[EnvironmentPlan] = []
    refused: list[Refusal] = []
    unknown: list[Unseen] = []
    for engine, seen in observations.items():
        if isinstance(seen, Unknown):
            unknown.append(Unseen(engine, seen.reason))
            continue
        unseen = list(_unseen(seen, verb.targets))
        unknown += unseen
        for name in sorted(seen.environments | {id.environment for id in seen.databases}):
            hides = any(DatabaseId.parse(u.subject).environment == name for u in unseen)
            part = _part(engine, name, seen, verb, refused, hides=hides)
            parts += [part] if part.steps else []
    return Plan(tuple(parts), tuple(refused), tuple(unknown))


def _unseen(seen: Observation, targets: Collection[str]) -> Iterator[Unseen]:
    for id, found in sorted(seen.databases.items()):
        if isinstance(found, Unknown) and _is_target(id, targets):
            yield Unseen(str(id), found.reason)


def _part(
    engine: str,
    name: str,
    seen: Observation,
    verb: _Stop | _Destroy,
    refused: list[Refusal],
    *,
    hides: bool,
) -> EnvironmentPlan:
    databases: list[DatabasePlan] = []
    for id, found in sorted(seen.databases.items()):
        if id.environment != name or isinstance(found, Unknown):
            continue
        planned = verb.database(id, found.state)
        if isinstance(planned, Refusal):
            refused.append(planned)
        elif planned is not None:
            databases.append(planned)
    last = None if hides else verb.environment(name, seen)
    return EnvironmentPlan(name, engine, (), tuple(databases), (last,) if last else ())
