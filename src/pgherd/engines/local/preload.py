"""Patroni in memory, for the fork server to fork: imported once, and with less to wait for.

What an instance's start would do once for each instance, though it is the same for all, is done
here once: asking PostgreSQL's programs about themselves. What it does slowly is done quickly:
reading a configuration without libyaml, starting a program to see whether PostgreSQL answers,
and fixed waits that a start or a switchover would spend asleep.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import socket
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from pgherd.engines.local import timelines, whole

log = logging.getLogger("patroni.pgherd")
POLL_SECONDS = 0.05
SHORT_SLEEPS: dict[float, float] = {1: 0.03, 2: 0.05}
LONG_AGO = 1.0
"""A time, in seconds since 1970, that any wait has passed since."""

MODULES = (
    "patroni.postgresql",
    "patroni.__main__",
    "patroni.api",
    "patroni.config",
    "patroni.dcs.etcd3",
    "patroni.ha",
    "patroni.log",
    "patroni.postgresql.bootstrap",
    "patroni.postgresql.mpp",
    "patroni.postgresql.validator",
    "patroni.request",
    "patroni.watchdog",
    "concurrent.futures.thread",
    "multiprocessing.popen_fork",
    "psycopg",
    "ssl",
    "urllib3",
)
"""What a Patroni imports sooner or later; PostgreSQL's part first, for they import each other."""


