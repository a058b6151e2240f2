"""One process that has everything of Patroni in memory, and forks each instance's Patroni from it.

Importing Patroni costs 0.3 s of CPU and 27 MB each time, and stock Patroni does it twice for each
instance. Here it is done once: instances share the memory, and the helper that starts a
postmaster is forked as well. Other programs are started the same way. All are orphaned on
purpose: the agent, which is the nearest subreaper, inherits and watches them.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from pgherd.engines.local import leftovers, lowered, whole
from pgherd.engines.local.agent.ward import LOOK_SECONDS, Ward, has_agent
from pgherd.engines.local.preload import Preload

QUIET_SECONDS = 0.02
PATIENCE = 2.0
"""The keeper is the first to see to another agent."""
KEEPER_SECONDS = 3.0
"""How long it may take to."""


ANEW = "{anew}"
"""In an argument: a word that is another one at each start."""


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

    def is_of(self, title: str) -> bool:
        """Whether a process with that command line was started so."""
        wanted = re.escape("\0".join(self.arguments))
        return re.fullmatch(wanted.replace(re.escape(ANEW), "[^\0]*"), title) is not None

    def encode(self) -> bytes:
        """One line for the server."""
        return json.dumps(asdict(self)).encode() + b"\n"


def serve(connection: socket.socket, ward: Ward, root: Path) -> None:
    """Start what is asked for, answering each line with a process id, until the agent is gone.

    Patroni is loaded in the first quiet moment, or when it is needed. An agent that ended though
    nobody wanted it to, or stands still, is followed by another: if need be, by one from here.
    """
    patroni = Preload()
    looked_at = time.monotonic()
    with connection, connection.makefile("rwb", buffering=0) as stream:
        while not (ward.has_left or ward.is_gone or ward.stands_still):
            seconds = LOOK_SECONDS if patroni.is_done else QUIET_SECONDS
            readable = select.select([connection.fileno(), ward.fileno()], [], [], seconds)[0]
            if not readable:
                patroni.run()
            if ward.fileno() in readable:
                ward.listen()
            if time.monotonic() - looked_at >= LOOK_SECONDS:
                looked_at = time.monotonic()
                ward.look()
            if connection.fileno() in readable:
                if not (line := stream.readline()):
                    break
                start = Start(**json.loads(line))
                if start.configuration:
                    patroni.run()
                    patroni.learn(start.postgresql)
                ours = (connection.fileno(), ward.fileno())
                stream.write(b"%d\n" % _fork_orphan(start, ours))
    _see_to_another(ward, root)


def _see_to_another(ward: Ward, root: Path) -> None:
    """Unless the agent was right to leave, there is another one soon: its keeper's, or one of ours.

    An agent that only wants another fork server closes the connection, and is seen to live on.
    """
    ward.listen()
    if ward.has_left or not (ward.is_gone or ward.stands_still):
        return
    ward.end()
    deadline = time.monotonic() + KEEPER_SECONDS
    while time.monotonic() < deadline:
        if has_agent(root):
            return
        time.sleep(0.2)
    subprocess.Popen(
        lowered.python("pgherd.engines.local.agent", str(root)),
        start_new_session=True,
        cwd="/",
        env=lowered.environment(root),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _fork_orphan(start: Start, ours: tuple[int, int]) -> int:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild:
            os.write(writer, b"%d" % grandchild)
            os._exit(0)
        os.close(reader)
        os.close(writer)
        # What keeps the server's sockets open would hide its end from the agent. They are closed
        # by number: closing one as such would wait for the stream that reads from it.
        for descriptor in ours:
            os.close(descriptor)
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
            word = os.urandom(8).hex()
            arguments = [argument.replace(ANEW, word) for argument in start.arguments]
            os.execv(arguments[0], arguments)  # noqa: S606
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

    def Process(self, target: Callable[..., object], args: tuple[object, ...]) -> object:
        import multiprocessing

        return multiprocessing.get_context("fork").Process(
            target=partial(_start_postmaster, self._start, target), args=args
        )


def _start_postmaster(start: Start, target: Callable[..., object], *args: object) -> None:
    _redirect(start.postgresql_log)
    _forget_server(start)
    target(*args)


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


def main(connection: str, watching: str, agent: str, root: str) -> None:
    """Serve the process `agent` over the socket `connection`, watching over it by the other one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ward = Ward(int(agent), socket.socket(fileno=int(watching)), PATIENCE)
    serve(socket.socket(fileno=int(connection)), ward, Path(root))


if __name__ == "__main__":
    main(*sys.argv[1:])
