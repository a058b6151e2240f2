"""Whose WAL is received as it is written, and that somebody receives it: root's side.

What is wanted is a file that root writes and the repository's owner reads. A keeper with the
owner's rights (`receiving`) begins, watches and ends one pg_receivewal for each database in it. It
looks at the file each half second, so that nobody has to tell it, and ends once nothing is wanted.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

from pgherd.decide.parameters import slot_wal_keep_size
from pgherd.engines.local import identity, lowered, processes
from pgherd.engines.local.backup.receiving import Stream
from pgherd.engines.local.backup.repository import Repository, repository_owner
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    EnvironmentManifest,
    read_databases,
    read_environment,
)
from pgherd.engines.local.patroni import STREAM_SLOT
from pgherd.engines.local.processes import Process
from pgherd.files import ensure_directory, write
from pgherd.units import parse_whole

FOLDER = "stream"
WANTED = "streams.json"
MODULE = "pgherd.engines.local.backup.receiving"
RECEIVER = "pgherd.stream"
"""What a receiver calls itself, and its primary it."""
END_SECONDS = 5.0


def wanted(layout: Layout, manifest: EnvironmentManifest) -> list[Stream]:
    """Those of an environment. Pure, but for the manifests that it reads."""
    if not manifest.running or not manifest.repository_address or manifest.store:
        return []
    mine = (d for d in read_databases(layout) if d.environment == manifest.name)
    return [_stream(layout, database) for database in mine if database.is_streamed]


def _stream(layout: Layout, manifest: DatabaseManifest) -> Stream:
    place = identity.stream_place(layout, manifest.id)
    options = {
        "host": ",".join(i.address for i in manifest.instances),
        "port": str(manifest.postgresql_port),
        "user": "replicator",
        "application_name": RECEIVER,
        "target_session_attrs": "primary",
        "connect_timeout": "2",
        "sslmode": "verify-full",
        "sslcert": str(place.certificate),
        "sslkey": str(place.key),
        "sslrootcert": str(place.folder / f"{identity.DATA}-authority.crt"),
    }
    quoted = (f"{key}='{_escaped(value)}'" for key, value in options.items())
    return Stream(
        archive=manifest.archive,
        program=f"{manifest.bin_directory}/pg_receivewal",
        connection=" ".join(quoted),
        slot=STREAM_SLOT,
        most_bytes=parse_whole(str(slot_wal_keep_size(manifest.storage_bytes))[:-2]) * 2**20,
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def folder(layout: Layout, environment: str) -> Path:
    """Where what is received of an environment lies: a folder for each archive."""
    return layout.repository(environment) / FOLDER


async def ensure(layout: Layout, environment: str) -> None:
    """What is wanted now is written down, and somebody keeps it so."""
    manifest = read_environment(layout, environment)
    if manifest is None or not manifest.repository_address:
        return
    repository, mine = Repository(layout, manifest), wanted(layout, manifest)
    path = repository.folder / WANTED
    if not mine and not path.exists():
        return
    ensure_directory(repository.folder, repository.owner)
    write(path, msgspec.json.encode(mine), repository.owner)
    if mine and not _is_kept(layout, environment):
        _begin(layout, repository)


async def ended(layout: Layout, manifest: DatabaseManifest) -> None:
    """Nobody receives what that database writes from now on, as its manifest says."""
    await ensure(layout, manifest.environment)
    there = folder(layout, manifest.environment) / manifest.archive / "wal"
    deadline = asyncio.get_running_loop().time() + END_SECONDS
    while manifest.archive and _receivers(there):
        if asyncio.get_running_loop().time() > deadline:
            for process in map(Process.of, _receivers(there)):
                if process:
                    process.signal(signal.SIGKILL)
        await asyncio.sleep(0.05)


def _receivers(there: Path) -> list[int]:
    """What receives into a folder, by its command line: it is its owner's."""
    directory = f"--directory={there}"
    mine = processes.pids_of(repository_owner().uid)
    return [pid for pid in mine if directory in processes.title(pid).split("\0")]


def _keeper(layout: Layout, environment: str) -> int | None:
    """Who keeps an environment's receivers; whoever asks may see it, and nobody be taken for it."""
    command = lowered.python(MODULE, str(folder(layout, environment)))
    for pid in processes.pids_of(repository_owner().uid):
        if processes.title(pid).split("\0") == command:
            return pid
    return None


def _is_kept(layout: Layout, environment: str) -> bool:
    pid = _keeper(layout, environment)
    return pid is not None and not processes.is_stopped(pid)


def _begin(layout: Layout, repository: Repository) -> None:
    """It outlives this process. One that is frozen goes first."""
    name, owner = repository.manifest.name, repository.owner
    if (pid := _keeper(layout, name)) and (process := Process.of(pid)):
        process.signal(signal.SIGKILL)
    there = owner.give(folder(layout, name))
    there.chmod(0o700)
    with (repository.folder / "stream.log").open("ab") as log:
        subprocess.run(
            [*lowered.DETACHED, *lowered.python(MODULE, str(there))],
            check=True,
            **{
                **lowered.options(owner, repository.folder),
                "cwd": there,
                "stdout": log,
                "stderr": log,
            },
        )


def unkept(layout: Layout, environments: Iterable[EnvironmentManifest]) -> dict[str, str]:
    """Environments whose WAL nobody keeps receiving, though that is wanted."""
    return {
        e.name: f"nobody receives the WAL of {e.name}"
        for e in environments
        if wanted(layout, e) and not _is_kept(layout, e.name)
    }
