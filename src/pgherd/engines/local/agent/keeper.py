"""The keeper: the agent's parent, which does nothing but start another agent when one is killed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import sys
import time
from pathlib import Path

from pgherd.engines.local import processes
from pgherd.engines.local.agent.agent import Agent
from pgherd.engines.local.layout import Layout

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.2
"""Between an agent that was killed and the next."""


def main(root: str) -> None:
    """Leave an agent behind for the fleet whose state is below `root`; exit 1 when that fails.

    A keeper stays with it, which starts another one when it is killed. What went wrong before it
    has opened its log is on standard error.
    """
    layout = Layout(Path(root))
    _write_to(layout.log / "agent.log")
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os._exit(0 if os.read(reader, 1) else 1)
    os.close(reader)
    os.setsid()
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr
    )
    processes.become_subreaper()
    while (agent := os.fork()) != 0:
        if os.waitstatus_to_exitcode(_wait_for(agent)) >= 0:
            return
        log.error("the agent (process %d) was killed: starting another", agent)
        time.sleep(PAUSE_SECONDS)
    _become_agent(layout, writer)


def _write_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _wait_for(child: int) -> int:
    """The status that `child` ends with; orphans that come here are reaped on the way."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


def _become_agent(layout: Layout, writer: int) -> None:
    def ready() -> None:
        with contextlib.suppress(OSError):  # whoever waited for the first agent is gone
            os.write(writer, b".")

    with (layout.run / "agent.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another agent runs this fleet")
        lock.truncate(0)  # only now: it names the agent that holds it
        lock.write(json.dumps({"pid": os.getpid()}))
        lock.flush()
        asyncio.run(Agent(layout).run(ready))
