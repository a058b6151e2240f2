"""Backups of the in-memory engine, and their proofs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from pgherd.contract.backups import BackupHistory, BackupState, ObservedBackup, Window
from pgherd.contract.proofs import Check, Proof
from pgherd.errors import InputError
from pgherd.fleet.desired import Database, DatabaseId
from pgherd.testing.memory.calls import call, stored_database
from pgherd.testing.world import World


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
            return BackupHistory(tuple(reversed(stored.backups)), (window,))

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

    async def restore(
        self, source: DatabaseId, target: Database, moment: datetime, *, region: str | None = None
    ) -> None:
        """The rows of that moment, in the target's primary."""
        world = self._world
        async with call(world, "restore", source):
            if region is not None:
                raise InputError(f"{region} has no copies of {source}", "leave the region out")
            stored = stored_database(world, source)
            if not stored.created_at <= moment <= world.now():
                raise InputError(f"{source} cannot be restored to {moment}", "name another time")
            if target.id != source and target.id in world.databases:
                made_from = world.databases[target.id].made_from
                if made_from != (source, moment):
                    raise InputError(f"{target.id} is there already", "choose another name")
            await self._ensure_database(target)
            written = [(at, row) for at, row in stored.written if at <= moment]
            async with world.step(f"restore {source} to {target.id}"):
                made = stored_database(world, target.id)
                made.made_from, made.written = (source, moment), written
                for instance in made.instances.values():
                    instance.rows = [row for _, row in written]


class MemoryProofs:
    """Each finds what the world says that is no good."""

    def __init__(self, world: World) -> None:
        self._world = world

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
