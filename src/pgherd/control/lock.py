"""One command at a time changes a fleet; those that only look never wait.

The lock is the kernel's (`flock`), so it is gone as soon as its holder is, however that ended.
The file stays: what it says is for whoever waits, and is believed by nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from pgherd.errors import Busy, InputError
from pgherd.files import require_trusted

FOR_EVER = math.inf
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """Who is at work: `started` is local time, as in 12:03:04."""

    pid: int
    command: str
    started: str

    def __str__(self) -> str:
        return f"pgherd {self.command} (process {self.pid}, started {self.started})"


@contextmanager
def fleet_lock(
    path: Path,
    command: str,
    *,
    seconds: float,
    on_wait: Callable[[str], None],
    now: datetime,
) -> Iterator[None]:
    """Hold the lock at `path`. Busy where another holds it for so long; FOR_EVER waits for its end.

    `on_wait` is told once who is at work, before the wait.
    """
    descriptor = _open(path)
    try:
        _take(descriptor, seconds, on_wait)
        holder = Holder(os.getpid(), command, now.strftime("%H:%M:%S"))
        _say(descriptor, json.dumps(asdict(holder)) + "\n")
        try:
            yield
        finally:
            _say(descriptor, "")
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Nobody else may open it: whoever can, can hold the lock for ever."""
    require_trusted(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        _ensure_folder(path.parent)
        descriptor = os.open(path, flags, 0o600)
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        reason = (error.strerror or "no reason given").lower()
        raise InputError(
            f"{path} cannot be opened: {reason}",
            "run pgherd as the user whose fleet it is, or set PGHERD_STATE to another folder",
        ) from error
    return descriptor


def _ensure_folder(folder: Path) -> None:
    """The folder and its parents exist; whoever the databases run as may pass through them."""
    if folder.is_dir():
        return
    _ensure_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def _take(descriptor: int, seconds: float, on_wait: Callable[[str], None]) -> None:
    if _is_taken(descriptor):
        return
    holder = str(_holder(descriptor) or "another pgherd command")
    if seconds:
        on_wait(holder)
    if seconds == FOR_EVER:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        if _is_taken(descriptor):
            return
    raise Busy(f"{holder} is at work", "wait for it to end, or leave --no-wait away")


def _is_taken(descriptor: int) -> bool:
    """Whether it is ours now."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _holder(descriptor: int) -> Holder | None:
    """What the file says; it may be read before its holder has written."""
    try:
        return Holder(**json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return None


def _say(descriptor: int, text: str) -> None:
    # On a full disk the lock holds all the same.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
