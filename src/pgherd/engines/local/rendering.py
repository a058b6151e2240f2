"""The files that the programs of a database are configured by. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgherd.engines.local import patroni, pooler, postgres
from pgherd.engines.local.backup import host
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, EnvironmentManifest, InstanceManifest

READ = 0o600
RUN = 0o700


@dataclass(frozen=True, slots=True)
class File:
    """One file; the data plane's user may do with it what its owner may, but for writing."""

    path: Path
    content: str
    mode: int = READ


def files(
    layout: Layout, environment: EnvironmentManifest, manifest: DatabaseManifest, operator: str
) -> Iterator[File]:
    """All of a database's, in the order in which they are to be written.

    `operator` is the login that its programs run as.
    """
    folder = layout.pooler(manifest.id)
    yield File(folder / "pgbouncer.ini", pooler.settings(layout, manifest, operator))
    yield File(folder / "hba.conf", pooler.hba(manifest, operator))
    yield File(folder / "ident.conf", pooler.ident(manifest))
    yield File(folder / "users.txt", pooler.users(manifest, operator))
    if manifest.can_archive:
        text = host.archiver_text(layout, environment, manifest)
        yield File(layout.archiver(manifest.id) / "pgbackrest.conf", text)
    for instance in manifest.instances:
        yield from _of_instance(layout, environment, manifest, instance, operator)


def _of_instance(
    layout: Layout,
    environment: EnvironmentManifest,
    manifest: DatabaseManifest,
    instance: InstanceManifest,
    operator: str,
) -> Iterator[File]:
    folder = layout.instance(manifest.id, instance.number)
    yield File(folder / "bootstrap.sql", postgres.bootstrap_sql(manifest))
    for name, text in patroni.scripts(layout, manifest, instance.number).items():
        yield File(folder / name, text, RUN)
    # The last, for it names the others.
    content = patroni.configuration(layout, environment, manifest, instance, operator)
    yield File(folder / "patroni.yml", patroni.render(content))
