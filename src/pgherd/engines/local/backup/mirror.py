"""A copy of what a repository has, in another directory: made with the rights of the repository's
owner, who can be led nowhere by it. Run with a job as its argument; says how it ended.

A backup is in the copy once its `backup.info` names it. So that it never names one that is not
whole there, all else is copied first; the files that name backups were read before anything was
listed, and are written only where they have not changed meanwhile; what the source has no more goes
last. No link is followed on either side, and none is copied: pgBackRest needs none.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

PARTS = ("archive", "backup")
"""What a repository has of each archive, in the order in which it is copied."""
INFOS = tuple(f"{part}.info{copy}" for part in PARTS for copy in ("", ".copy"))
"""What says which backups there are; in the order in which they are written."""
UNFINISHED = ".pgbackrest.tmp"
"""At the end of the name of what pgBackRest is writing."""
OURS = ".pgherd.tmp"
TIMES = 5
"""So often it is looked anew, where backups come or go meanwhile."""
AT_ONCE = 2**20


class Failed(Exception):
    """What is in the way."""


@dataclass
class Seen:
    """What a folder has, by the path below it: size and time of files; folders, and all else."""

    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


@contextmanager
def opened(folder: int, path: str, *, make: bool = False) -> Iterator[int]:
    """A folder below another one, step by step; no step is a link."""
    current = os.dup(folder)
    try:
        for step in filter(None, path.split("/")):
            if make:
                with suppress(FileExistsError):
                    os.mkdir(step, 0o750, dir_fd=current)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            following = os.open(step, flags, dir_fd=current)
            os.close(current)
            current = following
        yield current
    finally:
        os.close(current)


def look(folder: int, path: str) -> Seen:
    """At all below `path`; nothing where that is not there."""
    seen = Seen()
    waiting = [path]
    while waiting:
        here = waiting.pop()
        try:
            with opened(folder, here) as current, os.scandir(current) as entries:
                for entry in entries:
                    below = f"{here}/{entry.name}"
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISDIR(found.st_mode):
                        seen.folders.add(below)
                        waiting.append(below)
                    elif stat.S_ISREG(found.st_mode):
                        seen.files[below] = (found.st_size, int(found.st_mtime))
                    else:
                        seen.others.add(below)
        except FileNotFoundError:
            continue
    return seen


def copy(source: int, target: int, path: str) -> bool:
    """One file, whole or not at all; whether it was there."""
    parent, _, name = path.rpartition("/")
    try:
        with opened(source, parent) as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        return False
    with os.fdopen(descriptor, "rb") as there:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return False

        def parts() -> Iterator[bytes]:
            while part := there.read(AT_ONCE):
                yield part

        put(target, path, parts(), found.st_mtime_ns)
    return True


def put(target: int, path: str, content: Iterator[bytes], time: int | None = None) -> None:
    """It is on the disk under its name when this returns."""
    parent, _, name = path.rpartition("/")
    with opened(target, parent, make=True) as folder:
        with suppress(FileNotFoundError):
            os.unlink(name + OURS, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name + OURS, flags, 0o640, dir_fd=folder)
        with os.fdopen(descriptor, "wb") as file:
            for part in content:
                file.write(part)
            file.flush()
            if time is not None:
                os.utime(descriptor, ns=(time, time))
            os.fsync(descriptor)
        os.replace(name + OURS, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def infos(source: int, archive: str) -> Mapping[str, bytes]:
    """What says which backups there are, by path; those that are there."""
    found = {}
    for name in INFOS:
        part = name.partition(".")[0]
        with suppress(FileNotFoundError), opened(source, f"{part}/{archive}") as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
                found[f"{part}/{archive}/{name}"] = file.read()
    return found


def bring(source: int, target: int, archive: str, lease: int) -> None:
    """The copy of one archive is as the source was at a moment of this call.

    What the source has no more stays in it while somebody reads there, who has the lease.
    """
    for _ in range(TIMES):
        before = infos(source, archive)
        if f"backup/{archive}/backup.info" not in before:
            return  # nothing to restore yet, or no more: the copy stays as it is
        parts = [f"{part}/{archive}" for part in PARTS]
        wanted = [look(source, part) for part in parts]
        there = [look(target, part) for part in parts]
        for of_source, of_target in zip(wanted, there, strict=True):
            for path, kind in sorted(of_source.files.items()):
                if not _is_aside(path, before) and of_target.files.get(path) != kind:
                    copy(source, target, path)
        if infos(source, archive) != before:
            continue
        for path, content in before.items():
            if not _has(target, path, content):
                put(target, path, iter((content,)))
        if _is_read(lease):
            return
        for of_source, of_target in zip(wanted, there, strict=True):
            _remove(target, of_source, of_target, before)
        return
    raise Failed(f"backups of {archive} come and go faster than they can be copied")


def _is_read(lease: int) -> bool:
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _is_aside(path: str, before: Mapping[str, bytes]) -> bool:
    """It is copied later, or never."""
    return path in before or path.endswith((UNFINISHED, OURS)) or path.split("/")[-1] in INFOS


def _has(target: int, path: str, content: bytes) -> bool:
    parent, _, name = path.rpartition("/")
    try:
        with opened(target, parent) as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
                return file.read(len(content) + 1) == content
    except FileNotFoundError:
        return False


def _remove(target: int, wanted: Seen, there: Seen, before: Mapping[str, bytes]) -> None:
    """What was in the copy before, and is not in the source any more."""
    gone = {*there.files} - {*wanted.files} - {*before}
    for path in sorted(gone | (there.others - {*wanted.files})):
        parent, _, name = path.rpartition("/")
        with opened(target, parent) as folder, suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
    for path in sorted(there.folders - wanted.folders, reverse=True):
        parent, _, name = path.rpartition("/")
        with opened(target, parent) as folder, suppress(OSError):
            os.rmdir(name, dir_fd=folder)


@contextmanager
def region(directory: str, below: str) -> Iterator[int]:
    """Where a copy is; Failed where others could lead it elsewhere, or it could not be read."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    top = os.open(directory, flags)
    try:
        found, me = os.fstat(top), os.geteuid()
        writers = found.st_mode & 0o022
        if found.st_gid == os.getegid():
            writers &= ~0o020
        if found.st_uid not in (0, me) or writers:
            raise Failed(f"{directory} may be changed by others: it is to be its owner's alone")
        is_open = found.st_mode & (0o050 if found.st_gid == os.getegid() else 0o005)
        if not is_open or not os.access(directory, os.W_OK | os.X_OK):
            raise Failed(
                f"{directory} is not open to backups: run chown {me}:{os.getegid()} and chmod 750"
            )
        with opened(top, below, make=True) as folder:
            if os.fstat(folder).st_uid != me:
                raise Failed(f"{directory}/{below} belongs to another user")
            yield folder
    finally:
        os.close(top)


def run(source: str, directory: str, below: str, archives: Mapping[str, int]) -> None:
    """Failed, or OSError, with what is in the way; each archive is whole by itself.

    `archives` are their names, each with the open file of its lease.
    """
    start = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with region(directory, below) as target:
            for archive, lease in archives.items():
                bring(start, target, archive, lease)
                os.close(lease)
    finally:
        os.close(start)


def main(job: str) -> int:
    """How it ended, as JSON on standard output."""
    os.umask(0o027)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    trouble = ""
    try:
        run(**json.loads(job))
    except Failed as error:
        trouble = str(error)
    except OSError as error:
        name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
        where = f"{Path(name).name}: " if name else ""
        trouble = f"{where}{(error.strerror or 'it cannot be copied').lower()}"
    print(json.dumps({"trouble": trouble}), flush=True)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
