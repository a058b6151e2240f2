"""The folders that a database's programs write to, and where its pooler leads at first."""

from __future__ import annotations

from pgherd.engines.local import pooler
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.files import ensure_directory, write


def make_room(layout: Layout, manifest: DatabaseManifest) -> None:
    """They are there. Routes that are not there lead nowhere, until the primary is known."""
    id = manifest.id
    ensure_directory(layout.database_log(id))
    ensure_directory(layout.pooler_socket_folder(id))
    for instance in manifest.instances:
        ensure_directory(layout.kept_by(id, instance.number))
        ensure_directory(layout.socket_folder(id, instance.number))
    if not layout.routes(id).exists():
        write(layout.routes(id), pooler.databases(manifest, pooler.Route(None)))
