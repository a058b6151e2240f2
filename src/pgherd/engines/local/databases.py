"""What the local engine does for single databases: written down, then carried out by the agent."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace

from pgherd.engines.local import door, identity
from pgherd.engines.local.agent.condition import Condition
from pgherd.engines.local.backup import streams
from pgherd.engines.local.backup.exchange import GONE
from pgherd.engines.local.backup.origins import half_restored
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    FormerData,
    read_environment,
    write_database,
)
from pgherd.engines.local.offering import require_possible, require_room
from pgherd.engines.local.place import Place
from pgherd.errors import NeedsHuman, TryLater
from pgherd.fleet.desired import Database, DatabaseId, Durability

LED_SECONDS = 120.0
COMPLETE_SECONDS = 600.0
DURABLE_SECONDS = 60.0
RELOAD_SECONDS = 30.0


class Databases:
    """Each is there and as it is wanted, is stopped, or is gone."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def ensure(self, database: Database) -> None:
        """It exists and all of its instances run; made with its primary alone."""
        place = self._place
        environment = read_environment(place.layout, database.id.environment)
        if environment is None or not environment.running:
            raise TryLater(f"environment {database.id.environment} does not run")
        manifest = place.known_database(database.id, database)
        if manifest is None:
            require_room(place.layout, 1)
            require_possible(place.layout, place.owner, database)
            manifest = place.placement.database(database)
        if manifest.restoring:
            raise NeedsHuman(*half_restored(manifest))
        manifest = place.placement.limited(manifest, database)
        await self.make_so(replace(manifest, running=True))

    async def ensure_replicas(self, database: Database, count: int) -> None:
        """That many replicas stream."""
        manifest = self._place.database(database.id, database)
        if count + 1 < len(manifest.instances):
            await self._remove_instances(manifest, count)
            return
        require_room(self._place.layout, count + 1 - len(manifest.instances))
        domains = database.environment.availability_domains
        while len(manifest.instances) < count + 1:
            manifest = self._place.placement.with_instance(manifest, domains)
        await self.make_so(manifest)

    async def ensure_ocpus(self, database: Database, ocpus: int) -> None:
        """PostgreSQL's settings follow the size, as far as they can without a restart."""
        place = self._place
        manifest = place.database(database.id, database)
        sized = place.placement.sized(manifest, database, ocpus)
        grows = sized.cores > manifest.cores
        if grows:
            place.quotas.ensure(sized)
        await self.reconfigure(sized)
        if not grows:
            place.quotas.ensure(sized)

    async def ensure_sized(self, database: Database) -> None:
        """Its bounds, and what its OCPUs are, are what the fleet file says."""
        manifest = self._place.database(database.id, database)
        await self.ensure_ocpus(database, manifest.ocpus)

    async def ensure_durability(self, database: Database, durability: Durability) -> None:
        """Patroni's synchronous mode is on, or off."""
        manifest = self._place.database(database.id, database)
        await self.reconfigure(replace(manifest, durability=str(durability)))
        is_synchronous = durability is Durability.SYNCHRONOUS
        condition = Condition.DURABLE if is_synchronous else Condition.ASYNCHRONOUS
        await self._await(database.id, condition, DURABLE_SECONDS)

    async def ensure_restarted(self, id: DatabaseId, instance: str) -> None:
        """PostgreSQL of one instance was restarted, if its settings waited for it."""
        self._place.database(id)
        await self._place.agent.ask(door.Restart(str(id), instance))
        await self._await(id, Condition.COMPLETE, COMPLETE_SECONDS)

    async def ensure_stopped(self, id: DatabaseId) -> None:
        """Its processes are gone, its files kept."""
        place = self._place
        manifest = replace(place.database(id), running=False)
        write_database(place.layout, manifest, place.owner)
        await place.agent.ask_once_it_runs(door.ConvergeDatabase(str(id)))
        await streams.ensure(place.layout, id.environment)
        for instance in manifest.instances:
            place.quotas.forget(id, instance.number)

    async def ensure_absent(self, id: DatabaseId) -> None:
        """Its processes and all of its files are gone, its manifest last."""
        place, layout = self._place, self._place.layout
        if not self._is_there(id):
            return
        await self.ensure_stopped(id)
        instances = place.database(id).instances
        await place.remove(
            layout.kept(id),
            layout.database_log(id),
            layout.pooler_socket_folder(id),
            *(layout.socket_folder(id, i.number) for i in instances),
        )
        folder = layout.database(id)
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        place.placement.forget(str(id))
        shutil.rmtree(identity.stream_place(layout, id).folder, ignore_errors=True)
        shutil.rmtree(folder)

    def _is_there(self, id: DatabaseId) -> bool:
        """Whether there is anything to remove; a manifest that cannot be made again is in the way.

        Where no configuration is left of its instances, nothing of it can run.
        """
        layout = self._place.layout
        try:
            return self._place.known_database(id) is not None
        except NeedsHuman:
            with_nothing = self._place.placement.bare(id)
            write_database(layout, with_nothing, self._place.owner)
            return True

    async def switch_over(self, id: DatabaseId, target: str | None, *, forced: bool) -> str:
        """Another instance leads; its name."""
        self._place.database(id)
        return await self._place.agent.ask(door.SwitchOver(str(id), target, forced=forced))

    async def make_so(self, manifest: DatabaseManifest) -> None:
        """Write everything down, let the agent carry it out, and wait until all serve."""
        place = self._place
        place.quotas.ensure(manifest)
        await place.writer.write(manifest)
        await place.agent.ask_once_it_runs(door.ConvergeDatabase(str(manifest.id)))
        if not manifest.made or len(manifest.instances) == 1:
            await self._await(manifest.id, Condition.LED, LED_SECONDS)
        if not manifest.made:
            manifest = replace(manifest, made=True)
            write_database(place.layout, manifest, place.owner)
        await streams.ensure(place.layout, manifest.environment)
        if len(manifest.instances) == 1:
            return
        await self._await(manifest.id, Condition.COMPLETE, COMPLETE_SECONDS)
        if manifest.is_synchronous:
            await place.agent.ask(door.Configure(str(manifest.id)))
            await self._await(manifest.id, Condition.DURABLE, DURABLE_SECONDS)

    async def exchange(
        self, noted: DatabaseManifest, anew: DatabaseManifest, former: FormerData
    ) -> None:
        """It has the data that lies whole beside its place. Clients wait meanwhile, if it runs.

        `noted` is what is written down until then; `former` says what is kept, if anything is.
        """
        place, id, number = self._place, anew.id, noted.restoring_at
        noted = replace(noted, running=False)
        write_database(place.layout, noted, place.owner)  # before its files say that it is another
        await place.writer.write(anew, noted=noted)
        await streams.ended(place.layout, noted)
        asked = door.Exchange(str(id), number, former.is_undone)
        is_kept = await place.agent.ask_once_it_runs(asked)
        anew = replace(anew, running=True, former=former if is_kept else None)
        others = (i.number for i in anew.instances if i.number != number)
        gone = (place.layout.kept_by(id, other) / GONE for other in others)
        await asyncio.gather(self.make_so(anew), place.remove(*gone))

    async def reconfigure(self, manifest: DatabaseManifest) -> None:
        """Change settings without a restart."""
        id, agent = str(manifest.id), self._place.agent
        await self._place.writer.write(manifest)
        await agent.ask(door.ConvergeDatabase(id))
        await agent.ask(door.Configure(id))
        has_read = await agent.ask(door.Reload(id, RELOAD_SECONDS))
        await streams.ensure(self._place.layout, manifest.environment)
        if not has_read:
            raise TryLater(f"{id} has not read its new settings yet", f"see `pgherd logs {id}`")

    async def _remove_instances(self, manifest: DatabaseManifest, count: int) -> None:
        """Take replicas away, those that do not serve first, never the primary."""
        place, layout, id = self._place, self._place.layout, manifest.id
        seen = await place.seen(manifest)
        primary = manifest.numbered(seen.leader or "")
        serving = {name for name, instance in seen.instances.items() if instance.streams}
        others = [i for i in manifest.instances if i != primary]
        others.sort(key=lambda i: (manifest.instance_name(i.number) not in serving, i.number))
        going = others[count:]
        kept = tuple(i for i in manifest.instances if i not in going)
        await place.writer.write(replace(manifest, instances=kept))
        await place.agent.ask(door.ConvergeDatabase(str(id)))
        for number in [instance.number for instance in going]:
            await place.remove(layout.kept_by(id, number), layout.socket_folder(id, number))
            shutil.rmtree(layout.instance(id, number), ignore_errors=True)
            place.placement.forget(f"{id}/{number}")
            place.quotas.forget(id, number)

    async def _await(self, id: DatabaseId, condition: Condition, seconds: float) -> None:
        if not await self._place.agent.ask(door.AwaitDatabase(str(id), condition, seconds)):
            raise TryLater(f"{id} does not serve after {seconds:.0f} s", f"see `pgherd logs {id}`")
