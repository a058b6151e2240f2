"""Clients wait while their database is given other data, which no rule of `core` foresees.

It acts on its own: nobody may take the end of the servers for an accident meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg

from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.core import SETTLE_SECONDS
from pgherd.engines.local.backup import exchange
from pgherd.engines.local.processes import Identity
from pgherd.errors import NeedsHuman, PgherdError

PAUSED_SECONDS = 2.0
"""A pooler whose servers are gone has paused by then."""
SILENT = (psycopg.Error, OSError, PgherdError)
"""Who is asked does not answer: what is wanted goes on without."""


@asynccontextmanager
async def held(cluster: Cluster, pooler: Identity) -> AsyncIterator[None]:
    """New transactions of all names wait; those that are open have had some seconds to end.

    Those that have not are lost, with all else that was written since what is about to come.
    """
    with suppress(*SILENT):
        await cluster.looks.checkpoint(cluster.primary)
    console, loop = cluster.console, asyncio.get_running_loop()
    until = loop.time() + SETTLE_SECONDS
    console.note_hold(pooler)
    # A PAUSE that is given up may be forgotten by the pooler: each goes on until it is at rest.
    pausing = {asyncio.create_task(console.pause_transactions())}
    try:
        await asyncio.wait(pausing, timeout=SETTLE_SECONDS)
        pausing.add(asyncio.create_task(console.pause_others()))
        with suppress(TimeoutError, *SILENT):
            async with asyncio.timeout_at(until):
                await cluster.looks.until_settled(cluster.primary)
        yield
        await asyncio.wait(pausing, timeout=PAUSED_SECONDS)
    finally:
        for task in pausing:
            task.cancel()
        await asyncio.gather(*pausing, return_exceptions=True)


def exchanged(kept: Path, others: Iterable[Path], *, is_undo: bool) -> bool:
    """What lies beside an instance's data has its place, and others have none.

    Whether what it had is kept.
    """
    for other in others:
        exchange.clear_away(other)
    try:
        return exchange.undo(kept) if is_undo else exchange.put(kept)
    except (exchange.Missing, OSError) as error:
        raise NeedsHuman(f"{kept} has not the data that it should: {error}") from error
