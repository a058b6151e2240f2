"""Keeps the wanted programs running, and nothing else of the fleet.

Exits are seen within a millisecond (pidfd), a program that ends is started again with a growing
pause, one that is frozen is ended first, and one that already runs is adopted. It knows nothing of
databases.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pgherd.engines.local import processes
from pgherd.engines.local.agent.forks import Forks
from pgherd.engines.local.forkserver import Start
from pgherd.engines.local.processes import Identity, Process

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
STEADY_SECONDS = 30.0
"""A program that ran this long is started again without a pause."""
FROZEN_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Program:
    """One program to keep running, recognised by `start.folder` and its executable."""

    name: str
    executable: str
    start: Start
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 60.0
    frozen_looks: int = FROZEN_LOOKS
    """When it is seen stopped this many times in a row, a second apart, it is killed."""


@dataclass(slots=True)
class _Run:
    """A program and its process; `process` None while it waits to be started again.

    `is_kept_out`: it is not, until it is hastened.
    """

    program: Program
    process: Process | None = None
    starting: asyncio.Task[None] | None = None
    restart: asyncio.TimerHandle | None = None
    pause: float = 0.0
    started_at: float = 0.0
    quick_exits: int = 0
    stopped_looks: int = 0
    is_killed: bool = False
    is_kept_out: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Runs programs; `changed` is called with the name of each that began or ended."""

    def __init__(self, forks: Forks, changed: Callable[[str], None]) -> None:
        self._forks = forks
        self._changed = changed
        self._runs: dict[str, _Run] = {}

    def process(self, name: str) -> Identity | None:
        """The process of a program that runs."""
        run = self._runs.get(name)
        return run.process.identity if run and run.process else None

    def names(self) -> set[str]:
        """All programs that are wanted."""
        return set(self._runs)

    def quick_exits(self, name: str) -> int:
        """How often in a row it ended soon after its start, though nobody wanted it to."""
        run = self._runs.get(name)
        return run.quick_exits if run else 0

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
        if run.starting:
            await asyncio.wait([run.starting])
        if run.process is None:
            return
        run.process.signal(signal.SIGKILL if at_once else run.program.stop_signal)
        try:
            await asyncio.wait_for(run.ended.wait(), run.program.stop_seconds)
        except TimeoutError:
            log.warning("%s did not stop in %.0f s: killed", name, run.program.stop_seconds)
            run.process.signal(signal.SIGKILL)
            await run.ended.wait()

    def kill(self, name: str, process: Identity | None = None) -> None:
        """End a program at once, to be started again; where `process` is given, only that one."""
        run = self._runs.get(name)
        if run and run.process and process in (None, run.process.identity):
            run.is_killed = True
            run.process.signal(signal.SIGKILL)

    async def keep_out(self, name: str) -> None:
        """End a program at once; it is started again when it is hastened, and not before."""
        if (run := self._runs.get(name)) is None:
            return
        run.is_kept_out = True
        if run.restart:
            run.restart.cancel()
        if run.starting:
            await asyncio.wait([run.starting])
        if run.process:
            run.is_killed = True
            run.process.signal(signal.SIGKILL)
            await run.ended.wait()

    def hasten(self, name: str) -> None:
        """Start a program now that waits to be started again, or was kept out."""
        run = self._runs.get(name)
        if run is None or run.process or run.starting:
            return
        run.is_kept_out = False
        if run.restart:
            run.restart.cancel()
        self._start(run)

    def end_frozen(self) -> None:
        """Kill what stands still; to be called once a second, for a look each."""
        for name, run in self._runs.items():
            is_frozen = run.process is not None and processes.is_stopped(run.process.pid)
            run.stopped_looks = run.stopped_looks + 1 if is_frozen else 0
            if run.stopped_looks >= run.program.frozen_looks:
                log.warning("%s is frozen: killed, to be started again", name)
                self.kill(name)

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

    def _start(self, run: _Run) -> None:
        run.restart = None
        run.starting = asyncio.get_running_loop().create_task(self._begin(run))

    async def _begin(self, run: _Run) -> None:
        try:
            process = Process.of(await self._forks.start(run.program.start))
        except (OSError, ValueError) as error:
            log.error("%s cannot be started: %s", run.program.name, error)
            process = None
        run.starting = None
        if process is None:
            if self._is_wanted(run):
                self._start_later(run)
            return
        log.info("%s started as process %d", run.program.name, process.pid)
        self._watch(run, process)

    def _watch(self, run: _Run, process: Process) -> None:
        loop = asyncio.get_running_loop()
        run.process = process
        run.ended = asyncio.Event()
        run.started_at = loop.time()
        run.stopped_looks = 0
        loop.add_reader(process.descriptor, self._ended, run)
        self._changed(run.program.name)

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
        if self._is_wanted(run):
            log.warning("%s ended (process %d)", name, process.pid)
            if loop.time() - run.started_at > STEADY_SECONDS or run.is_killed:
                run.pause = 0.0
            if loop.time() - run.started_at > STEADY_SECONDS:
                run.quick_exits = 0
            elif not run.is_killed:
                run.quick_exits += 1
            self._start_later(run)
        run.is_killed = False
        self._changed(name)

    def _start_later(self, run: _Run) -> None:
        if run.is_kept_out:
            return
        loop = asyncio.get_running_loop()
        run.restart = loop.call_later(run.pause, self._start, run)
        run.pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, run.pause * 2))

    def _is_wanted(self, run: _Run) -> bool:
        return self._runs.get(run.program.name) is run


def _find(program: Program, running: Mapping[str, list[int]]) -> int | None:
    """The oldest process that is this program."""
    wanted = os.path.realpath(program.executable)
    candidates = (
        pid
        for pid in running.get(os.path.realpath(program.start.folder), [])
        if processes.is_session_leader(pid) and processes.executable(pid) == wanted
    )
    return min(candidates, key=processes.start_time, default=None)
