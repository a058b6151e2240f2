"""One process that has everything of Patroni in memory, and forks each instance's Patroni from it.

Importing Patroni costs 0.3 s of CPU and 27 MB each time, and stock Patroni does it twice for each
instance. Here it is done once: instances share the memory, and the helper that starts a
postmaster is forked as well. Other programs are started the same way. All are orphaned on
purpose: the agent, which is the nearest subreaper, inherits and watches them.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from pgherd.engines.local import leftovers, whole
from pgherd.engines.local.preload import Preload

QUIET_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Start:
    """What to start: a Patroni with this `configuration`, or another program by its `arguments`.

    `folder` becomes its working directory and home. `log` gets its output, `postgresql_log`
    that of the postmasters that a Patroni starts, with `postgresql` as their program; `kept` is
    where its instance keeps its data, `sockets` where their sockets are.
    """

    folder: str
    log: str
    arguments: tuple[str, ...] = ()
    configuration: str = ""
    postgresql: str = ""
    postgresql_log: str = ""
    kept: str = ""
    sockets: str = ""

    def encode(self) -> bytes:
        """One line for the server."""
        return json.dumps(asdict(self)).encode() + b"\n"


def serve(connection: socket.socket) -> None:
    """Start what is asked for, answering each line with a process id, until the asker is gone.

    Patroni is loaded in the first quiet moment, or when it is needed.
    """
    patroni = Preload()
    with connection, connection.makefile("rwb", buffering=0) as stream:
        while True:
            if not patroni.is_done and not select.select([connection], [], [], QUIET_SECONDS)[0]:
                patroni.run()
            if not (line := stream.readline()):
                return
            start = Start(**json.loads(line))
            if start.configuration:
                patroni.run()
                patroni.learn(start.postgresql)
            stream.write(b"%d\n" % _fork_orphan(start, connection))


def _fork_orphan(start: Start, connection: socket.socket) -> int:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild:
            os.write(writer, b"%d" % grandchild)
            os._exit(0)
        os.close(reader)
        os.close(writer)
        # Closing would wait for the stream that reads from it, and what keeps it open would hide
        # the end of this server from the agent.
        os.close(connection.detach())
        _become(start)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return int(pipe.read())


def _become(start: Start) -> None:
    """Turn this process into what is to start. Does not return."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _redirect(start.log)
        os.chdir(start.folder)
        os.environ["HOME"] = start.folder
        if start.arguments:
            os.execv(start.arguments[0], start.arguments)  # noqa: S606
        status = _run_patroni(start)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run_patroni(start: Start) -> int:
    leftovers.end_helpers(Path(start.folder))
    _forget_server(start)
    if done := whole.set_aside(Path(start.kept)):
        print(f"{done}; it is copied again")
    sys.argv = ["patroni", start.configuration]
    from patroni.__main__ import patroni_main
    from patroni.postgresql import postmaster

    postmaster.multiprocessing = _ForkedStart(start)
    try:
        patroni_main(start.configuration)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return 0


class _ForkedStart:
    """The `multiprocessing` that Patroni starts a postmaster with: forks in place of spawns."""

    def __init__(self, start: Start) -> None:
        self._start = start

    def get_context(self, _: str) -> _ForkedStart:
        return self

    @staticmethod
    def Pipe(duplex: bool = True) -> object:
        import multiprocessing

        return multiprocessing.Pipe(duplex)

    def Process(self, target: object, args: tuple[object, ...]) -> object:
        import multiprocessing

        return multiprocessing.get_context("fork").Process(
            target=partial(_start_postmaster, self._start, target), args=args
        )


def _start_postmaster(start: Start, target: object, *args: object) -> None:
    _redirect(start.postgresql_log)
    _forget_server(start)
    target(*args)  # type: ignore[operator]


def _forget_server(start: Start) -> None:
    leftovers.forget_server(Path(start.kept) / whole.DATA, Path(start.sockets))


def _redirect(log: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    os.close(null)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(socket.socket(fileno=int(sys.argv[1])))
