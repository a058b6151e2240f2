"""What the local engine does for whole environments: authorities, certificates, etcd, the agent."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

from pgherd.contract.certificates import CertificateInfo
from pgherd.engines.local import door, identity
from pgherd.engines.local.manifest import (
    DamagedManifest,
    damaged_databases,
    read_database,
    read_databases,
    read_environment,
    read_environments,
    write_environment,
)
from pgherd.engines.local.place import Place
from pgherd.errors import InputError, TryLater
from pgherd.files import ensure_directory
from pgherd.fleet.desired import DatabaseId, Environment

ETCD_SECONDS = 30.0
ETCD_HOPE_SECONDS = 5.0
RELOAD_SECONDS = 30.0


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

    async def ensure_valid(self, environment: str, *, renew: bool = False) -> int:
        """Certificates that are due, or all with `renew`, are new and served."""
        layout, agent, writer = self._place.layout, self._place.agent, self._place.writer
        manifest = self._place.environment(environment)
        found = identity.of_environment(layout, manifest)
        made = writer.ensure_certificates(environment, found, renew=renew)
        if manifest.running:
            await agent.ask(door.ConvergeEnvironment(environment))
        for id in [d.id for d in read_databases(layout) if d.environment == environment]:
            async with writer.of[id]:
                database = read_database(layout, id)
                if database is None:  # deleted while another was written
                    continue
                found = identity.of_database(layout, database)
                made += writer.ensure_certificates(environment, found, renew=renew)
            if database.running:
                await self._serve(id)
        return made

    async def _serve(self, id: DatabaseId) -> None:
        request = door.ServeCertificates(str(id), RELOAD_SECONDS)
        if not await self._place.agent.ask(request):
            raise TryLater(f"{id} serves old certificates still", f"see `pgherd logs {id}`")


class Environments:
    """Each is there and runs, is stopped, or is gone."""

    def __init__(self, place: Place, certificates: Certificates) -> None:
        self._place = place
        self._certificates = certificates

    async def ensure(self, environment: Environment) -> None:
        """Its authorities, certificates and etcd; the agent."""
        place = self._place
        place.claim.ensure()
        manifest = place.placement.environment(environment.name)
        name = manifest.name
        ensure_directory(place.layout.etcd(name), place.owner)
        place.writer.ensure_certificates(name, identity.of_environment(place.layout, manifest))
        write_environment(place.layout, manifest, place.owner)
        await place.agent.ask_once_it_runs(door.ConvergeEnvironment(name))
        await self._await_etcd(name)
        if await place.agent.ask(door.AreCertificatesDue(name)):
            await self._certificates.ensure_valid(name)

    async def _await_etcd(self, name: str) -> None:
        """The agent watches it; where it does not soon, it is mended, or the reason given early."""
        agent = self._place.agent
        if await agent.ask(door.AwaitEnvironment(name, ETCD_HOPE_SECONDS)):
            return
        await agent.ask(door.MendEnvironment(name))
        if not await agent.ask(door.AwaitEnvironment(name, ETCD_SECONDS)):
            raise TryLater(f"etcd of {name} does not answer")

    async def ensure_stopped(self, name: str) -> None:
        """Its etcd does not run; nor does the agent when nothing else is wanted."""
        place = self._place
        manifest = place.environment(name)
        write_environment(place.layout, replace(manifest, running=False), place.owner)
        await place.agent.ask_once_it_runs(door.ConvergeEnvironment(name))
        if not any(e.running for e in read_environments(place.layout)):
            await place.agent.stop()

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
