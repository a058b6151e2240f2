"""Files that other programs read: written whole or not at all, with the right owner and mode."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pgherd.errors import NeedsHuman

_FREE_SOME = "free some space there, then run the same command again"
_DISK_TROUBLES = {
    errno.ENOSPC: _FREE_SOME,
    errno.EDQUOT: _FREE_SOME,
    errno.EROFS: "mount that disk for writing, then run the same command again",
}


@dataclass(frozen=True, slots=True)
class Owner:
    """The user that the data plane runs as. What root makes is handed to it."""

    uid: int
    gid: int
    name: str

    @classmethod
    def of_process(cls) -> Owner:
        """The user that this process runs as."""
        return cls(os.geteuid(), os.getegid(), "")

    def take_back(self, path: Path) -> None:
        """Make a file root's that root should have kept."""
        if self.uid == 0 and path.stat().st_uid != 0:
            os.chown(path, self.uid, self.gid)

    def take(self, path: Path | int) -> None:
        """Hand a file over, where this process may (it is root) and must (it is another)."""
        if os.geteuid() == 0 and self.uid != 0:
            os.chown(path, self.uid, self.gid)


def ensure_directory(path: Path, owner: Owner, mode: int = 0o700) -> Path:
    """The folder exists, with its parents, and belongs to `owner`."""
    if not path.is_dir():
        if not path.parent.is_dir():
            ensure_directory(path.parent, owner, mode)
        with _explained(path):
            path.mkdir(mode=mode, exist_ok=True)
        owner.take(path)
    return path


def write(
    path: Path, content: str | bytes, owner: Owner, mode: int = 0o600, *, durable: bool = False
) -> bool:
    """Replace the file in one step; whether its content is new. A reader never sees a half.

    With `durable` it is on the disk when this returns: for what cannot be made again.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return False
    with _explained(path):
        _replace(path, data, owner, mode, durable=durable)
    return True


def _replace(path: Path, data: bytes, owner: Owner, mode: int, *, durable: bool) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            owner.take(file.fileno())
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
