"""How long restores take here, and how much room: from what was measured, else from a constant.

What was measured lies beside the repository, in a file that is root's alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from pgherd.engines.local import lowered
from pgherd.engines.local.backup import recover
from pgherd.engines.local.backup.goals import Known
from pgherd.engines.local.backup.repository import Repository
from pgherd.engines.local.place import Place
from pgherd.engines.local.timelines import segment_end
from pgherd.errors import NeedsHuman
from pgherd.files import ensure_directory, write
from pgherd.fleet.desired import DatabaseId
from pgherd.units import parse_whole, rounded_bytes

START_SECONDS = 5.0
"""What the smallest restore takes: servers are started, and stopped."""
BYTES_A_SECOND = 100e6
"""What a disk writes, and one of two cores decrypts and unpacks meanwhile."""
MOST = 20
"""The last ones count: machines change."""
MOST_WAL = 2**30
"""That is kept beside the data while it is recovered: max_wal_size as it comes."""
SPARE = 64 * 2**20
MASKED_TIMES = 3
"""So often a table lies there for a while that is changed as a whole, and then written anew."""


class Took(Struct, frozen=True):
    """A restore of so many bytes."""

    bytes: int
    seconds: float


class Taken:
    """Those of an environment, the newest first."""

    def __init__(self, repository: Repository) -> None:
        self._folder = repository.folder / "restores"

    def known(self) -> tuple[Took, ...]:
        """What cannot be read was not measured."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=tuple[Took, ...])
        except (OSError, msgspec.MsgspecError):
            return ()

    def note(self, took: Took) -> None:
        """One more."""
        ensure_directory(self._folder)
        write(self._path, msgspec.json.encode([took, *self.known()][:MOST]))

    @property
    def _path(self) -> Path:
        return self._folder / "taken.json"


def predicted(bytes: int, past: Sequence[Took]) -> tuple[float, bool]:
    """Seconds, and whether that is a guess. Pure.

    How much slower or faster than the constants this machine was is taken to hold for all sizes.
    """
    ratios = [took.seconds / _plain(took.bytes) for took in past]
    return _plain(bytes) * (median(ratios) if ratios else 1.0), not ratios


def _plain(bytes: int) -> float:
    return START_SECONDS + bytes / BYTES_A_SECOND


def needed(known: Known, backup: str, *, is_masked: bool = False) -> int | None:
    """Of a disk, for what is restored from a backup; None where pgBackRest does not say it. Pure.

    What the database has grown by since that backup nobody knows.
    """
    extent = known.stanza.extents.get(backup)
    if extent is None or not extent.bytes:
        return None
    end = known.now.lsn if known.now else segment_end(known.stanza.last_segment)
    wal = MOST_WAL if end is None or is_masked else end - extent.whole_at
    times = MASKED_TIMES if is_masked else 1
    return times * extent.bytes + min(max(0, wal), MOST_WAL) + SPARE


async def free_bytes(place: Place, kept: Path, *, is_cleared: bool = False) -> int:
    """Of the disk below `kept`, as the data plane sees it; what is left of a restore goes first."""
    action = recover.CLEARED_ROOM if is_cleared else recover.ROOM
    code, text = await lowered.call_module(
        place.owner, place.layout.root, recover.__name__, action, str(kept)
    )
    if code != 0:
        why = text.strip()[-200:]
        raise NeedsHuman(f"nobody knows how much room is left in {kept}: {why}")
    return parse_whole(text.strip())


def require_fits(id: DatabaseId, place: Path, needed: int, free: int) -> None:
    """NeedsHuman where it does not. Pure."""
    if free < needed:
        raise NeedsHuman(
            f"{id} does not fit in {place}: {rounded_bytes(needed)} are needed, "
            f"{rounded_bytes(free)} are free",
            "free some space there, then run the same command again",
        )
