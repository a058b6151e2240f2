"""Who listens where, as the kernel tells it (proc(5), /proc/net/tcp)."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

LISTEN = "0A"
"""TCP_LISTEN in /proc/net/tcp."""
EVERYWHERE = ("0" * 8, "0" * 32)
"""All addresses, IPv4's and IPv6's; the latter gets connections of both."""


def taken_by(address: str, port: int) -> str:
    """As in `127.3.0.1:5432 is taken by nginx (process 12)`; empty where nobody listens."""
    if (found := _listener(address, port)) is None:
        return ""
    place = f"{address}:{port}"
    pid = _holder(found.inode)
    if pid is None:
        return f"{place} is taken by another program"
    return f"{place} is taken by {_name(pid)} (process {pid})"


def user_of(address: str, port: int) -> int | None:
    """Whose program listens there; None where nobody's does."""
    found = _listener(address, port)
    return found.uid if found else None


@dataclass(frozen=True, slots=True)
class _Socket:
    """By its inode; `uid` is whose it is."""

    inode: str
    uid: int


def _listener(address: str, port: int) -> _Socket | None:
    """The socket that gets connections to that address."""
    wanted = {_encoded(address), *EVERYWHERE}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                host, _, number = fields[1].partition(":")
                if fields[3] == LISTEN and host in wanted and int(number, 16) == port:
                    return _Socket(fields[9], int(fields[7]))
    return None


def _encoded(address: str) -> str:
    """The kernel writes the four bytes as one number of the machine's own order."""
    return f"{struct.unpack('=I', IPv4Address(address).packed)[0]:08X}"


def _holder(inode: str) -> int | None:
    """A process that has that socket; None where we may not see it."""
    for pid, target in _open_files():
        if target == f"socket:[{inode}]":
            return pid
    return None


def _open_files() -> Iterator[tuple[int, str]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                for file in os.scandir(f"{entry.path}/fd"):
                    with contextlib.suppress(OSError):
                        yield int(entry.name), os.readlink(file.path)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a program"
