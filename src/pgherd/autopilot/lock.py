"""Only one autopilot runs for a fleet: the kernel's lock, gone as soon as its holder is."""

from __future__ import annotations

import fcntl
import os

from pgherd.autopilot.place import AutopilotPlace
from pgherd.errors import TryLater


def take_lock(place: AutopilotPlace) -> int:
    """The descriptor of a lock that is held until it is closed; TryLater where another has it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(place.lock, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip() or "?"
        os.close(descriptor)
        raise TryLater(
            f"the autopilot of {place.fleet} runs already (process {holder})",
            "see `pgherd status`, or end it with `pgherd run --stop`",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
