"""One at a time, whoever asks: by a lock that ends with whoever holds it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pgherd.errors import Busy


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Nobody else does it at the same time; Busy where somebody does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Busy(f"{what} is under way", "wait for it to end") from None
    try:
        yield
    finally:
        os.close(descriptor)
