"""Databases that come up from their backups, several of an environment, and when each served."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pgherd.contract.backups import Goal
from pgherd.contract.engine import Engine
from pgherd.contract.observed import DatabaseState
from pgherd.control.abilities import backups_of
from pgherd.control.clock import Clock
from pgherd.control.wishes import wishes
from pgherd.errors import InputError, PgherdError, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Fleet

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


def rto_seconds(arrived: Sequence[Arrived]) -> float | None:
    """Until the last one served; None where one did not."""
    found = [one.seconds for one in arrived if one.seconds is not None]
    return max(found, default=0.0) if len(found) == len(arrived) else None


async def bring(
    engine: Engine,
    targets: Mapping[DatabaseId, Database],
    goal: Goal,
    region: str | None,
    clock: Clock,
) -> tuple[Arrived, ...]:
    """Each target is as its source was, from the copies in a region or from where its backups are.

    What fails is told of, and holds no other up.
    """
    began, turn = clock.now(), asyncio.Semaphore(AT_ONCE)

    async def one(source: DatabaseId, target: Database) -> Arrived:
        async with turn:
            try:
                until = await _copied_until(engine, source, region) if region else None
                await backups_of(engine).restore(source, target, goal, region=region)
                await _served(engine, target.id, clock)
            except PgherdError as error:
                return Arrived(source, trouble=error.message)
            return Arrived(source, clock.now() - began, until)

    return tuple(await asyncio.gather(*(one(*pair) for pair in targets.items())))


async def bring_back(
    engine: Engine, fleet: Fleet, environment: str, goal: Goal, region: str | None, clock: Clock
) -> tuple[Arrived, ...]:
    """Those of an environment that are in the fleet file, and not there.

    InputError where all are, or where one cannot be had as the fleet file says.
    """
    await engine.ensure_environment(fleet.environment(environment))
    there = (await engine.observe()).databases
    mine = [d for d in fleet.databases if d.id.environment == environment]
    lost = [d for d in mine if d.id not in there]
    if not lost:
        raise InputError(
            f"all databases of {environment} are there", "name the one that is to be restored"
        )
    found = await wishes(lost, {engine.name: engine}, None)
    if objections := [o for wish in found for o in wish.objections]:
        raise objections[0]
    targets = {wish.id: wish.database for wish in found}
    return await bring(engine, targets, goal, region, clock)


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
