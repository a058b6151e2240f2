"""`drill region`: an environment comes up beside itself from a region's copies alone, and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pgherd.contract.backups import Latest
from pgherd.contract.engine import Engine
from pgherd.contract.observed import DatabaseState
from pgherd.control.abilities import backups_of
from pgherd.control.clock import Clock
from pgherd.errors import InputError, PgherdError, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Durability, Fleet, Replicas
from pgherd.fleet.names import resource_name

DRILL = "drill"
"""What the environment is called that comes up beside."""
AT_ONCE = 2
SERVED_SECONDS = 60.0
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Arrived:
    """One database: it served after `seconds`, with all that was handed over at `copied_until`.

    Or it did not, and `trouble` says why.
    """

    database: DatabaseId
    seconds: float | None = None
    copied_until: datetime | None = None
    trouble: str = ""


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
        found = [one.seconds for one in self.arrived if one.seconds is not None]
        return max(found) if self.ok else None

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
    began, turn = clock.now(), asyncio.Semaphore(AT_ONCE)

    async def bring(source: DatabaseId, target: Database) -> Arrived:
        async with turn:
            try:
                until = await _copied_until(engine, source, region)
                await backups_of(engine).restore(source, target, Latest(), region=region)
                await _served(engine, target.id, clock)
            except PgherdError as error:
                return Arrived(source, trouble=error.message)
            return Arrived(source, clock.now() - began, until)

    await _remove(engine, targets.values())
    try:
        await engine.ensure_environment(beside)
        arrived = await asyncio.gather(*(bring(*one) for one in targets.items()))
    finally:
        await _remove(engine, targets.values())
    return RegionDrill(environment, region, at, tuple(arrived))


async def _copied_until(engine: Engine, id: DatabaseId, region: str) -> datetime | None:
    """None where that is not known: what is copied may be lost itself."""
    try:
        history = await backups_of(engine).history(id)
    except PgherdError:
        return None
    copy = next((copy for copy in history.copies if copy.region == region), None)
    if copy is None:
        raise InputError(f"its backups have no copy in {region}")
    return copy.until


async def _served(engine: Engine, id: DatabaseId, clock: Clock) -> None:
    """TryLater where no client gets an answer in time."""
    deadline = clock.now() + SERVED_SECONDS
    while clock.now() < deadline:
        found = (await engine.observe()).databases.get(id)
        if getattr(found, "state", None) is DatabaseState.RUNNING:
            return
        await clock.sleep(LOOK_SECONDS)
    raise TryLater(f"it does not serve after {SERVED_SECONDS:.0f} s")


async def _remove(engine: Engine, databases: Iterable[Database]) -> None:
    """Nothing is left of a drill, also of one that was cut off."""
    for database in databases:
        await engine.ensure_absent(database.id)
    await engine.ensure_environment_absent(DRILL)
