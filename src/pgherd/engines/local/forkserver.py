"""One process that has everything of Patroni in memory, and forks each instance's Patroni from it.

Importing Patroni costs 0.3 s of CPU and 27 MB each time, and stock Patroni does it twice for each
instance. Here it is done once: instances share the memory, and the helper that starts a
postmaster is forked as well. The members are orphaned on purpose: the agent, which is the
nearest subreaper, inherits and watches them.

Also shortened are two fixed waits of Patroni that a switchover would spend asleep.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from functools import partial

STOP_POLL_SECONDS = 0.05
CATCH_UP_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Member:
    """One Patroni to start: its configuration, its folder, where its and PostgreSQL's logs go."""

    configuration: str
    folder: str
    log: str
    postgresql_log: str

    def encode(self) -> bytes:
        """One line for the server."""
        return json.dumps(asdict(self)).encode() + b"\n"


def serve(connection: socket.socket) -> None:
    """Fork what is asked for, answering each line with a process id, until the asker is gone."""
    _preload()
    with connection, connection.makefile("rwb") as stream:
        stream.write(b"ready\n")
        stream.flush()
        for line in stream:
            pid = _fork_orphan(Member(**json.loads(line)), connection)
            stream.write(b"%d\n" % pid)
            stream.flush()


def _preload() -> None:
    """Everything that a member would import later, then one long-lived generation of memory."""
    import concurrent.futures.thread
    import ssl

    import patroni.__main__
    import patroni.api
    import patroni.config
    import patroni.dcs.etcd3
    import patroni.ha
    import patroni.log
    import patroni.postgresql
    import patroni.postgresql.bootstrap
    import patroni.postgresql.mpp
    import patroni.postgresql.validator
    import patroni.watchdog
    import psycopg
    import urllib3  # noqa: F401

    _ = concurrent.futures.thread, ssl, psycopg
    _shorten_waits()
    gc.collect()
    gc.freeze()


def _shorten_waits() -> None:
    """Poll a stopping PostgreSQL often, and give replicas 0.1 s more instead of 1 s.

    Patroni still checks, after that wait, that a replica has the shutdown's last WAL position
    before it gives up its leader key; the wait only makes it likelier.
    """
    import time

    from patroni import ha, postgresql

    class _Time:
        """The time module as `patroni.ha` sees it."""

        def __getattr__(self, name: str) -> object:
            return getattr(time, name)

        @staticmethod
        def sleep(seconds: float) -> None:
            time.sleep(CATCH_UP_SECONDS if seconds == 1 else seconds)

    postgresql.STOP_POLLING_INTERVAL = STOP_POLL_SECONDS
    ha.time = _Time()


def _fork_orphan(member: Member, connection: socket.socket) -> int:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild:
            os.write(writer, b"%d" % grandchild)
            os._exit(0)
        os.close(reader)
        os.close(writer)
        connection.close()
        _become(member)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return int(pipe.read())


def _become(member: Member) -> None:
    """Turn this process into the member. Does not return."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(member.folder)
        os.environ["HOME"] = member.folder
        _redirect(member.log)
        sys.argv = ["patroni", member.configuration]
        from patroni.__main__ import patroni_main
        from patroni.postgresql import postmaster

        postmaster.multiprocessing = _ForkedStart(member.postgresql_log)
        patroni_main(member.configuration)
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _ForkedStart:
    """The `multiprocessing` that Patroni starts a postmaster with: forks in place of spawns."""

    def __init__(self, log: str) -> None:
        self._log = log

    def get_context(self, _: str) -> _ForkedStart:
        return self

    @staticmethod
    def Pipe(duplex: bool = True) -> object:  # noqa: N802 (multiprocessing's name)
        import multiprocessing

        return multiprocessing.Pipe(duplex)

    def Process(self, target: object, args: tuple[object, ...]) -> object:  # noqa: N802
        import multiprocessing

        return multiprocessing.get_context("fork").Process(
            target=partial(_with_log, self._log, target), args=args
        )


def _with_log(log: str, target: object, *args: object) -> None:
    _redirect(log)
    target(*args)  # type: ignore[operator]


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
