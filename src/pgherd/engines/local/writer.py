"""Writes what the programs of the data plane read, and what is wanted of them."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from pgherd.engines.local import identity
from pgherd.engines.local.identity import Certificate
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, read_environment, write_database
from pgherd.engines.local.rendering import files
from pgherd.errors import TryLater
from pgherd.files import Owner, ensure_directory, write
from pgherd.fleet.desired import DatabaseId


class Writer:
    """All that is written of one fleet, readable for its data plane, `owner`."""

    def __init__(self, layout: Layout, owner: Owner, now: Callable[[], datetime]) -> None:
        self._layout = layout
        self._owner = owner
        self._now = now
        self.of: defaultdict[DatabaseId, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Held while somebody writes a database's files."""
        self.authorities = threading.Lock()
        """Held while somebody changes authorities, or has them sign: threads do, too."""

    async def write(
        self, manifest: DatabaseManifest, *, noted: DatabaseManifest | None = None
    ) -> None:
        """All files of a database. A disk may let one wait while others need nothing of it.

        Where it is not to be so yet, its manifest is `noted`.
        """
        async with self.of[manifest.id]:
            await asyncio.to_thread(self._write, manifest, noted or manifest)

    def _write(self, manifest: DatabaseManifest, noted: DatabaseManifest) -> None:
        """The manifest is the last, for that is what the agent acts on."""
        id, owner, layout = manifest.id, self._owner, self._layout
        environment = read_environment(layout, id.environment)
        if environment is None:
            raise TryLater(f"environment {id.environment} does not exist yet")
        self.ensure_certificates(id.environment, identity.of_database(layout, manifest))
        for file in files(layout, environment, manifest, owner.name):
            ensure_directory(file.path.parent, owner)
            write(file.path, file.content, owner, mode=file.mode)
        write_database(layout, noted, owner)

    def ensure_certificates(
        self, environment: str, certificates: Iterable[Certificate], *, renew: bool = False
    ) -> set[Path]:
        """All of them are valid; those that were made now."""
        from pgherd.engines.local.certificates import ensure

        with self.authorities:
            return ensure(
                self._layout, environment, certificates, self._now(), self._owner, renew=renew
            )
