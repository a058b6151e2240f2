"""What a database had before it was restored in its place: how long it is kept, and how it is back.

Its archive is taken up again with it: nobody has written there since, for whatever was restored has
an archive of its own, and the data knows itself what of its WAL it has handed over. So its backups
and times are there again, and a new archive would have none.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from pgherd.contract.backups import UNDO, KeptData
from pgherd.engines.local.backup import exchange
from pgherd.engines.local.backup.origins import half_restored
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.databases import Databases
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    FormerData,
    read_databases,
    write_database,
)
from pgherd.engines.local.place import Place
from pgherd.errors import InputError


def kept_data(manifest: DatabaseManifest, days: int, now: datetime) -> KeptData | None:
    """What is kept now, and until when; the next backup after that removes it. Pure."""
    if (former := manifest.former) is None:
        return None
    since = datetime.fromisoformat(former.since)
    until = since + timedelta(days=days)
    return KeptData(since, until, former.is_undone) if now < until else None


def require_kept(manifest: DatabaseManifest, days: int, now: datetime) -> FormerData:
    """InputError where there is nothing to bring back; what was begun goes on. Pure."""
    is_due = kept_data(manifest, days, now) or manifest.restoring
    if manifest.former is None or not is_due:
        raise InputError(
            f"nothing is kept of what {manifest.id} had before",
            f"see what it can be restored to: `pgherd backup list {manifest.id}`",
        )
    return manifest.former


async def undo(
    place: Place,
    databases: Databases,
    repository: Repository,
    manifest: DatabaseManifest,
    former: FormerData,
) -> None:
    """From the moment that it is noted, only the same call takes it on."""
    layout, id = place.layout, manifest.id
    noted = replace(manifest, restoring=f"{manifest.archive} {UNDO}", restoring_at=former.number)
    anew = replace(
        manifest,
        restoring="",
        archive=former.archive,
        restored_from=former.restored_from,
    )
    mine = [d for d in read_databases(layout) if d.environment == manifest.environment]
    repository.ensure_written((*(d for d in mine if d.id != id), anew))
    await repository.ensure_running()
    since = place.now().isoformat()
    kept = FormerData(former.number, since, manifest.archive, manifest.restored_from, True)
    await databases.exchange(noted, anew, kept)


async def discard(place: Place, manifest: DatabaseManifest) -> None:
    """Nothing is kept any more."""
    if manifest.restoring:
        raise InputError(*half_restored(manifest))
    if manifest.former is None:
        raise InputError(f"nothing is kept of what {manifest.id} had before")
    await remove_former(place, manifest, manifest.former)
    write_database(place.layout, replace(manifest, former=None), place.owner)


async def remove_former(place: Place, manifest: DatabaseManifest, former: FormerData) -> None:
    """The files."""
    kept = place.layout.kept_by(manifest.id, former.number)
    await place.remove(kept / exchange.BEFORE, kept / exchange.UNDONE)
