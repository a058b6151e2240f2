"""`drill region`: an environment comes up beside itself from a region's copies alone, and goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pgherd.contract.backups import Latest
from pgherd.contract.engine import Engine
from pgherd.control.arrivals import Arrived, bring, rto_seconds
from pgherd.control.clock import Clock
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId, Durability, Fleet, Replicas
from pgherd.fleet.names import resource_name

DRILL = "drill"
"""What the environment is called that comes up beside."""


@dataclass(frozen=True, slots=True)
class RegionDrill:
    """What a drill of `region` has found, which began at `at`."""

    environment: str
    region: str
    at: datetime
    arrived: tuple[Arrived, ...]

    @property
    def ok(self) -> bool:
        """All came up."""
        return all(one.seconds is not None for one in self.arrived)

    @property
    def rto_seconds(self) -> float | None:
        """Until the last one served; None where one did not."""
        return rto_seconds(self.arrived)

    @property
    def rpo_seconds(self) -> float | None:
        """How far the copy that is the farthest behind was; None where one is not known."""
        found = [one.copied_until for one in self.arrived if one.copied_until is not None]
        if len(found) < len(self.arrived):
            return None
        return max(0.0, (self.at - min(found)).total_seconds())


def region_of(databases: Sequence[Database], region: str | None) -> str:
    """Where the copies of an environment are; InputError where that is not clear."""
    known = sorted({name for database in databases for name in database.backup.copy_to})
    name = databases[0].id.environment if databases else "an environment without databases"
    if not known:
        raise InputError(f"{name} has no copies elsewhere", "see `copy_to` of the fleet file")
    if region is None:
        if len(known) > 1:
            raise InputError(f"{name} has copies in {', '.join(known)}", "say --region NAME")
        return known[0]
    if region not in known:
        raise InputError(f"{name} has no copies in {region}", f"it has some in {', '.join(known)}")
    return region


async def drill_region(
    engine: Engine, fleet: Fleet, environment: str, region: str, at: datetime, clock: Clock
) -> RegionDrill:
    """Each database is restored to an environment of its own, without replicas, and removed.

    Nothing of it is in the fleet file, and only whoever runs pgherd has certificates for it.
    InputError where the name that it gets is taken.
    """
    wanted = fleet.environment(environment)
    if DRILL in {one.name for one in fleet.environments}:
        raise InputError(
            f"environment {DRILL} is in the fleet file, and drills are called so", "rename it"
        )
    beside = replace(wanted, name=DRILL)
    targets = {
        database.id: replace(
            database,
            id=(id := DatabaseId(DRILL, database.id.service)),
            name=resource_name(fleet.name, id.environment, id.service),
            environment=beside,
            replicas=Replicas(0, 0),
            durability=Durability.ASYNCHRONOUS,
            deletion_protection=False,
        )
        for database in fleet.databases
        if database.id.environment == environment
    }
    await _remove(engine, targets.values())
    try:
        await engine.ensure_environment(beside)
        arrived = await bring(engine, targets, Latest(), region, clock)
    finally:
        await _remove(engine, targets.values())
    return RegionDrill(environment, region, at, arrived)


async def _remove(engine: Engine, databases: Iterable[Database]) -> None:
    """Nothing is left of a drill, also of one that was cut off."""
    for database in databases:
        await engine.ensure_absent(database.id)
    await engine.ensure_environment_absent(DRILL)
