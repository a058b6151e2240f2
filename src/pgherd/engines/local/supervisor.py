"""Keeps the wanted programs running, and nothing else of the fleet.

Exits are seen within a millisecond (pidfd), a program that ends is started again with a growing
pause, and one that already runs is adopted. It knows nothing of databases.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pgherd.engines.local import lowered, processes
from pgherd.engines.local.forkserver import Start
from pgherd.engines.local.processes import Process

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
STEADY_SECONDS = 30.0
"""A program that ran this long is started again without a pause."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program to keep running, recognised by `start.folder` and its executable."""

    name: str
    executable: str
    start: Start
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 60.0


@dataclass(slots=True)
class _Run:
    """A program and its process; `process` None while it waits to be started again."""

    program: Program
    process: Process | None = None
    pause: float = 0.0
    started_at: float = 0.0
    quick_exits: int = 0
    is_killed: bool = False
    restart: asyncio.TimerHandle | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Runs programs."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._forkserver: socket.socket | None = None
        self._forkserver_process: subprocess.Popen[bytes] | None = None

    def pid(self, name: str) -> int | None:
        """The process id of a program that runs."""
        run = self._runs.get(name)
        return run.process.pid if run and run.process else None

    def quick_exits(self, name: str) -> int:
        """How often in a row it ended soon after its start, though nobody wanted it to."""
        run = self._runs.get(name)
        return run.quick_exits if run else 0

    def names(self) -> set[str]:
        """All programs that are wanted."""
        return set(self._runs)

    def want(self, wanted: Mapping[str, Program]) -> None:
        """Start, or adopt, those of `wanted` that are not looked after yet.

        One that waits to be started again is started now: what hindered it may be mended.
        """
        self.adopt(wanted)
        for name, program in wanted.items():
            if name not in self._runs:
                run = self._runs[name] = _Run(program)
                self._start(run)
            elif self._runs[name].quick_exits:
                self._runs[name].quick_exits = 0
                self.hasten(name)

    def adopt(self, programs: Mapping[str, Program]) -> set[str]:
        """Look after those of `programs` that run though nobody does; which those are."""
        unknown = {name: program for name, program in programs.items() if name not in self._runs}
        if not unknown:
            return set()
        running = processes.by_folder()
        adopted = set()
        for name, program in unknown.items():
            if (pid := _find(program, running)) and (process := Process.of(pid)):
                log.info("%s runs already as process %d", name, pid)
                run = self._runs[name] = _Run(program)
                self._watch(run, process)
                adopted.add(name)
        return adopted

    async def stop(self, name: str, *, at_once: bool = False) -> None:
        """End a program and wait for its end; killed `at_once`, or when it takes too long."""
        run = self._runs.pop(name, None)
        if run is None:
            return
        if run.restart:
            run.restart.cancel()
        if run.process is None:
            return
        run.process.signal(signal.SIGKILL if at_once else run.program.stop_signal)
        try:
            await asyncio.wait_for(run.ended.wait(), run.program.stop_seconds)
        except TimeoutError:
            log.warning("%s did not stop in %.0f s: killed", name, run.program.stop_seconds)
            run.process.signal(signal.SIGKILL)
            await run.ended.wait()

    def kill(self, name: str, pause: float = 0.0) -> None:
        """End a program at once; it is started again after `pause` seconds."""
        if (run := self._runs.get(name)) is None:
            return
        run.pause = pause
        run.is_killed = True
        if run.process:
            run.process.signal(signal.SIGKILL)
        elif run.restart:
            run.restart.cancel()
            self._start_later(run)

    def hasten(self, name: str) -> None:
        """Start a program that waits to be started again now."""
        run = self._runs.get(name)
        if run and run.restart:
            run.restart.cancel()
            self._start(run)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program that runs."""
        run = self._runs.get(name)
        if run and run.process:
            run.process.signal(number)

    def close(self) -> None:
        """Let go of everything; the programs run on."""
        for run in self._runs.values():
            if run.process:
                asyncio.get_running_loop().remove_reader(run.process.descriptor)
        if self._forkserver:
            self._forkserver.close()

    def _start(self, run: _Run) -> None:
        run.restart = None
        try:
            pid = self._fork(run.program.start)
        except OSError as error:
            log.error("%s cannot be started: %s", run.program.name, error)
            self._start_later(run)
            return
        process = Process.of(pid)
        if process is None:
            self._start_later(run)
            return
        log.info("%s started as process %d", run.program.name, pid)
        self._watch(run, process)

    def _watch(self, run: _Run, process: Process) -> None:
        loop = asyncio.get_running_loop()
        run.process = process
        run.ended = asyncio.Event()
        run.started_at = loop.time()
        loop.add_reader(process.descriptor, self._ended, run)

    def _ended(self, run: _Run) -> None:
        loop = asyncio.get_running_loop()
        process, run.process = run.process, None
        if process is None:
            return
        loop.remove_reader(process.descriptor)
        process.close()
        processes.reap()
        run.ended.set()
        name = run.program.name
        if self._runs.get(name) is not run:
            return
        log.warning("%s ended (process %d)", name, process.pid)
        if loop.time() - run.started_at > STEADY_SECONDS:
            run.pause = 0.0
            run.quick_exits = 0
        elif not run.is_killed:
            run.quick_exits += 1
        run.is_killed = False
        self._start_later(run)

    def _start_later(self, run: _Run) -> None:
        loop = asyncio.get_running_loop()
        run.restart = loop.call_later(run.pause, self._start, run)
        run.pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, run.pause * 2))

    def _fork(self, start: Start) -> int:
        """Ask the fork server; a new one where it has died."""
        for _ in range(2):
            try:
                return self._ask(start)
            except (OSError, ValueError) as error:
                log.warning("the fork server does not answer (%s): a new one", error)
                self._forkserver = None
        return self._ask(start)

    def _ask(self, start: Start) -> int:
        if self._forkserver is None:
            self._forkserver = self._start_forkserver()
        self._forkserver.sendall(start.encode())
        return int(self._forkserver.recv(32))

    def _start_forkserver(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._forkserver_process = subprocess.Popen(  # outlives this block on purpose
                lowered.python("pgherd.engines.local.forkserver", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
                # One arena for all threads: each Patroni has ten, and uses little memory in any.
                env={**lowered.environment(Path("/")), "MALLOC_ARENA_MAX": "1"},
            )
        ours.settimeout(30)
        return ours


def _find(program: Program, running: Mapping[str, list[int]]) -> int | None:
    """The oldest process that is this program."""
    wanted = os.path.realpath(program.executable)
    candidates = (
        pid
        for pid in running.get(os.path.realpath(program.start.folder), [])
        if processes.is_session_leader(pid) and processes.executable(pid) == wanted
    )
    return min(candidates, key=processes.start_time, default=None)
