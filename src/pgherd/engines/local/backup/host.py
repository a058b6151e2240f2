"""What this machine's databases give to their repository, and take from it: configuration. Pure.

A server of pgBackRest with the data plane's rights lets the repository's owner take backups; each
database has a certificate by which it hands its WAL over.
"""

from __future__ import annotations

from pathlib import Path

from pgherd.engines.local import identity
from pgherd.engines.local.backup import pgbackrest
from pgherd.engines.local.backup.pgbackrest import Door
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, EnvironmentManifest, InstanceManifest
from pgherd.pki.certificate import Place

SUPERUSER = "postgres"
"""The role by which backups are begun and ended, over the Unix socket and in `postgres` alone."""


def configuration(layout: Layout, name: str) -> Path:
    """That of an environment's server with the data plane's rights."""
    return layout.archive(name) / "pgbackrest.conf"


def door(address: str, port: int, place: Place) -> Door:
    """A server there, for whoever has the certificate at `place`."""
    return Door(address, port, place.certificate, place.key, _trust(place))


def read_at_start(configuration: Path, place: Place) -> list[Path]:
    """What a server of pgBackRest reads when it begins, and never again."""
    return [configuration, place.certificate, place.key, _trust(place)]


def _trust(place: Place) -> Path:
    return place.folder / f"{identity.DATA}-authority.crt"


def files(layout: Layout, name: str) -> list[Path]:
    """What that of an environment with the data plane's rights reads."""
    return read_at_start(configuration(layout, name), identity.archive_place(layout, name))


def server_text(layout: Layout, manifest: EnvironmentManifest) -> str:
    """Its content: the repository's owner may come in, and nobody else."""
    place = identity.archive_place(layout, manifest.name)
    mine = door(manifest.archive_address, manifest.backup_port, place)
    locks = layout.run / f"{manifest.name}.archive"
    admitted = {identity.REPOSITORY: "*"}
    return f"""\
[global]
lock-path={locks}
spool-path={locks}
{pgbackrest.PLAIN}{pgbackrest.server(mine, admitted)}"""


def archiver_text(
    layout: Layout,
    environment: EnvironmentManifest,
    manifest: DatabaseManifest,
    port: int | None = None,
    theirs: Path | None = None,
) -> str:
    """What a database hands its WAL over by; or reads by, at another port and configuration."""
    place = identity.archiver_place(layout, manifest.id)
    theirs = theirs or layout.repository(environment.name) / "pgbackrest.conf"
    locks = layout.run / f"{environment.name}.archive"
    there = door(environment.repository_address, port or environment.backup_port, place)
    return f"""\
[global]
lock-path={locks}
spool-path={locks}
{pgbackrest.reached(there, theirs)}"""


def archive_command(
    layout: Layout,
    environment: EnvironmentManifest,
    manifest: DatabaseManifest,
    instance: InstanceManifest,
) -> str:
    """PostgreSQL's: the WAL of an incarnation that is not backed up yet is of no use to anybody."""
    if not manifest.archive:
        return "/bin/true"
    return pgbackrest.archiving(
        environment.backup_program,
        layout.archiver(manifest.id) / "pgbackrest.conf",
        manifest.archive,
        layout.data(manifest.id, instance.number),
    )


def options(
    layout: Layout,
    environment: EnvironmentManifest,
    manifest: DatabaseManifest,
    instance: InstanceManifest,
) -> list[str]:
    """Where the repository's owner finds an instance."""
    place = identity.repository_place(layout, environment.name)
    return pgbackrest.of_server(
        door(environment.archive_address, environment.backup_port, place),
        configuration(layout, environment.name),
        layout.data(manifest.id, instance.number),
        layout.socket_folder(manifest.id, instance.number),
        manifest.postgresql_port,
        SUPERUSER,
    )
