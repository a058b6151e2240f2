"""Whether a database is protected where its place archives by itself: by its last moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pgherd.contract.backups import BackupHistory, Window
from pgherd.control.protection import protection
from pgherd.fleet.desired import DatabaseId
from pgherd.testing.fleets import PRODUCTION, database
from pgherd.testing.memory.backups import MemoryBackups
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World

AUTH = database("auth")


class Late(MemoryBackups):
    """What the service has is so much behind; None: it has nothing but its backups."""

    behind: timedelta | None = timedelta(0)

    async def history(self, id: DatabaseId) -> BackupHistory:
        found = await super().history(id)
        if self.behind is None:
            return replace(found, windows=())
        window = found.windows[0]
        earlier = window.begin - timedelta(days=9)
        before = Window(earlier, earlier + timedelta(hours=1))
        return replace(found, windows=(replace(window, end=window.end - self.behind), before))


@pytest.mark.parametrize(
    ("behind", "why"),
    [
        (timedelta(0), None),
        (timedelta(minutes=-1), None),
        (timedelta(minutes=4), None),
        (timedelta(minutes=10), "its WAL of the last 10 min is not archived"),
        (None, "how far its WAL is archived is not known yet"),
    ],
)
async def test_the_newest_of_its_windows_says_how_far_it_is_archived(
    behind: timedelta | None, why: str | None
) -> None:
    now = datetime.fromisoformat("2026-05-04T12:00:00+00:00")
    world = World(now=lambda: now)
    engine = MemoryEngine(world)
    backups = Late(world, engine.ensure_database)
    backups.behind = behind
    engine.backups = backups
    await engine.ensure_environment(PRODUCTION)
    await engine.ensure_database(AUTH)
    await backups.back_up(AUTH.id)
    assert engine.proofs is not None
    await engine.proofs.prove(AUTH.id)
    assert (await protection(engine, AUTH.id, AUTH, {}, now)).why == why
