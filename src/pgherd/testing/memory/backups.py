"""Backups of the in-memory engine, and their proofs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from pgherd.contract.backups import (
    BackupHistory,
    BackupState,
    Goal,
    KeptData,
    Latest,
    Moment,
    NamedPoint,
    ObservedBackup,
    Point,
    Position,
    Prediction,
    Restored,
    Window,
    check_point_name,
)
from pgherd.contract.proofs import Check, Hire, Proof
from pgherd.contract.verification import Flaw, Reach, Trouble, Verification, VerifiedBackup
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId
from pgherd.testing.memory.calls import call, stored_database
from pgherd.testing.world import StoredDatabase, World


class MemoryBackups:
    """Rows with the time of each; `ensure_database` makes what is restored to."""

    is_automatic = True

    def __init__(
        self, world: World, ensure_database: Callable[[Database], Awaitable[None]]
    ) -> None:
        self._world = world
        self._ensure_database = ensure_database

    async def history(self, id: DatabaseId) -> BackupHistory:
        """What was taken, and all the time since the database was made."""
        async with call(self._world, "history", id):
            stored = stored_database(self._world, id)
            window = Window(stored.created_at, self._world.now())
            points = tuple(reversed(stored.points))
            backups = tuple(reversed(stored.backups))
            return BackupHistory(backups, (window,), points, stored.kept, self._world.copies)

    async def ensure_enabled(self, id: DatabaseId) -> None:
        """Nothing is needed."""
        async with call(self._world, "ensure_enabled", id):
            stored_database(self._world, id)

    async def back_up(self, id: DatabaseId) -> ObservedBackup:
        """One more backup of it, complete at once."""
        async with call(self._world, "back_up", id):
            stored = stored_database(self._world, id)
            name = f"{id.service}-{len(stored.backups) + 1}"
            backup = ObservedBackup(name, self._world.now(), BackupState.AVAILABLE, "manual")
            async with self._world.step(f"back up {id}"):
                stored.backups.append(backup)
            return backup

    async def make_point(self, id: DatabaseId, name: str) -> NamedPoint:
        """One of now."""
        check_point_name(name)
        async with call(self._world, "make_point", id):
            stored = stored_database(self._world, id)
            if name in {point.name for point in stored.points}:
                raise InputError(f"{id} has a point {name} already", "choose another name")
            point = NamedPoint(name, self._world.now())
            async with self._world.step(f"make a point of {id}"):
                stored.points.append(point)
            return point

    async def predict(
        self,
        source: DatabaseId,
        target: Database,
        goal: Goal,
        *,
        region: str | None = None,
        masking: str = "",
    ) -> Prediction:
        """A byte for each row, all in no time."""
        async with call(self._world, "predict", source, is_known=False):
            there, written = self._asked(source, target, goal, region, masking)
            if there:
                return Prediction(was_there=True)
            stored = self._kept(source, target.id)
            window = Window(stored.created_at, self._world.now())
            first = stored.backups[-1].name if stored.backups else None
            is_over = target.id in self._world.databases
            return Prediction(
                (window,),
                first,
                len(written),
                2**30,
                0.0,
                is_guess=True,
                overwrites=is_over,
                is_lost=source == target.id and not is_over,
            )

    async def restore(
        self,
        source: DatabaseId,
        target: Database,
        goal: Goal,
        *,
        region: str | None = None,
        masking: str = "",
        overwrites: bool = False,
    ) -> Restored:
        """The rows of that moment, in the target's primary. A row is a transaction, numbered.

        Whatever masks them, all that is left of a row is that it was one.
        """
        world = self._world
        async with call(world, "restore", source, is_known=False):
            there, written = self._asked(source, target, goal, region, masking)
            if there and isinstance(goal, Latest):
                await self._ensure_database(target)
                return Restored(there, was_there=True)
            is_over = target.id in world.databases and not there
            if is_over and target.id != source and not overwrites:
                raise InputError(f"{target.id} is there already", "overwrite it, or not")
            await self._ensure_database(target)
            now = world.now()
            async with world.step(f"restore {source} to {target.id}"):
                made = stored_database(world, target.id)
                if is_over:
                    made.former, made.kept = list(made.written), _kept(made, now)
                made.made_from, made.masked_by = (source, str(goal), now), masking
                made.written = [(at, "masked") for at, _ in written] if masking else written
                _show(made)
            return Restored(now if isinstance(goal, Latest) else None)

    async def ensure_copied(self, id: DatabaseId) -> None:
        """There is one place only."""
        async with call(self._world, "ensure_copied", id):
            stored_database(self._world, id)

    async def give_up(self, id: DatabaseId) -> None:
        """Nothing is left of its backups."""
        async with call(self._world, "give_up", id):
            stored = stored_database(self._world, id)
            async with self._world.step(f"give up the archive of {id}"):
                stored.backups.clear()
                stored.points.clear()

    async def undo(self, id: DatabaseId) -> None:
        """The rows of before are there again."""
        async with call(self._world, "undo", id):
            stored = stored_database(self._world, id)
            if stored.kept is None:
                raise InputError(f"nothing is kept of what {id} had before", "see its backups")
            if not stored.kept.is_undone:
                kept = replace(_kept(stored, self._world.now()), is_undone=True)
                async with self._world.step(f"undo the restore of {id}"):
                    stored.former, stored.written = stored.written, stored.former
                    stored.kept = kept
                    _show(stored)

    async def discard(self, id: DatabaseId) -> None:
        """They are gone."""
        async with call(self._world, "discard", id):
            stored = stored_database(self._world, id)
            if stored.kept is None:
                raise InputError(f"nothing is kept of what {id} had before", "see its backups")
            async with self._world.step(f"discard what {id} had"):
                stored.former, stored.kept = [], None

    def _kept(self, source: DatabaseId, target: DatabaseId) -> StoredDatabase:
        """What there is of it; it may come back from that itself."""
        gone = self._world.gone.get(source) if source == target else None
        if gone and source not in self._world.databases:
            return gone
        return stored_database(self._world, source)

    def _asked(
        self, source: DatabaseId, target: Database, goal: Goal, region: str | None, masking: str
    ) -> tuple[datetime | None, list[tuple[datetime, str]]]:
        """When an earlier call has restored that, if one has; the rows of it."""
        if region is not None and region not in {c.region for c in self._world.copies}:
            raise InputError(f"{region} has no copies of {source}", "leave the region out")
        written = reached(self._kept(source, target.id), goal, self._world.now())
        if target.id == source or target.id not in self._world.databases:
            return None, written
        there = self._world.databases[target.id]
        made_from = there.made_from
        if made_from and made_from[:2] == (source, str(goal)) and there.masked_by == masking:
            return made_from[2], written
        if target.id.environment != source.environment:
            return None, written
        raise InputError(f"{target.id} is there already", "choose another name")


def _kept(stored: StoredDatabase, now: datetime) -> KeptData:
    return KeptData(now, now + timedelta(days=stored.retention_days or 7))


def _show(stored: StoredDatabase) -> None:
    for instance in stored.instances.values():
        instance.rows = [row for _, row in stored.written]


def reached(stored: StoredDatabase, goal: Goal, now: datetime) -> list[tuple[datetime, str]]:
    """What had been written by then, and when. InputError where that cannot be had."""
    id, written = stored.id, stored.written
    if isinstance(goal, Latest):
        return list(written)
    if isinstance(goal, Moment):
        if not stored.created_at <= goal.at <= now:
            raise InputError(f"{id} cannot be restored to {goal.at}", "name another time")
        return [(at, row) for at, row in written if at <= goal.at]
    if isinstance(goal, Point):
        found = next((p for p in stored.points if p.name == goal.name), None)
        if found is None:
            known = ", ".join(p.name for p in stored.points)
            raise InputError(f"{id} has no point {goal.name}", f"it has {known or 'none'}")
        return [(at, row) for at, row in written if at <= found.at]
    number = goal.lsn if isinstance(goal, Position) else goal.id
    if not 0 < number <= len(written):
        raise InputError(f"{id} has not reached {goal}", "write --to latest")
    return list(written[:number])


class MemoryProofs:
    """Each finds what the world says that is no good."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def hire(self, id: DatabaseId) -> Hire | None:
        """What the world says."""
        async with call(self._world, "hire", id):
            stored_database(self._world, id)
            return self._world.hire

    async def known(self, id: DatabaseId) -> tuple[Proof, ...]:
        """The newest first."""
        async with call(self._world, "known", id):
            return tuple(reversed(stored_database(self._world, id).proofs))

    async def prove(self, id: DatabaseId) -> Proof:
        """One more, in no time."""
        async with call(self._world, "prove", id):
            stored = stored_database(self._world, id)
            if not stored.backups:
                raise InputError(f"{id} has no backup yet", "take one first")
            ok = not self._world.found_in_copies
            now = self._world.now()
            last = stored.written[-1][0] if stored.written else None
            checks = (Check("restored", ok=True), Check("tables", ok, self._world.found_in_copies))
            proof = Proof(now, ok, 0.0, 0.0, last, checks)
            async with self._world.step(f"prove {id}"):
                stored.proofs.append(proof)
            return proof


class MemoryVerifier:
    """What the world says that is no good is a file of the last backup."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def verify(self, id: DatabaseId) -> Verification:
        """All of its backups, in no time."""
        async with call(self._world, "verify", id):
            stored = stored_database(self._world, id)
            if not stored.backups:
                raise InputError(f"{id} has no backup yet", "take one first")
            found, now = self._world.found_in_copies, self._world.now()
            newest = stored.backups[-1].name
            backups = tuple(
                VerifiedBackup(b.name, b.taken_at, ok=not found or b.name != newest, files=1)
                for b in reversed(stored.backups)
            )
            flaws = (Flaw(found, Trouble.DAMAGED, backup=newest),) if found else ()
            begin = next((b.taken_at for b in reversed(backups) if b.ok), None)
            reaches = (Reach(begin, now),) if begin else ()
            return Verification(now, backups, len(stored.written), flaws, reaches)
