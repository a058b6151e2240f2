"""The throw-away server of what came out of a backup, with the rights of the data plane's user.

What is in it is full of a tenant's code. Nobody reaches it but this user, over a socket in a folder
of its own, and a superuser's session is in `postgres`, where no tenant has been.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from msgspec import Struct

LOG = "log"
NOT_REACHED = "recovery ended before configured recovery target was reached"
TOO_EARLY = "requested recovery stop point is before consistent recovery point"
LAST_COMMIT = re.compile(r"last completed transaction was at log time (\S+ \S+)")
POSITION = """\
SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0')::pg_catalog.int8
"""
START_SECONDS = 24 * 3600.0
STOP_SECONDS = 600.0
SETTINGS = """\
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
port = 5432
hba_file = '{sockets}/hba.conf'
ident_file = '{sockets}/ident.conf'
archive_mode = off
hot_standby = off
shared_buffers = 64MB
autovacuum = off
logging_collector = off
"""
FORGETFUL = """\
wal_keep_size = 0
wal_recycle = off
log_min_error_statement = panic
"""
"""Of one whose data is masked: no file of old WAL is kept, and no statement is in its log."""
PINNED = "-c search_path=pg_catalog -c statement_timeout=0 -c lock_timeout=0"
"""No setting of a role or a database overrides what stands in the start packet."""


class Job(Struct, frozen=True):
    """What to do. `restore` is a command line of pgBackRest; `names` are renamed, old to new.

    `kept` is the folder of what an instance keeps. Recovery has to come farther than to `least` in
    the WAL: it takes a segment that it cannot have for the end of all.
    """

    kept: str
    programs: str
    restore: tuple[str, ...]
    names: dict[str, str] = {}
    fetch: str = ""
    """A script that fetches a file of WAL, where that is not pgBackRest alone."""
    settings: dict[str, str] = {}
    """Those that pg_control remembers: the next server would wait for a restart to have others."""
    masked_as: str = ""
    masking: str = ""
    """The role whose statements mask it, nothing for none, and their digest: they come apart."""
    least: int = 0


class Failed(Exception):
    """Why there is no such data directory."""


@contextmanager
def recovered(job: Job, data: Path, service: str = "") -> Iterator[Path]:
    """Its server, once it has recovered: the folder of its socket, and of its log. It ends well.

    `service` may log in to its own database.
    """
    with tempfile.TemporaryDirectory(prefix="pgherd-") as folder:
        sockets = Path(folder)
        settings = sockets / "postgresql.conf"
        remembered = "".join(f"{name} = '{value}'\n" for name, value in job.settings.items())
        forgetful = FORGETFUL if job.masked_as else ""
        settings.write_text(SETTINGS.format(sockets=sockets) + remembered + forgetful)
        its_own = f'local "{service}" "{service}" trust\n' if service else ""
        (sockets / "hba.conf").write_text(f"local all postgres trust\n{its_own}")
        (sockets / "ident.conf").write_text("")
        log = sockets / LOG
        with log.open("wb") as out:
            server = subprocess.Popen(
                [f"{job.programs}/postgres", "-D", data, "-c", f"config_file={settings}"],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )
        try:
            _await_end(job, server, sockets, log)
            yield sockets
            server.send_signal(signal.SIGINT)
            if server.wait(STOP_SECONDS) != 0:
                raise Failed(f"its server did not stop well: {_last(log)}")
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGQUIT)
                server.wait()


def _await_end(job: Job, server: subprocess.Popen[bytes], sockets: Path, log: Path) -> None:
    """It takes connections once it has recovered: as a standby nobody is let in."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Failed(_last(log))
        if psql(job, sockets, "SELECT 1").returncode == 0:
            return
        time.sleep(0.1)
    raise Failed("its server does not come to the end of its recovery")


def psql(
    job: Job,
    sockets: Path,
    text: str,
    variables: dict[str, str] | None = None,
    *,
    database: str = "postgres",
    role: str = "postgres",
) -> subprocess.CompletedProcess[bytes]:
    """Have a script run; names that it quotes (`:"name"`) are `variables`."""
    return subprocess.run(
        [
            f"{job.programs}/psql",
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            f"--host={sockets}",
            "--port=5432",
            f"--username={role}",
            f"--dbname={database}",
            *(f"--set={name}={value}" for name, value in (variables or {}).items()),
        ],
        input=text.encode(),
        capture_output=True,
        check=False,
        env={**os.environ, "PGOPTIONS": PINNED, "PGCONNECT_TIMEOUT": "10"},
    )


def called(command: Sequence[str], what: str) -> str:
    """Run it; what it says. Failed with that."""
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode != 0:
        raise Failed(f"{what}: {done.stdout.decode(errors='replace').strip()[-2000:]}")
    return done.stdout.decode(errors="replace")


def _last(log: Path) -> str:
    """What its server says it ended for."""
    lines = log.read_text(errors="replace").splitlines()
    fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
    # What it answers to whoever asks too early is no reason.
    fatal = [why for why in fatal if not why.startswith("the database system is ")]
    if fatal and fatal[-1] == NOT_REACHED:
        return not_reached("\n".join(lines))
    return fatal[-1] if fatal else (lines[-1] if lines else "it says nothing")


def not_reached(log: str) -> str:
    """What is said of a recovery that has ended before its goal, by its server's log."""
    commits = LAST_COMMIT.findall(log)
    return f"{NOT_REACHED} ({commits[-1] if commits else 'without any commit'})"


def position_of(job: Job, sockets: Path) -> int:
    """Where in its WAL it has recovered to, in bytes."""
    done = psql(job, sockets, POSITION)
    if done.returncode != 0:
        raise Failed(done.stderr.decode(errors="replace").strip() or "psql does not say why")
    return int(done.stdout)


def last_commit(message: str) -> datetime | None:
    """The one that a recovery has ended with which did not come to its target."""
    found = re.search(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?\+00)\)$", message)
    try:
        return datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