class Answers:
    """What programs say of themselves, asked once for as long as their file is the same one."""

    QUESTIONS = ("--version", "--describe-config")
    """What any Patroni asks of PostgreSQL."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], bytes] = {}

    def learn(self, program: str) -> None:
        """Ask what any Patroni will ask."""
        for question in self.QUESTIONS:
            self.to([program, question])

    def to(self, command: Sequence[str]) -> bytes:
        """The output of a command; OSError or CalledProcessError where it fails."""
        stat = Path(command[0]).stat()
        key = (*command, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if key not in self._known:
            self._known[key] = subprocess.check_output(command)
        return self._known[key]


class Preload:
    """Everything of Patroni, imported when it is first needed or when there is time."""

    def __init__(self) -> None:
        self.is_done = False
        self._answers = Answers()

    def run(self) -> None:
        """Import it all, then let the collector leave it alone: a touched page is a copied page."""
        if self.is_done:
            return
        for name in MODULES:
            importlib.import_module(name)
        _remember_answers(self._answers)
        _read_configuration_quickly()
        _ask_without_a_program()
        _send_at_once()
        _shorten_waits()
        _count_replicas_at_once()
        _unmark_what_is_removed()
        _tell_timelines_apart()
        gc.collect()
        gc.freeze()
        self.is_done = True

    def learn(self, postgres: str) -> None:
        """Know what a Patroni will ask of this program."""
        # Where it fails, it will fail for the Patroni too, which says so where it is looked for.
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            self._answers.learn(postgres)


class _Instead:
    """A module, with some of its names meaning something else."""

    def __init__(self, module: ModuleType, **names: object) -> None:
        self._module = module
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> object:
        return getattr(self._module, name)


def _replace(owner: Any, name: str, value: object) -> None:
    """Give a name another meaning; AttributeError where it is not there any more."""
    getattr(owner, name)
    setattr(owner, name, value)


def _remember_answers(answers: Answers) -> None:
    """Take what programs of PostgreSQL say of themselves from `answers`.

    Patroni asks pg_rewind for its help whenever another one leads, to see whether it is there.
    """
    from patroni import postgresql, utils
    from patroni.postgresql import rewind

    def check_output(command: list[str], **options: Any) -> Any:
        if command[-1] in answers.QUESTIONS:
            return answers.to(command)
        return subprocess.check_output(command, **options)

    def call(command: list[str], **options: Any) -> int:
        if command[-1] == "--help":
            try:
                answers.to(command)
            except subprocess.CalledProcessError as error:
                return error.returncode
            return 0
        return subprocess.call(command, **options)

    for module in (postgresql, utils):
        _replace(module, "subprocess", _Instead(subprocess, check_output=check_output))
    _replace(rewind, "subprocess", _Instead(subprocess, call=call))


def _read_configuration_quickly() -> None:
    """Read YAML with libyaml, where PyYAML has it; Patroni uses the one in Python."""
    import yaml
    from patroni import config

    if yaml.__with_libyaml__:
        quick = partial(yaml.load, Loader=yaml.CSafeLoader)
        _replace(config, "yaml", _Instead(yaml, safe_load=quick))


def _ask_without_a_program() -> None:
    """See whether PostgreSQL answers with libpq's own ping, which is all that pg_isready does.

    While its postmaster.pid says that it starts, it is not asked at all: it would start a process
    to say so.
    """
    from patroni.postgresql import PgIsReadyStatus, Postgresql
    from psycopg import conninfo, pq

    def pg_isready(self: Any) -> PgIsReadyStatus:
        postmaster = self.is_running()
        if postmaster and _is_starting(Path(self.data_dir), postmaster.pid):
            return PgIsReadyStatus.REJECT
        names = ("host", "port", "user", "connect_timeout")
        where = {k: v for k, v in self.connection_pool.conn_kwargs.items() if k in names}
        target = conninfo.make_conninfo("", dbname=self._database, **where)
        return PgIsReadyStatus(int(pq.PGconn.ping(target.encode())))

    _replace(Postgresql, "pg_isready", pg_isready)


def _is_starting(data: Path, postmaster: int) -> bool:
    """Whether postmaster.pid says so (pidfile.h: line 1 the pid, line 8 the status)."""
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
    except OSError:
        return False
    return lines[0] == str(postmaster) and len(lines) > 7 and lines[7].strip() == "starting"


def _send_at_once() -> None:
    """Talk to etcd with TCP_NODELAY, as urllib3 would if Patroni did not set other options.

    A request is sent in two pieces: without it, the second waits 40 ms for the first one's ACK.
    """
    from patroni.dcs.etcd3 import Etcd3

    set_socket_options = Etcd3.set_socket_options

    def and_no_delay(self: Any, sock: socket.socket, options: Any) -> None:
        set_socket_options(self, sock, options)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    _replace(Etcd3, "set_socket_options", and_no_delay)


def _shorten_waits() -> None:
    """Take Patroni's fixed waits down to what they are for.

    It polls a starting or stopping PostgreSQL each second, gives replicas one second to catch up
    before it checks that one has (a server that shuts down waits for that itself), and gives a new
    leader two to take the key; who looks too early is told by etcd when it has.
    """
    import time

    from patroni import ha, postgresql, utils

    def with_sleeps(sleeps: dict[float, float]) -> _Instead:
        def sleep(seconds: float) -> None:
            time.sleep(sleeps.get(seconds, seconds))

        return _Instead(time, sleep=sleep)

    _replace(postgresql, "STOP_POLLING_INTERVAL", POLL_SECONDS)
    _replace(postgresql, "polling_loop", partial(utils.polling_loop, interval=POLL_SECONDS))
    _replace(postgresql, "time", with_sleeps({1: POLL_SECONDS}))
    _replace(ha, "time", with_sleeps(SHORT_SLEEPS))


def _count_replicas_at_once() -> None:
    """Skip the wait before synchronous replicas are counted, where there are none to lose.

    After a promotion Patroni leaves the list of them alone for loop_wait seconds, lest those that
    have not come back yet are struck off. A new cluster has none on it; those that all stream
    have come back.
    """
    import time

    from patroni.ha import Ha

    process = Ha.process_sync_replication

    def process_sync_replication(self: Any) -> None:
        is_waiting = time.time() - self._promote_timestamp <= self.dcs.loop_wait
        if is_waiting and self.is_quorum_commit_mode() and self.state_handler.is_primary():
            missing = set(self.cluster.sync.voters) - {self.state_handler.name}
            if missing:
                missing -= set(self.state_handler.sync_handler.current_state(self.cluster).active)
            if not missing:
                self._promote_timestamp = LONG_AGO
        process(self)

    _replace(Ha, "process_sync_replication", process_sync_replication)


def _unmark_what_is_removed() -> None:
    """A data directory is no longer whole from the moment in which Patroni begins to remove it."""
    from patroni.postgresql import Postgresql

    remove = Postgresql.remove_data_directory

    def remove_data_directory(self: Any) -> None:
        whole.unmark(Path(self.data_dir).parent)
        remove(self)

    _replace(Postgresql, "remove_data_directory", remove_data_directory)


def _tell_timelines_apart() -> None:
    """Make an instance anew that is on another timeline than its leader, of the same number."""
    from patroni.ha import Ha
    from patroni.postgresql.connection import get_connection_cursor
    from patroni.postgresql.rewind import REWIND_STATUS, Rewind

    check = Rewind._check_timeline_and_lsn
    rewind = Ha._handle_rewind_or_reinitialize

    def is_of_another(self: Any, leader: Any) -> bool:
        timeline = self._get_local_timeline_lsn()[1]
        mine = timelines.local_beginning(Path(self._postgresql.wal_dir), timeline or 1)
        if mine is None:
            return False
        place, ours = mine
        with get_connection_cursor(
            **self._conn_kwargs(leader, self._postgresql.config.rewind_credentials)
        ) as cursor:
            cursor.execute(
                "SELECT pg_catalog.pg_read_binary_file(%s, %s, %s, true)",
                (f"pg_wal/{place.file}", place.offset, place.length),
            )
            row = cursor.fetchone()
        return bool(row and row[0] is not None and bytes(row[0]) != ours)

    def check_timeline_and_lsn(self: Any, leader: Any) -> None:
        check(self, leader)
        self.is_of_another = False
        if self._state in (REWIND_STATUS.NEED, REWIND_STATUS.NOT_NEED):
            try:
                self.is_of_another = is_of_another(self, leader)
            except Exception:
                log.exception("The leader's timeline could not be looked at")
                self._state = REWIND_STATUS.CHECK
            if self.is_of_another:
                self._state = REWIND_STATUS.NEED

    def handle_rewind_or_reinitialize(self: Any) -> Any:
        leader = self.cluster.leader
        if self._rewind.rewind_or_reinitialize_needed_and_possible(leader) and getattr(
            self._rewind, "is_of_another", False
        ):
            message = "reinitializing, since this timeline is not the leader's of the same number"
            log.warning(message)
            self._rewind.reset_state()
            work = self._async_executor.try_run_async
            return work(message, self._do_reinitialize, args=(self.cluster, True)) or message
        return rewind(self)

    _replace(Rewind, "_check_timeline_and_lsn", check_timeline_and_lsn)
    _replace(Ha, "_handle_rewind_or_reinitialize", handle_rewind_or_reinitialize)
