"""One fleet's state folder, and all that a command works on it with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pgherd.engines.local import door, lowered
from pgherd.engines.local.agent_client import AgentClient
from pgherd.engines.local.claim import Claim
from pgherd.engines.local.layout import Layout, data_plane_owner
from pgherd.engines.local.manifest import (
    DamagedManifest,
    DatabaseManifest,
    EnvironmentManifest,
    read_database,
    read_environment,
    write_database,
)
from pgherd.engines.local.placement import Placement
from pgherd.engines.local.quotas import Quotas
from pgherd.engines.local.writer import Writer
from pgherd.errors import InputError, TryLater
from pgherd.fleet.desired import Database, DatabaseId


class Place:
    """Where one fleet lives on this machine."""

    def __init__(self, fleet: str, layout: Layout, now: Callable[[], datetime]) -> None:
        self.layout = layout
        self.now = now
        self.owner = data_plane_owner()
        self.claim = Claim(fleet, layout, self.owner)
        self.placement = Placement(layout, self.owner)
        self.writer = Writer(layout, self.owner, now)
        self.quotas = Quotas(layout, self.owner)
        self.agent = AgentClient(layout, self.owner, self.quotas.groups)

    def environment(self, name: str) -> EnvironmentManifest:
        """One that exists; InputError where it does not."""
        self.claim.require()
        manifest = read_environment(self.layout, name)
        if manifest is None:
            raise InputError(f"{name} does not exist here", "run `pgherd up`")
        return manifest

    def database(self, id: DatabaseId, wanted: Database | None = None) -> DatabaseManifest:
        """One that exists; InputError where it does not."""
        manifest = self.known_database(id, wanted)
        if manifest is None:
            raise InputError(f"{id} does not exist here", "run `pgherd up`")
        return manifest

    def known_database(
        self, id: DatabaseId, wanted: Database | None = None
    ) -> DatabaseManifest | None:
        """One that may exist. A damaged manifest is made again, by what is `wanted` of it too."""
        self.claim.require()
        try:
            return read_database(self.layout, id)
        except DamagedManifest:
            manifest = self.placement.recovered(id, wanted)
            write_database(self.layout, manifest, self.owner)
            return manifest

    async def seen(self, manifest: DatabaseManifest) -> door.DatabaseStatus:
        """How the agent sees one database; TryLater where it has no primary."""
        status = await self.agent.ask(door.Observe())
        seen = status.databases.get(str(manifest.id))
        if seen is None or manifest.numbered(seen.leader or "") is None:
            raise TryLater(f"{manifest.id} has no primary", "see `pgherd status`")
        return seen

    async def remove(self, *paths: Path) -> None:
        """Nothing is left of what the data plane wrote there."""
        await lowered.remove(self.owner, self.layout.root, paths)
