"""Leases of archives: what somebody restores from is not removed meanwhile.

A lease is a lock, shared by those who read, that ends with them. Whoever removes has it alone, or
leaves what is there to the next time. There is one for a repository, and one for each copy.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

from pgherd.files import ensure_directory

LOOK_SECONDS = 0.1
"""So often is looked whether what is being removed is gone."""


def opened(folder: Path, archive: str, region: str = "") -> int:
    """The file that is locked, of an archive in the repository at `folder`, or in its copy."""
    place = ensure_directory(folder / "leases")
    name = f"{archive}@{region}" if region else archive
    return os.open(place / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


async def take(lease: int) -> None:
    """It is shared by whoever has opened it, as soon as nothing is removed there any more."""
    while True:
        if _locked(lease, fcntl.LOCK_SH):
            return
        await asyncio.sleep(LOOK_SECONDS)


def is_alone(lease: int) -> bool:
    """Whether nobody reads, until it is closed."""
    return _locked(lease, fcntl.LOCK_EX)


def _locked(lease: int, how: int) -> bool:
    try:
        fcntl.flock(lease, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
