"""The keeper: watches over the agent, and starts another one when that has been killed or frozen.

As a rule it is the agent's parent, so that what a killed agent leaves behind comes here and its
ends are collected. An agent whose keeper has gone starts another one, and tells it whom to watch.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import sys
import time
from pathlib import Path

from pgherd.engines.local import processes
from pgherd.engines.local.agent.agent import Agent
from pgherd.engines.local.agent.ward import LEAVES, LOOK_SECONDS, Ward, lock
from pgherd.engines.local.layout import Layout

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.2
"""Between an agent that was killed and the next."""
LONGEST_PAUSE = 10.0
STEADY_SECONDS = 30.0
"""An agent that ran for so long is followed by another one without a longer pause."""


def main(root: str) -> None:
    """Leave an agent behind for the fleet whose state is below `root`; exit 1 when that fails.

    A keeper stays with it. What went wrong before it has opened its log is on standard error.
    """
    layout = Layout(Path(root))
    _write_to(layout.log / "agent.log")
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os._exit(0 if os.read(reader, 1) else 1)
    os.close(reader)
    os.setsid()
    _begin_log()
    processes.become_subreaper()
    if ward := _start(layout, writer):
        os.close(writer)
        keep(layout, ward)


def take_over(root: str, agent: str, descriptor: str) -> None:
    """Watch over an agent whose keeper has gone, over the socket that it gave."""
    layout = Layout(Path(root))
    _write_to(layout.log / "agent.log")
    _begin_log()
    processes.become_subreaper()
    ward = Ward(int(agent), socket.socket(fileno=int(descriptor)))
    ward.was_ready = True
    keep(layout, ward)


def keep(layout: Layout, ward: Ward) -> None:
    """Watch over an agent, then over the one that follows, until one is asked to leave.

    An agent that cannot even begin is not followed by another, unless one could before.
    """
    pause = PAUSE_SECONDS / 2
    could_begin = False
    while True:
        began_at = time.monotonic()
        _watch(ward)
        ward.end()
        processes.reap()
        if ward.has_left or not (ward.was_ready or could_begin):
            return
        could_begin = True
        is_steady = time.monotonic() - began_at > STEADY_SECONDS
        pause = PAUSE_SECONDS if is_steady else min(LONGEST_PAUSE, 2 * pause)
        log.error("the agent has ended, or stood still: another one begins")
        time.sleep(pause)
        if (another := _start(layout)) is None:
            return
        ward = another


def _watch(ward: Ward) -> None:
    """Return when it has ended, or does nothing any more."""
    looked_at = time.monotonic()
    while not (ward.has_left or ward.is_gone or ward.stands_still):
        if select.select([ward], [], [], LOOK_SECONDS)[0]:
            ward.listen()
        if time.monotonic() - looked_at >= LOOK_SECONDS:
            looked_at = time.monotonic()
            ward.look()
            processes.reap()


def _start(layout: Layout, writer: int | None = None) -> Ward | None:
    """Another agent; None in place of it where this process has become it, and it has ended."""
    ours, theirs = socket.socketpair()
    keeper = os.getpid()
    if agent := os.fork():
        theirs.close()
        return Ward(agent, ours)
    ours.close()
    _become_agent(layout, keeper, theirs, writer)
    return None


def _become_agent(
    layout: Layout, keeper: int, connection: socket.socket, writer: int | None
) -> None:
    def ready() -> None:
        with contextlib.suppress(OSError):  # whoever waited for the first agent is gone
            if writer is not None:
                os.write(writer, b".")

    try:
        lock(layout.root)
    except BlockingIOError:
        log.warning("another agent runs this fleet")
        connection.send(LEAVES)
        return
    asyncio.run(Agent(layout, keeper, connection).run(ready))


def _write_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _begin_log() -> None:
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr
    )


if __name__ == "__main__":
    take_over(*sys.argv[1:])
