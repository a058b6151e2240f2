"""Watches over the helper, and becomes the next one where that has ended or stands still."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from pgherd.autopilot.place import AutopilotPlace
from pgherd.engines.local import lowered, processes
from pgherd.engines.local.processes import Process

LOOK_SECONDS = 1.0
STOPPED_LOOKS = 3
PAUSE_SECONDS = 1.0


def begin(place: AutopilotPlace) -> Process | None:
    """Start one for this process, which is the helper."""
    started = subprocess.Popen(
        lowered.python("pgherd.autopilot.keeper", str(os.getpid()), str(place.applied)),
        start_new_session=True,
        cwd="/",
        env=lowered.environment(place.applied),
        stdin=subprocess.DEVNULL,
    )
    return Process.of(started.pid)


def watch(pid: int) -> None:
    """Return when that process has ended, or does nothing any more; then it has ended."""
    if (helper := Process.of(pid)) is None:
        return
    stopped_looks = 0
    while helper.is_alive:
        time.sleep(LOOK_SECONDS)
        stopped_looks = stopped_looks + 1 if processes.is_stopped(pid) else 0
        if stopped_looks >= STOPPED_LOOKS:
            helper.signal(signal.SIGKILL)
    helper.close()


def main(pid: str, applied: str) -> None:
    """Watch over the helper `pid`. Ended by SIGTERM where that leaves because it was asked to."""
    watch(int(pid))
    time.sleep(PAUSE_SECONDS)
    arguments = lowered.python("pgherd.autopilot.main", applied)
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell


if __name__ == "__main__":
    main(*sys.argv[1:])
