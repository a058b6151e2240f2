"""What something that no longer runs has left behind, told from what runs by what it is.

After a hard stop, files still name the process that was there; after the next start of the machine,
that number is another process, often one of the same user. PostgreSQL goes by the number and does
not start; Patroni waits for that process to serve, if it began at about the same time. Here it goes
by what a process is: a server works in its data directory.
"""

from __future__ import annotations

import signal
from pathlib import Path

from pgherd.engines.local import processes


def forget_server(data: Path, sockets: Path) -> None:
    """Remove PostgreSQL's own marks of a running server, where none runs."""
    if any(_is_server(pid) for pid in processes.working_in(data)):
        return
    for mark in (data / "postmaster.pid", *sockets.glob(".s.PGSQL.*")):
        mark.unlink(missing_ok=True)


def end_helpers(folder: Path) -> None:
    """Kill what a Patroni that has ended was running in its folder, such as pg_basebackup.

    It would go on writing into what the next Patroni makes.
    """
    for pid in processes.working_in(folder):
        if processes.is_left_alone(pid) and (process := processes.Process.of(pid)):
            process.signal(signal.SIGKILL)
            process.close()


def _is_server(pid: int) -> bool:
    return Path(processes.executable(pid)).name == "postgres"
