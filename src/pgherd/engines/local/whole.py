"""Which data directories are whole. One that was interrupted while it was made is made anew.

A new cluster is whole when its bootstrap has said so, as its last statement, in the cluster itself
(`postgres.COMPLETE`): until then nobody can have put anything into it. A copy is whole when the
program that copies has ended well and all of it is on the disk. Either is then marked by a file
beside the data. A database that has a whole instance is made; what is half in it is never taken
for its data, and what was whole is never thrown away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from pgherd.engines.local import postgres
from pgherd.files import sync_folder

MARK = "whole"
DATA = "data"
ROOM = 256 * 2**20
"""Bytes to be left free on the disk, beside a copy."""


def is_whole(kept: Path) -> bool:
    """Whether an instance's data directory is; `kept` is the folder of what it keeps."""
    return (kept / MARK).exists()


def mark(kept: Path) -> None:
    """It is whole, and that outlives a power cut."""
    descriptor = os.open(kept / MARK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fsync(descriptor)
    os.close(descriptor)
    sync_folder(kept)


def unmark(kept: Path) -> None:
    """It is not whole any more: somebody is about to change or remove it."""
    (kept / MARK).unlink(missing_ok=True)


def is_made(kept: Path) -> bool:
    """Whether a database has a whole instance; `kept` is the folder of what its instances keep."""
    return any(kept.glob(f"*/{MARK}"))


def may_be_made(kept: Path) -> bool:
    """Whether there is something that may turn out to be whole once it runs."""
    return is_made(kept) or has_data(kept)


def has_data(kept: Path) -> bool:
    """Whether an instance has data that a server can start with."""
    return any(postgres.damage(data) is None for data in kept.glob(f"*/{DATA}"))


def put_aside(kept: Path, primary: Path) -> None:
    """Take an instance's data away, so that it is copied from `primary`, another's data directory.

    It is kept beside, in place of what was put there before; where the disk has no room for both,
    it is removed, if another replica is whole. OSError (ENOSPC) where none is.
    """
    data = kept / DATA
    aside = data.with_name(f"{DATA}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    unmark(kept)
    if not data.exists():
        return
    if shutil.disk_usage(kept).free > _size(primary) + ROOM:
        data.rename(aside)
        return
    others = (o for o in kept.parent.iterdir() if o not in (kept, primary.parent) and is_whole(o))
    if not any(postgres.damage(other / DATA) is None for other in others):
        raise OSError(
            errno.ENOSPC, f"no room for a copy beside {data}, which is the only other one"
        )
    shutil.rmtree(data)


def _size(folder: Path) -> int:
    """Bytes of the files below it, as far as they don't vanish meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def set_aside(kept: Path) -> str:
    """Take away what an instance cannot serve with, where another can; what that was, if anything.

    Half a copy is removed; what was whole and is damaged is kept beside, for a person to look at.
    """
    data = kept / DATA
    others = (other for other in kept.parent.iterdir() if other != kept and is_whole(other))
    if not data.exists() or not any(postgres.damage(other / DATA) is None for other in others):
        return ""
    if not is_whole(kept):
        shutil.rmtree(data)
        return f"{data} was half made: removed"
    if (damaged := postgres.damage(data)) is None:
        return ""
    aside = data.with_name(f"{DATA}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    unmark(kept)
    data.rename(aside)
    return f"{damaged} cannot be read: {data} is now {aside}"
