"""A data directory from a repository: run with the rights of the data plane's user, and none more.

What comes out of a backup is full of a tenant's code. It runs here as it does in its database, in a
server that nobody can reach but this user, over a socket in a folder of its own, and whose only
session is in `postgres`, where no tenant has been. At the end it is beside its place, whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from pgherd.engines.local.backup import exchange
from pgherd.engines.local.backup.exchange import RESTORED

LOG = "log"
FETCH = "pgherd_fetch"
"""In the data directory, where PostgreSQL runs it."""
ROOM, CLEARED_ROOM = "room", "cleared-room"
NOT_REACHED = "recovery ended before configured recovery target was reached"
TOO_EARLY = "requested recovery stop point is before consistent recovery point"
LAST_COMMIT = re.compile(r"last completed transaction was at log time (\S+ \S+)")
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
PINNED = "-c search_path=pg_catalog -c statement_timeout=0 -c lock_timeout=0"
"""No setting of a role or a database overrides what stands in the start packet."""
RENAME = """\
ALTER DATABASE :"old" RENAME TO :"new";
ALTER ROLE :"old" RENAME TO :"new";
ALTER ROLE :"old_reader" RENAME TO :"new_reader";
"""
"""In `postgres`: none of this runs anything of a tenant's."""


class Job(Struct, frozen=True):
    """What to do. `restore` is a command line of pgBackRest; `names` are renamed, old to new.

    `kept` is the folder of what an instance keeps.
    """

    kept: str
    programs: str
    restore: tuple[str, ...]
    names: dict[str, str] = {}
    fetch: str = ""
    """A script that fetches WAL, where that is not pgBackRest alone."""
    settings: dict[str, str] = {}
    """Those that pg_control remembers: the next server would wait for a restart to have others."""


class Failed(Exception):
    """Why there is no such data directory."""


def run(job: Job) -> None:
    """The data directory is `kept`/restored, recovered and shut down, with no trace of how."""
    data = Path(job.kept) / RESTORED
    try:
        fetched(job)
        with recovered(job, data) as sockets:
            if job.names:
                _rename(job, sockets)
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)  # it may have filled the disk
        raise
    # Where it came from and where it stopped is no business of what starts there next.
    (data / "postgresql.auto.conf").write_text("")
    for left in (FETCH, "recovery.signal", "standby.signal", "backup_label.old"):
        (data / left).unlink(missing_ok=True)
    called(["/bin/sync", "--file-system", str(data)], "sync")


def fetched(job: Job) -> Path:
    """The data directory as it comes out of the backup."""
    data = Path(job.kept) / RESTORED
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700, parents=True)
    called(job.restore, "pgbackrest restore")
    if job.fetch:
        script = data / FETCH
        script.write_text(job.fetch)
        with (data / "postgresql.auto.conf").open("a") as settings:  # what comes last is so
            settings.write(f'restore_command = \'/bin/sh {FETCH} "%f" "%p"\'\n')
    return data


def room(kept: Path, *, is_cleared: bool) -> int:
    """Bytes that are free where an instance keeps its own; what is left of a restore is removed."""
    if is_cleared:
        shutil.rmtree(kept / RESTORED, ignore_errors=True)
    there = next(path for path in (kept, *kept.parents) if path.is_dir())
    found = os.statvfs(there)
    return found.f_bavail * found.f_frsize


@contextmanager
def recovered(job: Job, data: Path, more: str = "") -> Iterator[Path]:
    """Its server, once it has recovered: the folder of its socket, and of its log. It ends well.

    `more` are lines of pg_hba.conf.
    """
    with tempfile.TemporaryDirectory(prefix="pgherd-") as folder:
        sockets = Path(folder)
        settings = sockets / "postgresql.conf"
        remembered = "".join(f"{name} = '{value}'\n" for name, value in job.settings.items())
        settings.write_text(SETTINGS.format(sockets=sockets) + remembered)
        (sockets / "hba.conf").write_text(f"local all postgres trust\n{more}")
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


def _rename(job: Job, sockets: Path) -> None:
    (old, old_reader), (new, new_reader) = list(job.names), list(job.names.values())
    variables = {"old": old, "new": new, "old_reader": old_reader, "new_reader": new_reader}
    done = psql(job, sockets, RENAME, variables)
    if done.returncode != 0:
        raise Failed(f"it cannot be renamed: {done.stderr.decode(errors='replace').strip()}")


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
        commits = [found[1] for line in lines if (found := LAST_COMMIT.search(line))]
        return f"{NOT_REACHED} ({commits[-1] if commits else 'without any commit'})"
    return fatal[-1] if fatal else (lines[-1] if lines else "it says nothing")


def last_commit(message: str) -> datetime | None:
    """The one that a recovery has ended with which did not come to its target."""
    found = re.search(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?\+00)\)$", message)
    try:
        return datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def main(action: str, argument: str) -> int:
    """`restore JOB`, or what is done in a folder; what went wrong on standard output."""
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        if action == "put":
            exchange.put(Path(argument))
        elif action in (ROOM, CLEARED_ROOM):
            print(room(Path(argument), is_cleared=action == CLEARED_ROOM))
        else:
            import msgspec

            run(msgspec.convert(json.loads(argument), Job))
    except (Failed, OSError) as error:
        print(error)
        return 1
    return 0


def arguments(job: Job) -> list[str]:
    """What `main` wants for it."""
    content: dict[str, Any] = {name: getattr(job, name) for name in job.__struct_fields__}
    return ["restore", json.dumps(content)]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
