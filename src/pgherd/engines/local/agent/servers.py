"""The PostgreSQL servers of one database, as the kernel shows them.

A postmaster is held by a descriptor (pidfd), so its end is known at once; a new one is found by
looking. What an instance's server was when it ended is read from pg_control.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from pgherd.engines.local import leftovers, postgres, processes
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.processes import Identity, Process
from pgherd.fleet.desired import DatabaseId


class Servers:
    """Those of one database; `ended` is called with the number of an instance whose server did."""

    def __init__(self, layout: Layout, id: DatabaseId, ended: Callable[[int], None]) -> None:
        self._layout = layout
        self._id = id
        self._ended = ended
        self._held: dict[int, Process] = {}
        self._replayed: dict[int, str] = {}

    def look(self, number: int) -> Identity | None:
        """The postmaster that runs there; from now on its end is reported."""
        if (held := self._held.get(number)) and held.is_alive:
            return held.identity
        self.forget(number)
        pid = postgres.postmaster_pid(self._layout.data(self._id, number))
        process = Process.of(pid) if pid else None
        if process is None:
            return None
        self._held[number] = process
        loop = asyncio.get_running_loop()
        loop.add_reader(process.descriptor, self._has_ended, number)
        return process.identity

    def state(self, number: int) -> postgres.ClusterState | None:
        """What pg_control says of an instance."""
        return postgres.cluster_state(self._layout.data(self._id, number))

    def is_stopped(self, number: int) -> bool:
        """Whether the postmaster that runs there is frozen."""
        held = self._held.get(number)
        return held is not None and processes.is_stopped(held.pid)

    def is_reachable(self, number: int, port: int) -> bool:
        """Whether there is a Unix socket over which its server could be opened."""
        return (self._layout.socket_folder(self._id, number) / f".s.PGSQL.{port}").exists()

    def is_damaged(self, number: int) -> bool:
        """Whether an instance has data, and no server can start from it."""
        data = self._layout.data(self._id, number)
        return data.is_dir() and postgres.damage(data) is not None

    def is_getting_on(self, number: int) -> bool:
        """Whether an instance that does not serve yet comes nearer to it.

        A program of its Patroni's runs (pg_basebackup, pg_rewind), or its server replays WAL, as
        the title of its startup process says.
        """
        if len(processes.working_in(self._layout.instance(self._id, number))) > 1:
            return True
        held = self._held.get(number)
        titles = [processes.title(pid) for pid in processes.children(held.pid)] if held else []
        replayed = next((title for title in titles if ": startup " in title), "")
        is_another = replayed != self._replayed.get(number, "")
        self._replayed[number] = replayed
        return is_another

    def forget(self, number: int) -> None:
        """Its end is not reported any more."""
        if process := self._held.pop(number, None):
            asyncio.get_running_loop().remove_reader(process.descriptor)
            process.close()

    def forget_all(self) -> None:
        """No end is reported any more."""
        for number in list(self._held):
            self.forget(number)

    async def end_all(self, number: int) -> None:
        """No process works in an instance's data directory any more.

        Backends outlive their postmaster, and what Patroni had begun may start another.
        """
        data, folder = self._layout.data(self._id, number), self._layout.instance(self._id, number)
        leftovers.end_helpers(folder)
        await end_all(data)

    def _has_ended(self, number: int) -> None:
        self.forget(number)
        processes.reap()
        self._ended(number)


async def end_all(data: Path) -> None:
    """No process works in that data directory any more."""
    pause = 0.002
    while pids := processes.working_in(data):
        for pid in pids:
            if process := Process.of(pid):
                process.signal(signal.SIGKILL)
                process.close()
        await asyncio.sleep(pause)
        pause = min(0.05, pause * 1.2)
