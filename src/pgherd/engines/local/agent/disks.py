"""How full the disks of instances are, and WAL on them that waits to be archived."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path

from pgherd.engines.local.measured import MeasuredDisk

log = logging.getLogger(__name__)

SEGMENT_BYTES = 16 * 2**20
"""Of WAL, as initdb makes it."""
READY = ".ready"
"""At the end of the name of what says that a segment waits."""
LOOK_SECONDS = 1.0
RESERVE_BYTES = 256 * 2**20
"""16 segments of WAL: some seconds to some minutes for a person, or an archive, to catch up."""
RESERVE_SHARE = 0.01
"""No more than that of a small disk."""
ROOMY = 8
"""A reserve is made where so many times as much is free."""


def disk_of(folder: Path) -> MeasuredDisk | None:
    """The one that a folder is on; None where that is not known."""
    try:
        found, device = os.statvfs(folder), folder.stat().st_dev
    except OSError:
        return None
    name = f"{os.major(device)}:{os.minor(device)}"
    return MeasuredDisk(name, found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def waiting_bytes(data: Path) -> int | None:
    """WAL in a data directory that has yet to be archived; None where that is not known."""
    try:
        with os.scandir(data / "pg_wal" / "archive_status") as entries:
            return SEGMENT_BYTES * sum(entry.name.endswith(READY) for entry in entries)
    except OSError:
        return None


def reserve_wanted(disk: MeasuredDisk, *, is_there: bool) -> int | None:
    """How large a reserve should be; 0 where it has to go, None where it stays as it is. Pure."""
    size = min(RESERVE_BYTES, int(disk.size * RESERVE_SHARE))
    if is_there:
        return 0 if disk.free < size else None
    return size if disk.free > ROOMY * size else None


class Reserve:
    """A file that is in nobody's way until the disk is all but full, and goes then.

    So a server that fills the disk is told of before it has to stop. PostgreSQL ends where it
    cannot write WAL.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    async def run(self) -> None:
        """Look, again and again, for ever."""
        while True:
            with contextlib.suppress(OSError):
                self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Make it where there is room, give it up where there is none."""
        disk = disk_of(self._file.parent)
        if disk is None:
            return
        wanted = reserve_wanted(disk, is_there=self._file.exists())
        if wanted == 0:
            log.warning("the disk is all but full: the reserve of %s is given up", self._file)
            self._file.unlink()
        elif wanted:
            self._make(wanted)

    def _make(self, size: int) -> None:
        unfinished = self._file.with_suffix(".new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
        unfinished.rename(self._file)
