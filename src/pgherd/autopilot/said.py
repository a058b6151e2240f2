"""What a process says that has fewer rights than this one: so much, and for so long."""

from __future__ import annotations

import os
import selectors
import subprocess
import time

CHUNK = 65536


def said_by(process: subprocess.Popen[bytes], deadline: float, longest: int) -> bytes | None:
    """Its standard output, until it ends or has said so much; None where it has not in time.

    `deadline` is a time of `time.monotonic`, `longest` in bytes; one chunk more may be told.
    """
    assert process.stdout  # noqa: S101 - it was asked for
    found = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(found) < longest:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            if not (more := os.read(process.stdout.fileno(), min(CHUNK, longest))):
                break
            found += more
    return found
