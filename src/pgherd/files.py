"""Files that other programs read: written whole or not at all, and changed by nobody else.

What pgherd writes belongs to whoever runs it. Where that is root, the user that the databases run
as may read what it needs (`reader`), by its group, and can change or replace none of it.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pgherd.errors import InputError, NeedsHuman

_FREE_SOME = "free some space there, then run the same command again"
_DISK_TROUBLES = {
    errno.ENOSPC: _FREE_SOME,
    errno.EDQUOT: _FREE_SOME,
    errno.EROFS: "mount that disk for writing, then run the same command again",
}
_CHANGEABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Owner:
    """The user that the data plane runs as."""

    uid: int
    gid: int
    name: str

    @property
    def is_another(self) -> bool:
        """It has fewer rights than this process, which is root's."""
        return os.geteuid() == 0 and self.uid != 0

    def give(self, path: Path) -> Path:
        """A folder that is this user's own; its parent is nobody's but root's."""
        if not path.is_dir():
            with _explained(path):
                path.mkdir(mode=0o700)
            if self.is_another:
                os.chown(path, self.uid, self.gid, follow_symlinks=False)
        return path


def ensure_directory(path: Path, reader: Owner | None = None) -> Path:
    """The folder exists, with its parents; `reader` may enter it."""
    if not path.is_dir():
        if not path.parent.is_dir():
            ensure_directory(path.parent, reader)
        with _explained(path):
            path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
    if reader and reader.is_another:
        found = path.stat()
        # New, or left so by a command that was killed before its next line.
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700:
            os.chown(path, -1, reader.gid)
            path.chmod(0o750)
    return path


def write(
    path: Path,
    content: str | bytes,
    reader: Owner | None = None,
    *,
    mode: int = 0o600,
    durable: bool = False,
) -> bool:
    """Replace the file in one step; whether its content is new. A reader never sees a half.

    `reader` may do with it what its owner may, but for writing. With `durable` it is on the disk
    when this returns: for what cannot be made again.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return False
    with _explained(path):
        _replace(path, data, reader, mode, durable=durable)
    return True


def _replace(path: Path, data: bytes, reader: Owner | None, mode: int, *, durable: bool) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            if reader and reader.is_another:
                os.fchown(file.fileno(), -1, reader.gid)
                mode |= (mode & 0o500) >> 3
            os.fchmod(file.fileno(), mode)
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """The names in the folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_trusted(path: Path) -> None:
    """InputError where another user could change `path`, or replace it by something else.

    Looked at is each folder above it, and where symbolic links lead. What is not there yet can be
    replaced by nobody who cannot change the folder above it.
    """
    for place in (*reversed(path.absolute().parents), path.absolute()):
        try:
            found = place.lstat()
        except OSError:  # whoever opens it says why
            return
        if found.st_uid not in (0, os.geteuid()):
            raise _untrusted(path, place, f"belongs to {name_of_user(found.st_uid)}")
        if stat.S_ISLNK(found.st_mode):
            require_trusted(Path(os.path.realpath(place)))
        elif _may_others_change(found):
            raise _untrusted(path, place, "may be changed by others")


def read_private(path: Path, longest: int, remedy: str) -> str:
    """What a file with a secret holds; InputError where others may read or change it.

    `remedy` says what to write into it where there is none. What is in it is said in no error.
    """
    require_trusted(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        reason = (error.strerror or "it cannot be opened").lower()
        raise InputError(f"{path} cannot be read: {reason}", remedy) from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} is not a file", remedy)
        if found.st_uid not in (0, os.geteuid()):
            owner = name_of_user(found.st_uid)
            raise InputError(f"{path} belongs to {owner}", f"run: chown {os.geteuid()} {path}")
        if found.st_mode & 0o077:
            raise InputError(f"{path} may be read by others", f"run: chmod 600 {path}")
        return file.read(longest).decode(errors="replace")


def _may_others_change(found: os.stat_result) -> bool:
    if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return False  # as in /tmp: nobody replaces what is not theirs
    others = found.st_mode & _CHANGEABLE_BY_OTHERS
    if found.st_gid in (0, os.getegid()):
        others &= ~stat.S_IWGRP
    return bool(others)


def _untrusted(path: Path, place: Path, why: str) -> InputError:
    what = f"{path} cannot be trusted: {place} {why}" if place != path else f"{path} {why}"
    return InputError(what, "choose a place that only you and root may change")


def name_of_user(uid: int) -> str:
    """Its login, or its number where it has none."""
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"user {uid}"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say what a person has to do where the disk does not take what is written."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_TROUBLES:
            raise
        reason = (error.strerror or "the disk does not take it").lower()
        raise NeedsHuman(
            f"{path} cannot be written: {reason}", _DISK_TROUBLES[error.errno]
        ) from None
