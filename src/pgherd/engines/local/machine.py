"""What this machine must give before a database can be made on it, and what it gives.

Each of these shows up late and as something else where it is missing: as clients that time out, as
a PANIC about a file, as a cluster that cannot be made. So it is looked at before anything is begun.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pgherd.engines.local import lowered
from pgherd.errors import InputError
from pgherd.files import Owner
from pgherd.programs.pgbouncer import CLIENTS

MEBIBYTE = 2**20
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where PostgreSQL's dynamic shared memory is
SHARED_MEMORY_OF_INSTANCE = 2 * MEBIBYTE
"""One takes 1.4 MiB there when it starts (measured with 15), and more for parallel work."""
OPEN_FILES = CLIENTS + 1000
"""A pooler has a descriptor for each client, and some hundreds for servers and itself."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found; sizes in bytes. `open_files` is what a process here can be allowed."""

    open_files: int
    shared_memory: int
    has_locale: bool
    may_execute: bool
    may_enter: bool


def look(owner: Owner, root: Path) -> Machine:
    """Look at it; `root` is the state folder, or where it will be."""
    place = root
    while not place.exists():
        place = place.parent
    return Machine(
        open_files=allowed_files(),
        shared_memory=_free(SHARED_MEMORY),
        has_locale=_has_locale(),
        may_execute=not os.statvfs(place).f_flag & os.ST_NOEXEC,
        may_enter=not owner.is_another or lowered.may_enter(owner, place),
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is needed: how it is here, and why that will not do, if so."""

    name: str
    detail: str
    objection: InputError | None = None


def findings(found: Machine, instances: int, root: Path, owner: Owner) -> Iterator[Finding]:
    """What so many more instances need, in the state folder `root`."""
    yield _open_files(found)
    yield _shared_memory(found, instances)
    yield _finding(
        "locale",
        found.has_locale,
        lowered.LOCALE,
        f"locale {lowered.LOCALE} is not on this machine",
        "install it: package libc-bin",
    )
    yield _finding(
        "state folder",
        found.may_execute and found.may_enter,
        str(root),
        f"user {owner.name} may not enter the folders above {root}"
        if found.may_execute
        else f"{root} is on a disk that is mounted noexec, and programs are run from there",
        "let it pass: `chmod o+x` on each of them, or set PGHERD_STATE to another folder"
        if found.may_execute
        else "mount it without noexec, or set PGHERD_STATE to another disk",
    )


def _open_files(found: Machine) -> Finding:
    return _finding(
        "open files",
        found.open_files >= OPEN_FILES,
        f"{OPEN_FILES} for a process",
        f"a process may open {found.open_files} files here, a pooler needs {OPEN_FILES}",
        f"raise the hard limit: `ulimit -Hn {OPEN_FILES}`, or LimitNOFILE of a systemd unit",
    )


def _shared_memory(found: Machine, instances: int) -> Finding:
    needed = instances * SHARED_MEMORY_OF_INSTANCE
    have, need = (n // MEBIBYTE for n in (found.shared_memory, needed))
    return _finding(
        "shared memory",
        found.shared_memory >= needed,
        f"{have} MiB free in {SHARED_MEMORY}",
        f"{SHARED_MEMORY} has {have} MiB free, new instances need {need} MiB",
        f"`mount -o remount,size={max(need * 2, 64)}m {SHARED_MEMORY}`,"
        " or --shm-size of a container",
    )


def _finding(name: str, is_so: bool, detail: str, otherwise: str, remedy: str) -> Finding:
    return Finding(name, detail, None if is_so else InputError(otherwise, remedy))


def allowed_files() -> int:
    """How many files a process can be allowed to open: the hard limit, or more for root."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard in (resource.RLIM_INFINITY, OPEN_FILES) or hard > OPEN_FILES:
        return OPEN_FILES
    raise_open_files()
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def raise_open_files() -> None:
    """What this process starts may open as many files as it needs, as far as that is allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, max(hard, OPEN_FILES)))
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _free(place: Path) -> int:
    try:
        found = os.statvfs(place)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def _has_locale() -> bool:
    found = subprocess.run(
        ["/usr/bin/locale", "-a"],
        env=lowered.environment(Path("/")),
        capture_output=True,
        text=True,
        check=False,
    )
    names = {name.replace("-", "").lower() for name in found.stdout.split()}
    return lowered.LOCALE.replace("-", "").lower() in names
