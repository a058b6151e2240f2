"""What the local engine does for whole environments: authorities, certificates, etcd, the agent."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from pgherd.contract.certificates import CertificateInfo
from pgherd.engines.local import door
from pgherd.engines.local.backup import host, moving, streams
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import (
    DamagedManifest,
    EnvironmentManifest,
    damaged_databases,
    read_databases,
    read_environment,
    read_environments,
    write_environment,
)
from pgherd.engines.local.offering import require_store
from pgherd.engines.local.place import Place
from pgherd.engines.local.values import LocalValues
from pgherd.errors import Impaired, InputError, NeedsHuman
from pgherd.files import ensure_directory, write
from pgherd.fleet.desired import Environment

if TYPE_CHECKING:  # takes a while to import
    from pgherd.engines.local.renewal import Renewal


class Certificates:
    """Those of all environments, made by their authorities and served by what the agent runs."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def in_use(self) -> Sequence[CertificateInfo]:
        """Every certificate of the fleet, those that end first in front."""
        from pgherd.engines.local.certificates import of_environment

        self._place.claim.require()
        layout = self._place.layout
        infos = [info for e in read_environments(layout) for info in of_environment(layout, e)]
        return sorted(infos, key=lambda info: (info.not_after, str(info.path)))

    async def ensure_valid(
        self, environment: str, *, renew: bool = False, authorities: bool = False
    ) -> int:
        """What is due, or all with `renew`, is new and served; so are authorities, with that."""
        self._place.environment(environment)
        made = await self.renewal.run(environment, renew=renew, authorities=authorities)
        await ensure_repository(self._place.layout, self._place.environment(environment))
        return len(made)

    @cached_property
    def renewal(self) -> Renewal:
        """What makes them."""
        from pgherd.engines.local.renewal import Renewal

        place = self._place
        return Renewal(place.layout, place.owner, place.agent, place.writer, place.now)


class Environments:
    """Each is there and runs, is stopped, or is gone."""

    def __init__(self, place: Place, certificates: Certificates) -> None:
        self._place = place
        self._certificates = certificates
        self._stopping = asyncio.Lock()

    async def ensure(self, environment: Environment) -> None:
        """Its authorities, certificates and etcd; the agent."""
        place = self._place
        place.claim.ensure()
        manifest = place.placement.environment(environment.name)
        values = environment.values_of(LocalValues)
        require_store(values)
        manifest = await moving.placed(place.layout, manifest, values)
        name = manifest.name
        ensure_directory(place.layout.etcd(name), place.owner)
        renewal = self._certificates.renewal
        kept_all_out = await renewal.let_in(name)
        manifest, _ = renewal.write_environment(manifest)
        if manifest.repository_address:
            path = host.configuration(place.layout, name)
            ensure_directory(path.parent, place.owner)
            write(path, host.server_text(place.layout, manifest), place.owner)
        await place.agent.ensure_running()
        await renewal.converge(name)
        if kept_all_out or renewal.is_due(manifest):
            await self._certificates.ensure_valid(name)
        try:
            await ensure_repository(place.layout, manifest)
        except NeedsHuman as error:
            raise Impaired(error.message, error.hint) from error

    async def ensure_stopped(self, name: str) -> None:
        """Its etcd does not run; nor does the agent when nothing else is wanted.

        One after the other: the last one ends the agent, and none may ask it afterwards.
        """
        place = self._place
        async with self._stopping:
            manifest = place.environment(name)
            write_environment(place.layout, replace(manifest, running=False), place.owner)
            await place.agent.ask_once_it_runs(door.ConvergeEnvironment(name))
            if manifest.repository_address:
                await streams.ensure(place.layout, name)
                Repository(place.layout, manifest).ensure_stopped()
            if not any(e.running for e in read_environments(place.layout)):
                await place.agent.stop()
                place.quotas.forget_all()

    async def ensure_absent(self, name: str) -> None:
        """Nothing of it is left: no etcd, no authority."""
        place, layout = self._place, self._place.layout
        try:
            if read_environment(layout, name) is None:
                return
        except DamagedManifest:
            write_environment(layout, place.placement.environment(name), place.owner)
        left = [*(d.id for d in read_databases(layout)), *damaged_databases(layout)]
        if any(id.environment == name for id in left):
            raise InputError(f"{name} still has databases", "remove them first")
        await self.ensure_stopped(name)
        await place.remove(layout.log / name, layout.etcd_data(name), layout.instances / name)
        for folder in (layout.databases / name, layout.environment(name)):
            shutil.rmtree(folder, ignore_errors=True)
        place.placement.forget(name)
        if not list(read_environments(layout)):
            await self._remove_everything()

    async def _remove_everything(self) -> None:
        """Nothing is left of the fleet: first what its data plane wrote, then the rest."""
        layout = self._place.layout
        own = [path for path in layout.data_plane if path.exists()]
        await self._place.remove(*(inside for path in own for inside in path.iterdir()))
        shutil.rmtree(layout.root, ignore_errors=True)


async def ensure_repository(layout: Layout, manifest: EnvironmentManifest) -> None:
    """Its server runs, with certificates and databases as they are; nothing where there is none."""
    if manifest.running and manifest.repository_address:
        repository = Repository(layout, manifest)
        mine = [d for d in read_databases(layout) if d.environment == manifest.name]
        repository.ensure_written(mine)
        await repository.ensure_running()
        await streams.ensure(layout, manifest.name)
