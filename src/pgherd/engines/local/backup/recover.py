"""A data directory from a repository: run with the rights of the data plane's user, and none more.

What comes out of a backup is full of a tenant's code. It runs here as it does in its database, in a
throw-away server; what masks it is run there as the tenant. At the end it is beside its place,
whole.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from pgherd.engines.local.backup import exchange
from pgherd.engines.local.backup.exchange import RESTORED
from pgherd.engines.local.backup.masking import NotMasked, digest_of, mask
from pgherd.engines.local.backup.throwaway import (
    LOG,
    Failed,
    Job,
    called,
    not_reached,
    position_of,
    psql,
    recovered,
)

FETCH = "pgherd_fetch"
"""In the data directory, where PostgreSQL runs it."""
ROOM, CLEARED_ROOM = "room", "cleared-room"
NOT_MASKED = 3
"""The exit code where its masking fails."""
RENAME = """\
ALTER DATABASE :"old" RENAME TO :"new";
ALTER ROLE :"old" RENAME TO :"new";
ALTER ROLE :"old_reader" RENAME TO :"new_reader";
"""
"""In `postgres`: none of this runs anything of a tenant's."""


def run(job: Job, masking: str = "") -> None:
    """The data directory is `kept`/restored, recovered and shut down, with no trace of how."""
    if job.masked_as and digest_of(masking) != job.masking:
        raise Failed("what masks it has not come whole")
    data = Path(job.kept) / RESTORED
    try:
        fetched(job)
        with recovered(job, data, job.masked_as) as sockets:
            if job.least and position_of(job, sockets) <= job.least:
                raise Failed(not_reached((sockets / LOG).read_text(errors="replace")))
            if job.names:
                _rename(job, sockets)
            if job.masked_as:
                mask(job, sockets, masking)
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)  # it may have filled the disk
        raise
    # Where it came from and where it stopped is no business of what starts there next.
    (data / "postgresql.auto.conf").write_text("")
    for left in (FETCH, "recovery.signal", "standby.signal", "backup_label.old"):
        (data / left).unlink(missing_ok=True)
    # All else pgBackRest and PostgreSQL have written through.
    for path in (data / "postgresql.auto.conf", data):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


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


def _rename(job: Job, sockets: Path) -> None:
    (old, old_reader), (new, new_reader) = list(job.names), list(job.names.values())
    variables = {"old": old, "new": new, "old_reader": old_reader, "new_reader": new_reader}
    done = psql(job, sockets, RENAME, variables)
    if done.returncode != 0:
        raise Failed(f"it cannot be renamed: {done.stderr.decode(errors='replace').strip()}")


def main(action: str, argument: str) -> int:
    """`restore JOB`, or what is done in a folder; what went wrong on standard output.

    What masks the data is on standard input, where anything does.
    """
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        if action == "put":
            exchange.put(Path(argument))
        elif action in (ROOM, CLEARED_ROOM):
            print(room(Path(argument), is_cleared=action == CLEARED_ROOM))
        else:
            import msgspec

            masking = sys.stdin.buffer.read().decode()
            run(msgspec.convert(json.loads(argument), Job), masking)
    except NotMasked as error:
        print(error)
        return NOT_MASKED
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
