"""How well each database could be restored, and what has proven it: asked of all engines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pgherd.contract.backups import BackupHistory
from pgherd.contract.engine import Engine
from pgherd.control.protection import Protection, protection, used
from pgherd.errors import PgherdError
from pgherd.fleet.desired import Database


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of one database of the fleet file."""

    database: Database
    protection: Protection


async def evidence(
    engines: Mapping[str, Engine], databases: Iterable[Database], now: datetime
) -> tuple[Evidence, ...]:
    """That of each; where an engine cannot say, that is why it is not protected."""
    databases = tuple(databases)
    names = {database.environment.engine for database in databases}
    usages = {name: await used(engines[name]) for name in names}
    turns = {name: asyncio.Semaphore(engines[name].concurrency) for name in names}

    async def look(database: Database) -> Evidence:
        name = database.environment.engine
        async with turns[name]:
            try:
                found = await protection(engines[name], database.id, database, usages[name], now)
            except PgherdError as error:
                found = Protection(BackupHistory(), (), error.message)
        return Evidence(database, found)

    return tuple(await asyncio.gather(*(look(database) for database in databases)))
