"""From what is wanted to the programs that make it so: a pure translation."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

from pgherd.engines.local import etcd, lowered
from pgherd.engines.local.agent.supervisor import Program
from pgherd.engines.local.backup import host, pgbackrest
from pgherd.engines.local.forkserver import Start
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, EnvironmentManifest
from pgherd.fleet.desired import DatabaseId

PATRONI_STOP_SECONDS = 120.0
"""A primary writes a last checkpoint and waits for its replicas before it ends."""

PATRONI_FROZEN_LOOKS = 5
"""Nobody waits for one that stands still: its server goes on, and its lease lasts for 30 s."""


def etcd_name(environment: str) -> str:
    """What the program of an environment's etcd is called."""
    return f"{environment}:etcd"


def archive_name(environment: str) -> str:
    """What the program is called that lets backups of an environment be taken."""
    return f"{environment}:archive"


def pooler_name(id: DatabaseId) -> str:
    """What the program of a database's pooler is called."""
    return f"{id}:pooler"


def patroni_name(id: DatabaseId, number: int) -> str:
    """What the program of an instance is called."""
    return f"{id}:{number}"


def database_of(name: str) -> DatabaseId | None:
    """The database that a program belongs to; None for an environment's."""
    prefix = name.rpartition(":")[0]
    return DatabaseId.parse(prefix) if "/" in prefix else None


def of_environment(layout: Layout, manifest: EnvironmentManifest) -> Program:
    """The environment's etcd."""
    return Program(
        etcd_name(manifest.name),
        manifest.etcd_program,
        Start(
            folder=str(layout.etcd(manifest.name)),
            log=str(layout.log / manifest.name / "etcd.log"),
            arguments=tuple(etcd.arguments(layout, manifest)),
        ),
    )


def of_archive(layout: Layout, manifest: EnvironmentManifest) -> Program | None:
    """What lets the repository's owner take backups; None where there is no repository."""
    if not manifest.archive_address:
        return None
    program = manifest.backup_program
    command = pgbackrest.command(program, host.configuration(layout, manifest.name), "server")
    return Program(
        archive_name(manifest.name),
        program,
        Start(
            folder=str(layout.archive(manifest.name)),
            log=str(layout.log / manifest.name / "archive.log"),
            arguments=(*lowered.SECOND, *command),
        ),
    )


def of_database(layout: Layout, manifest: DatabaseManifest) -> Iterator[Program]:
    """The database's pooler and the Patroni of each instance."""
    id = manifest.id
    logs = layout.database_log(id)
    folder = layout.pooler(id)
    yield Program(
        pooler_name(id),
        manifest.pooler_program,
        Start(
            folder=str(folder),
            log=str(logs / "pooler.log"),
            arguments=(manifest.pooler_program, str(folder / "pgbouncer.ini")),
        ),
        stop_signal=signal.SIGQUIT,
    )
    for instance in manifest.instances:
        name = manifest.instance_name(instance.number)
        folder = layout.instance(id, instance.number)
        yield Program(
            patroni_name(id, instance.number),
            os.path.realpath(sys.executable),
            Start(
                folder=str(folder),
                log=str(logs / f"{name}.patroni.log"),
                configuration=str(folder / "patroni.yml"),
                postgresql=f"{manifest.bin_directory}/postgres",
                postgresql_log=str(logs / f"{name}.postgresql.log"),
                kept=str(layout.kept_by(id, instance.number)),
                sockets=str(layout.socket_folder(id, instance.number)),
            ),
            stop_seconds=PATRONI_STOP_SECONDS,
            frozen_looks=PATRONI_FROZEN_LOOKS,
        )
