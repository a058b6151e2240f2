"""Starts all that talks to a source or restores what came from it: without anybody's rights.

A source is a stranger, and so is what it sends. Where this is root, these processes are nobody's.
What they need of root's files (keys, certificates) they are given open, in memory.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgherd.engines.local import lowered, rightless
from pgherd.engines.local.postgres import PACKAGED
from pgherd.errors import InputError

FILES = ("sslcert", "sslkey", "sslrootcert", "sslcrl")
"""Of libpq's parameters, those that name files."""
NO_FILE = ("", "system")
LARGEST_FILE = 1 << 20
LONGEST_LINE = 1 << 24
CONNECT_SECONDS = 10
_VARIABLES = {"dbname": "PGDATABASE"}


@dataclass(frozen=True, slots=True)
class Door:
    """How a server is opened. The password is shown nowhere."""

    parameters: Mapping[str, str]
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """The same for a child that inherits `descriptors`."""

    parameters: Mapping[str, str] = field(repr=False)
    descriptors: tuple[int, ...]

    def variables(self) -> dict[str, str]:
        """libpq's environment variables: all that PostgreSQL's programs are told of a server."""
        return {_VARIABLES.get(n, f"PG{n.upper()}"): v for n, v in self.parameters.items()}


@contextmanager
def opened(door: Door) -> Iterator[OpenDoor]:
    """Its files are read, and lie in memory that belongs to those who may open them."""
    parameters = {"connect_timeout": str(CONNECT_SECONDS), **door.parameters}
    if door.password is not None:
        parameters["password"] = door.password
    descriptors: list[int] = []
    try:
        for name in FILES:
            if (path := parameters.get(name, "")) not in NO_FILE:
                descriptors.append(in_memory(name, _content(Path(path))))
                parameters[name] = f"/proc/self/fd/{descriptors[-1]}"
        yield OpenDoor(parameters, tuple(descriptors))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def in_memory(name: str, content: bytes = b"") -> int:
    """A file without a name that a child may open again. Close it."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.write(descriptor, content)
    os.fchmod(descriptor, 0o600)
    if rights := rightless.nobody():
        os.fchown(descriptor, rights.uid, rights.gid)
    return descriptor


def program(name: str, version: int) -> str:
    """One of PostgreSQL's own; InputError where that version is not installed."""
    path = PACKAGED / str(version) / "bin" / name
    if not os.access(path, os.X_OK):
        raise InputError(
            f"{name} of PostgreSQL {version} is not installed",
            f"install postgresql-client-{version}",
        )
    return str(path)


async def start_program(
    words: Sequence[str], door: OpenDoor | None, also: Sequence[int] = (), **streams: Any
) -> asyncio.subprocess.Process:
    """One of PostgreSQL's programs; it ends with this process."""
    return await asyncio.create_subprocess_exec(
        rightless.SETPRIV,
        *rightless.setpriv_arguments(rightless.nobody()),
        *words,
        **_surroundings(door.variables() if door else {}),
        pass_fds=(*(door.descriptors if door else ()), *also),
        limit=LONGEST_LINE,
        **streams,
    )


async def start_looker(door: OpenDoor) -> asyncio.subprocess.Process:
    """`looker`, which is told by its standard input where to look."""
    rights = rightless.arguments(rightless.nobody())
    python, *words = lowered.python("pgherd.control.importing.looker", *rights)
    return await asyncio.create_subprocess_exec(
        python,
        *words,
        **_surroundings({}),
        pass_fds=door.descriptors,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=LONGEST_LINE,
    )


async def end(*processes: asyncio.subprocess.Process) -> None:
    """None of them runs any more."""
    for process in processes:
        with suppress(ProcessLookupError):
            process.kill()
    for process in processes:
        await process.wait()


def _surroundings(variables: Mapping[str, str]) -> dict[str, Any]:
    return {
        "start_new_session": True,
        "cwd": "/",
        "umask": 0o077,
        "env": {**lowered.environment(Path("/")), **variables},
    }


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE)
    except OSError as error:
        reason = (error.strerror or "no reason given").lower()
        raise InputError(
            f"{path} cannot be read: {reason}", "name a file that you can read"
        ) from error
