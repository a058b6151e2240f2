"""Each database of a fleet as it is seen, beside what the fleet file says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pgherd.contract.observed import (
    DatabaseState,
    Observation,
    Observations,
    ObservedDatabase,
    Unknown,
)
from pgherd.fleet.desired import Database, DatabaseId, Fleet

ABSENT = "absent"
NOT_IN_FILE = "not in the fleet file"


@dataclass(frozen=True, slots=True)
class Sight:
    """One database. `wanted` is None where it is not in the fleet file, `seen` where it is not
    there or gives no answer. `unprotected` says why it could not be restored as it should: empty
    where it could, None where nobody knows.
    """

    id: DatabaseId
    wanted: Database | None
    seen: ObservedDatabase | None
    state: str
    detail: str = ""
    environment_detail: str = ""
    unprotected: str | None = None

    @property
    def is_seen(self) -> bool:
        """There is an answer, be it that nothing is there."""
        return self.seen is not None or self.state == ABSENT


def sights(
    fleet: Fleet, observations: Observations, unprotected: Mapping[str, str] | None = None
) -> Iterator[Sight]:
    """The fleet file's databases in its order, then what else there is."""
    for sight in _sights(fleet, observations):
        yield replace(sight, unprotected=(unprotected or {}).get(str(sight.id)))


def _sights(fleet: Fleet, observations: Observations) -> Iterator[Sight]:
    for database in fleet.databases:
        yield _wanted(database, observations[database.environment.engine])
    wanted = {(d.environment.engine, d.id) for d in fleet.databases}
    for engine, observation in observations.items():
        if isinstance(observation, Observation):
            for id in sorted(observation.databases):
                if (engine, id) not in wanted:
                    yield _sight(id, None, observation)


def notes(observations: Observations) -> Iterator[str]:
    """What places lack, as engines say it for people."""
    for observation in observations.values():
        if isinstance(observation, Observation):
            yield from observation.notes


def _wanted(database: Database, observation: Observation | Unknown) -> Sight:
    if isinstance(observation, Unknown):
        return Sight(database.id, database, None, DatabaseState.UNKNOWN.value, observation.reason)
    return _sight(database.id, database, observation)


def _sight(id: DatabaseId, wanted: Database | None, observation: Observation) -> Sight:
    shared = observation.impaired.get(id.environment, "")
    found = observation.databases.get(id)
    if found is None:
        return Sight(id, wanted, None, ABSENT, "", shared)
    if isinstance(found, Unknown):
        return Sight(id, wanted, None, DatabaseState.UNKNOWN.value, found.reason, shared)
    marks = [NOT_IN_FILE] if wanted is None else []
    detail = "; ".join(filter(None, [*marks, found.detail]))
    return Sight(id, wanted, found, found.state.value, detail, shared)


def sights_json(found: Iterable[Sight]) -> dict[str, Any]:
    """What `status --json` prints. Keys are only ever added."""
    return {"databases": [_json(sight) for sight in found]}


def _json(sight: Sight) -> dict[str, Any]:
    seen = sight.seen
    return {
        "environment": sight.id.environment,
        "service": sight.id.service,
        "name": sight.wanted and sight.wanted.name,
        "state": sight.state,
        "ocpus": seen and seen.ocpus,
        "instances": [
            {
                "name": instance.name,
                "role": instance.role.value,
                "state": instance.state.value,
                "availability_domain": instance.availability_domain,
                "lag_bytes": instance.lag_bytes,
                "address": instance.address,
            }
            for instance in (seen.instances if seen else ())
        ],
        "durability": seen and seen.durability and seen.durability.value,
        "postgresql": seen and seen.postgresql,
        "schema_revision": seen and seen.schema_revision,
        "protected": None if sight.unprotected is None else not sight.unprotected,
        "unprotected": sight.unprotected or None,
        "detail": sight.detail,
        "restart_pending": list(seen.restart_pending) if seen else [],
        "answered_at": seen.answered_at.isoformat() if seen and seen.answered_at else None,
    }
