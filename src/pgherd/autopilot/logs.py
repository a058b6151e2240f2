"""Where the autopilot's processes write what they say: a file each, cut when it is long."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

MOST_BYTES = 10 * 2**20


def to_file(path: Path) -> None:
    """All that this process says goes there from now on. A long one is begun anew, once kept."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    if os.fstat(descriptor).st_size > MOST_BYTES:
        os.close(descriptor)
        path.replace(path.with_name(f"{path.name}.1"))
        descriptor = os.open(path, flags, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s",
        level=logging.INFO,
        stream=sys.stderr,
        force=True,
    )


def to_nowhere() -> None:
    """This process has no input, and nothing that it says goes anywhere yet."""
    descriptor = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for number in (0, 1, 2):
        os.dup2(descriptor, number)
    os.close(descriptor)


def say(text: str) -> None:
    """One line."""
    logging.getLogger("pgherd.autopilot").warning("%s", text)
