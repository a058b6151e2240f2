"""Which alerts are open now, and since when databases have been starting: of one controller."""

from __future__ import annotations

from collections.abc import Mapping

from pgherd.contract.meter import Usage
from pgherd.contract.observed import Observation, Observations, ObservedDatabase, Unknown
from pgherd.decide.alerts import START_SECONDS, Alert, of_database, starting
from pgherd.decide.disks import Past, disks, remembered
from pgherd.decide.disks import alerts as of_disk
from pgherd.fleet.desired import Database, Fleet


class Alerting:
    """What it remembers begins anew with each controller: such an alert comes later then."""

    def __init__(self) -> None:
        self._starting: Mapping[str, float] = {}
        self._free: Mapping[str, Past] = {}

    def current(
        self,
        fleet: Fleet,
        seen: Observations,
        usages: Mapping[str, Usage],
        deadlines: Mapping[str, float | None],
        now: float,
    ) -> tuple[Alert, ...]:
        """All of them. `deadlines` are those of the engines, where they have one of their own."""
        found = {str(d.id): _of(seen, d) for d in fleet.databases}
        self._starting = starting(self._starting, found, now)
        alerts: list[Alert] = []
        for database in fleet.databases:
            id = str(database.id)
            patience = deadlines.get(database.environment.engine) or START_SECONDS
            is_late = now - self._starting.get(id, now) >= patience
            alerts += of_database(id, found[id], usages.get(id), starts_too_long=is_late)
        there = disks(usages)
        self._free = {
            name: remembered(self._free.get(name, ()), now, disk.free)
            for name, disk in there.items()
        }
        for name in sorted(there):
            alerts += of_disk(there[name], self._free[name])
        return tuple(alerts)


def _of(seen: Observations, database: Database) -> ObservedDatabase | Unknown | None:
    observation = seen.get(database.environment.engine)
    if isinstance(observation, Observation):
        return observation.databases.get(database.id)
    return observation
