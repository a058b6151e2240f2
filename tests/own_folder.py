"""A short folder for the state of a fleet, whose addresses no other process of tests takes.

A fleet takes the first block of loopback addresses that is free, from the one on that the name of
its state folder leads to. One that is stopped for a while could lose its block to another that
begins: so of several processes that run tests, each takes names that lead to its own part of them.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from pathlib import Path

BLOCKS = 253


def own_folder(prefix: str, state: str) -> Path:
    """A new folder below /tmp; the fleet's state will be in its folder `state`."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        folder = Path(tempfile.mkdtemp(dir="/tmp", prefix=prefix))
        first = zlib.crc32(str(folder / state).encode()) % BLOCKS
        if first * workers // BLOCKS == own:
            folder.chmod(0o755)
            return folder
        folder.rmdir()
