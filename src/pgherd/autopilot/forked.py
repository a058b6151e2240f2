"""A forked process of the helper's: what it carries out leaves nothing for the next."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

log = logging.getLogger(__name__)

ENDING = (signal.SIGTERM, signal.SIGINT)
"""What ends the helper; a child of its is ended by them at once."""


def become_child(kept: int, work: Callable[[], None]) -> NoReturn:
    """Do the work in this forked process, with nothing open of its parent's but `kept`."""
    status = 1
    try:
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        for descriptor in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
            if descriptor > 2 and descriptor != kept:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        work()
        status = 0
    except BaseException:
        log.exception("a child of the helper failed")
    finally:
        os._exit(status)
