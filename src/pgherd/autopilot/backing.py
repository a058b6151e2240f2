"""Backups of engines that take none by themselves, and their proofs: asked for in time.

What is late, or has failed, is told of.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pgherd.autopilot.asking import Asking
from pgherd.autopilot.checks import pause_of
from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.requests import BackUp, BackupsSeen, DropArchive, OfBackups, Pause, Prove
from pgherd.autopilot.telling import Telling
from pgherd.contract.meter import Usage
from pgherd.contract.observed import DatabaseState, Observation, Observations, ObservedDatabase
from pgherd.decide.alerts import Alert
from pgherd.decide.backups import (
    proven_every,
    why_copied_late,
    why_due,
    why_to_prove,
    why_unprotected,
)
from pgherd.decide.disks import disks, to_give_up
from pgherd.errors import PgherdError
from pgherd.fleet.desired import Database, Fleet, WhenFull
from pgherd.units import rounded_bytes

log = logging.getLogger(__name__)

LOOK_SECONDS = 120.0
"""So often the helper looks at what there is; where a backup has ended, at once."""
SOON_SECONDS = 20.0
"""The same where there is a database of which nothing is known."""
AT_ONCE = 3
"""Of an environment: they read all of a disk, and wait a lot."""
ALL_AT_ONCE = 6
"""Of all environments together."""
PATIENCE_SECONDS = 1800.0
"""A database that is seen unprotected for so long is told of."""
KINDS: Mapping[type[OfBackups], str] = {
    BackUp: "backup",
    Prove: "drill",
    DropArchive: "archive-dropped",
}
"""What the history calls them."""
SERVES = (DatabaseState.RUNNING, DatabaseState.DEGRADED)


class Backing:
    """Of one controller."""

    def __init__(self, helper: HelperLink, telling: Telling) -> None:
        self._helper = helper
        self._telling = telling
        self._asking = Asking(helper)
        self._known: dict[str, BackupsSeen] = {}
        self._ended: dict[str, float] = {}
        self._stale: set[str] = set()
        self._serving: set[str] = set()
        self._looked: dict[str, float] = {}
        self._looking: set[tuple[str, str]] = set()
        self._bare_since: dict[str, float] = {}
        self._every: dict[str, timedelta] = {}

    def round(
        self,
        fleet: Fleet,
        engines: Collection[str],
        seen: Observations,
        usages: Mapping[str, Usage],
        pauses: Sequence[Pause],
        at: datetime,
    ) -> None:
        """Begin what is due on these engines, which take none by themselves."""
        mine = [d for d in fleet.databases if d.environment.engine in engines]
        names = {str(d.id) for d in mine}
        self._every = {str(d.id): proven_every(d) for d in mine}
        self._known = {id: found for id, found in self._known.items() if id in names}
        self._ended = {id: ended for id, ended in self._ended.items() if id in names}
        self._stale &= names
        self._asking.forget_all_but(names)
        serving = [d for d in mine if _serves(d, seen)]
        self._serving = {str(d.id) for d in serving}
        for engine in engines:
            of_it = {str(d.id) for d in serving if d.environment.engine == engine}
            is_unsure = of_it - self._known.keys() or of_it & self._stale
            every = SOON_SECONDS if is_unsure else LOOK_SECONDS
            if time.monotonic() - self._looked.get(engine, -every) >= every:
                self._look(engine)
        due = [
            (database, request)
            for database in serving
            if (known := self._known.get(str(database.id))) is not None
            and str(database.id) not in self._stale
            and pause_of(str(database.id), pauses, at) is None
            and (request := _needed(database, known, at))
        ]
        # One that has no backup is worse off than one that has none proven.
        backups = [one for one in due if isinstance(one[1], BackUp)]
        waits = any(self._asking.may_begin(str(database.id)) for database, _ in backups)
        for database, request in backups if waits else due:
            id, environment = str(database.id), database.environment
            is_free = (
                self._asking.busy_in(environment.name) < AT_ONCE
                and self._asking.busy_in_all() < ALL_AT_ONCE
            )
            if is_free:
                self._asking.begin(id, self._carry_out(id, environment.engine, request))
        self._give_up(serving, usages, pauses, at)

    def _give_up(
        self,
        serving: Sequence[Database],
        usages: Mapping[str, Usage],
        pauses: Sequence[Pause],
        at: datetime,
    ) -> None:
        """Archives, so that no disk fills with WAL that waits for them; one at a time."""
        willing = {
            str(d.id): d.environment.engine
            for d in serving
            if d.backup.when_full is WhenFull.DROP_ARCHIVE
            and pause_of(str(d.id), pauses, at) is None
        }
        for disk in disks(usages).values():
            if id := to_give_up(disk, willing.keys()):
                reason = f"its disk has {rounded_bytes(disk.free)} free, and WAL waits on it"
                work = self._carry_out(id, willing[id], DropArchive(id, reason))
                self._asking.begin(f"{id}/archive", work)

    def unprotected(self, usages: Mapping[str, Usage], at: datetime) -> dict[str, str]:
        """Why each database could not be restored as it should; empty where it could."""
        found = {}
        for id, known in self._known.items():
            unarchived = usages[id].unarchived_seconds if id in usages else None
            every = self._every.get(id, proven_every())
            found[id] = known.trouble or (
                why_unprotected(known.backups, known.proofs, unarchived, every, at)
                or why_copied_late(known.copies, at)
                or ""
            )
        return found

    def alerts(self, usages: Mapping[str, Usage], at: datetime) -> list[Alert]:
        """Those of databases that could not be restored as they should, for a while."""
        now, found = time.monotonic(), []
        why_of = {id: why for id, why in self.unprotected(usages, at).items() if why}
        self._bare_since = {id: self._bare_since.get(id, now) for id in why_of}
        for id in sorted(why_of):
            if now - self._bare_since[id] >= PATIENCE_SECONDS:
                remedy = f"see `pgherd events {id}` and `pgherd backup list {id}`"
                found.append(Alert("not-protected", id, why_of[id], remedy))
        return found

    def _look(self, engine: str, id: str = "") -> None:
        """At all of an engine's, or at those of one database."""
        if not id:
            self._looked[engine] = time.monotonic()
        if (engine, id) not in self._looking:
            self._looking.add((engine, id))
            self._asking.later(self._ask(engine, id))

    async def _ask(self, engine: str, id: str) -> None:
        began, serving = time.monotonic(), self._serving
        try:
            found: Mapping[str, BackupsSeen] = await self._helper.backups(engine, id)
            # A backup that has ended meanwhile may not be among them, nor a database that came.
            sure = {n for n in serving if self._ended.get(n, 0.0) < began}
            self._known |= {name: seen for name, seen in found.items() if name in sure}
            self._stale -= sure & found.keys()
        except PgherdError as error:
            log.info("backups of %s are not seen: %s", engine, error.message)
        finally:
            self._looking.discard((engine, id))

    async def _carry_out(self, id: str, engine: str, request: OfBackups) -> None:
        began, kind, why = datetime.now(UTC), KINDS[type(request)], request.reason
        ended = await self._asking.carry_out(id, request)
        # A drill that failed is a proof, too.
        self._stale.add(id)
        self._ended[id] = time.monotonic()
        self._look(engine, id)
        if ended.error is None:
            details: dict[str, object] = {"seconds": round(ended.seconds, 3)}
            await self._telling.event(began, kind, why, database=id, details=details)
        elif ended.is_news:
            failed = {"failed": ended.error.message}
            await self._telling.event(began, f"{kind}-failed", why, database=id, details=failed)


def _needed(database: Database, known: BackupsSeen, at: datetime) -> OfBackups | None:
    """What is due now."""
    id = str(database.id)
    if known.trouble:
        return None
    if why := why_due(database.id, known.backups, at):
        return BackUp(id, why)
    if known.proofs is None:
        return None
    why = why_to_prove(known.backups, known.proofs, proven_every(database), at)
    return Prove(id, why) if why else None


def _serves(database: Database, seen: Observations) -> bool:
    observation = seen.get(database.environment.engine)
    if not isinstance(observation, Observation):
        return False
    found = observation.databases.get(database.id)
    return isinstance(found, ObservedDatabase) and found.state in SERVES
