"""Named places in the WAL of a database: made in its primary, known in a file that is root's alone.

In the WAL each has a random part in its name, so that nobody else's is taken for it. What a server
answers is read as what it may be, or not at all.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pgherd.contract.backups import lsn_of
from pgherd.engines.local.access import as_operator
from pgherd.engines.local.backup.goals import Mark
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.place import Place
from pgherd.errors import NeedsHuman, TryLater
from pgherd.files import ensure_directory, write

if TYPE_CHECKING:
    from pgherd.engines.local.sessions import Connection

NOW = "pgherd.now"
"""The name of what every restore makes; no person's has a dot."""
MOST = 200
"""So many are remembered of an incarnation."""
_NUMBER = re.compile(r"[0-9]{1,19}")


class Points:
    """Those of one incarnation that somebody has made, the newest first."""

    def __init__(self, repository: Repository, manifest: DatabaseManifest) -> None:
        self._folder = repository.folder / "points"
        self._archive = manifest.archive

    def known(self) -> tuple[Mark, ...]:
        """NeedsHuman where they cannot be read."""
        if not self._archive or not self._path.exists():
            return ()
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[Mark, ...])
        except (OSError, msgspec.MsgspecError):
            raise NeedsHuman(f"{self._path} is damaged", "bring it back from a copy") from None

    def keep(self, marks: Sequence[Mark]) -> None:
        """These are known from now on."""
        ensure_directory(self._folder)
        write(self._path, msgspec.json.encode(list(marks)[:MOST]), durable=True)

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._archive}.json"


async def mark(place: Place, manifest: DatabaseManifest, name: str = NOW) -> Mark:
    """One more in the primary, at the end of a segment, which is handed over now.

    TryLater where there is none, or where it does not answer.
    """
    wal_name = f"{name}.{secrets.token_hex(8)}"
    at = place.now()
    async with _session(place, manifest) as session:
        cursor = await session.execute(
            "SELECT pg_catalog.pg_create_restore_point(%s)::pg_catalog.text,"
            " pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text",
            (wal_name,),
        )
        made = _read(manifest, await cursor.fetchone(), Mark(name, wal_name, 0, 0, at))
        await session.execute("SELECT pg_catalog.pg_switch_wal()")
        return made


async def here(place: Place, manifest: DatabaseManifest) -> Mark:
    """Where it has come to; nothing is written."""
    at = place.now()
    async with _session(place, manifest) as session:
        cursor = await session.execute(
            "SELECT pg_catalog.pg_current_wal_lsn()::pg_catalog.text,"
            " pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text"
        )
        return _read(manifest, await cursor.fetchone(), Mark(NOW, NOW, 0, 0, at))


@asynccontextmanager
async def _session(place: Place, manifest: DatabaseManifest) -> AsyncIterator[Connection]:
    import psycopg

    from pgherd.engines.local import sessions

    access = await as_operator(place, manifest.id)
    try:
        async with await sessions.operator(access) as session:
            yield session
    except psycopg.Error as error:
        raise TryLater(f"{manifest.id}: its primary does not answer: {error}".strip()) from error


def _read(manifest: DatabaseManifest, row: Sequence[object] | None, mark: Mark) -> Mark:
    texts = [word if isinstance(word, str) else "" for word in row or ()]
    lsn = lsn_of(texts[0]) if len(texts) == 2 else None
    if lsn is None or not _NUMBER.fullmatch(texts[1]):
        raise TryLater(f"{manifest.id}: its primary says what nobody understands")
    return msgspec.structs.replace(mark, lsn=lsn, transaction=int(texts[1]))
