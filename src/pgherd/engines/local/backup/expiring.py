"""What goes of a repository: nothing that a time of the retention needs, or that is being read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pgherd.engines.local import lowered
from pgherd.engines.local.backup import leases
from pgherd.engines.local.backup.incarnations import incarnations, outlived, retention_days
from pgherd.engines.local.backup.moving import archives_of
from pgherd.engines.local.backup.pgbackrest import Stanza
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.manifest import damaged_databases, read_databases
from pgherd.engines.local.place import Place

NOTES = ("points", "proofs", "verified")
"""Folders beside a repository with a file for each archive."""


async def expire(repository: Repository, archive: str, days: int) -> None:
    """What no time of the last days needs goes."""
    with _alone(repository, archive) as is_alone:
        if is_alone:
            await repository.run("expire", archive, [f"--repo1-retention-full={days}"])


async def expire_earlier(
    place: Place, repository: Repository, stanzas: Mapping[str, Stanza]
) -> None:
    """Incarnations go that nothing uses, once no time of their retention is in them.

    That of a database that is gone is the longest in its environment.
    """
    layout, name = place.layout, repository.manifest.name
    if any(id.environment == name for id in damaged_databases(layout)):
        return  # it may use one, and cannot say so
    mine = {d.service: d for d in read_databases(layout) if d.environment == name}
    used, longest = archives_of(mine.values()), max(map(retention_days, mine.values()), default=0)
    for service in {archive.rpartition("-")[0] for archive in stanzas}:
        days = retention_days(mine[service]) if service in mine else longest
        for archive in outlived(incarnations(stanzas, service), used, days, place.now()):
            await _remove(repository, archive)


async def _remove(repository: Repository, archive: str) -> None:
    """Nothing is left of it, nor of what is known of it."""
    folder = repository.folder
    with _alone(repository, archive) as is_alone:
        if not is_alone:
            return
        nowhere = folder / archive  # pgBackRest wants a server's place, and looks at none
        await repository.run("stop", archive)
        await repository.run("stanza-delete", archive, ["--force", f"--pg1-path={nowhere}"])
        await repository.run("start", archive)
        await lowered.remove(repository.owner, folder, [folder / "stream" / archive])
        for notes in NOTES:
            (folder / notes / f"{archive}.json").unlink(missing_ok=True)


@contextmanager
def _alone(repository: Repository, archive: str) -> Iterator[bool]:
    """Whether nobody restores from it meanwhile."""
    lease = leases.opened(repository.folder, archive)
    try:
        yield leases.is_alone(lease)
    finally:
        os.close(lease)
