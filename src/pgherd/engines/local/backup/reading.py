"""Reading from a repository by somebody who cannot write there, for as long as a restore takes."""

from __future__ import annotations

import asyncio
import os
import pwd
import subprocess
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType

from pgherd.engines.local import identity, lowered
from pgherd.engines.local.addresses import is_free
from pgherd.engines.local.backup import host, leases, pgbackrest, stores
from pgherd.engines.local.backup.confining import confined
from pgherd.engines.local.backup.repository import Repository, answers
from pgherd.engines.local.layout import data_plane_owner
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.errors import TryLater
from pgherd.files import Owner, ensure_directory, write

MOST_READERS = 50
"""At once, of an environment: each has a port, from the one after the repository's on."""
START_SECONDS = 10.0


class Reading:
    """A server that hands out what one database has in a repository; the client's configuration.

    Nothing of that is removed meanwhile. Its user is nobody, in the group of the repository's
    owner, which may read there.
    """

    def __init__(self, repository: Repository, manifest: DatabaseManifest) -> None:
        self._repository = repository
        self._manifest = manifest
        self._process: subprocess.Popen[bytes] | None = None
        self._files: list[Path] = []
        self._locks: list[int] = []

    async def __aenter__(self) -> Path:
        try:
            return await self._begin()
        except BaseException:
            await self._end()
            raise

    async def _begin(self) -> Path:
        repository, manifest = self._repository, self._manifest
        lease = leases.opened(repository.folder, manifest.archive, repository.region)
        self._locks.append(lease)
        await leases.take(lease)
        address = IPv4Address(repository.manifest.repository_address)
        first = repository.manifest.backup_port + 1
        ports = range(first, first + MOST_READERS)
        port = next((port for port in ports if is_free(address, port) and self._has(port)), None)
        if port is None:
            raise TryLater(f"too many read from the repository of {manifest.environment}")
        clients = {identity.archive_name(manifest.service): manifest.archive}
        theirs = repository.folder / f"reading-{port}.conf"
        path = repository.layout.archiver(manifest.id) / f"reading-{port}.conf"
        self._files = [theirs, path]
        seen, keys = stores.apart(repository.text(clients, port))
        write(theirs, seen, repository.owner)
        text = host.archiver_text(repository.layout, repository.manifest, manifest, port, theirs)
        write(path, text, data_plane_owner())
        self._start(theirs, keys)
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not await answers(repository.manifest, _reader(repository.owner), port):
            if asyncio.get_running_loop().time() > deadline:
                raise TryLater(f"the repository of {manifest.environment} cannot be read")
            await asyncio.sleep(0.02)
        return path

    def _has(self, port: int) -> bool:
        """Nobody else is about to listen there."""
        lock = leases.opened(self._repository.folder, f"port-{port}")
        if leases.is_alone(lock):
            self._locks.append(lock)
            return True
        os.close(lock)
        return False

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        if self._process:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait)
        for file in self._files:
            file.unlink(missing_ok=True)
        while self._locks:
            os.close(self._locks.pop())

    def _start(self, configuration: Path, keys: Mapping[str, str]) -> None:
        repository = self._repository
        program, owner = repository.manifest.backup_program, _reader(repository.owner)
        options = lowered.options(owner, repository.folder)
        options["env"] = {**options["env"], **keys}
        command = pgbackrest.command(program, configuration, "server")
        ensure_directory(repository.private, repository.owner)
        command, options = confined(
            repository.folder, repository.private, command, owner, options, lowered.PARENTAL[1:]
        )
        with (repository.folder / "reading.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **options)


def _reader(owner: Owner) -> Owner:
    """Who may read what is its, and nothing else; that owner itself where there is no other one."""
    if not owner.is_another or owner == data_plane_owner():
        return owner
    nobody = pwd.getpwnam("nobody")
    return Owner(nobody.pw_uid, owner.gid, nobody.pw_name)
