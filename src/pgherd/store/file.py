"""The file of a history in SQLite: made for its owner alone, and put aside where it is no good.

SQLite opens by name and follows symbolic links. So what stands at the place is looked at first,
in a folder that nobody else may change.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from pgherd.files import ensure_directory, require_trusted

KEPT_ASIDE = 2
"""So many files that were no good are kept, the newest."""

_BESIDE = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Identity:
    """Tells a file from another one that later has its name."""

    device: int
    inode: int


def ensure_file(path: Path) -> str:
    """There is a file, which may be new; else why what is there is none that may be opened.

    InputError where another user could have put it there.
    """
    ensure_directory(path.parent)
    require_trusted(path.parent)
    for suffix in _BESIDE:
        if found := _found(_beside(path, suffix)):
            if problem := _problem(found):
                return f"{path}{suffix} is {problem}"
        elif not suffix:
            _make(path)
    path.chmod(0o600)
    return ""


def identity(path: Path) -> Identity | None:
    """Of what stands at the place; None where nothing does."""
    found = _found(path)
    return Identity(found.st_dev, found.st_ino) if found else None


def log_of(path: Path) -> Path:
    """Where SQLite writes first."""
    return _beside(path, "-wal")


def remove_log(path: Path, log: Identity | None) -> None:
    """Remove that log, where it is still there: SQLite would play it into whatever is at `path`."""
    if log and identity(log_of(path)) == log:
        for suffix in _BESIDE[1:]:
            _remove(_beside(path, suffix))


def put_aside(path: Path) -> Path | None:
    """Rename what stands at the place, and return its new name; None where nothing stood there.

    Its log goes along: without it, the file lacks what was written last. Who opened it before must
    have closed it.
    """
    if _found(path) is None:
        return None
    for number in range(KEPT_ASIDE, 0, -1):
        for suffix in _BESIDE:
            if number == KEPT_ASIDE:
                _remove(_beside(_aside(path, number), suffix))
            else:
                _rename(
                    _beside(_aside(path, number), suffix),
                    _beside(_aside(path, number + 1), suffix),
                )
    for suffix in _BESIDE:
        _rename(_beside(path, suffix), _beside(_aside(path, 1), suffix))
    return _aside(path, 1)


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.aside{number}")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _found(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _problem(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "a symbolic link"
    if stat.S_ISDIR(found.st_mode):
        return "a folder"
    if not stat.S_ISREG(found.st_mode):
        return "no plain file"
    return ""


def _make(path: Path) -> None:
    # What an earlier file left beside it is no part of this one.
    for suffix in _BESIDE[1:]:
        _remove(_beside(path, suffix))
    # An existing file is never opened and closed here: that would end all locks that SQLite holds
    # on it in this process.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _rename(old: Path, new: Path) -> None:
    if _found(old):
        old.rename(new)
