"""Every listener's address: one of this fleet's loopback block, chosen once and kept.

Each instance has an address of its own, so all of them use PostgreSQL's own port, and PgBouncer
can list several replicas (its host lists share one port). Ports are below the ephemeral range,
where a client's socket may sit on a port that a server needs (Linux: 32768 and up).
"""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path

from pgherd.errors import NeedsHuman
from pgherd.files import Owner, write

STANDARD_PORTS = {
    "postgresql": 5432,
    "patroni": 8008,
    "pooler": 6432,
    "etcd": 2379,
    "peer": 2380,
    "backup": 8432,
}
LOOKED_AT = 8
"""How many addresses of a block must be free for a new fleet."""
PORT_STEP = 10000
"""A port that is taken on all addresses gives way to the same number, this much higher."""


@dataclass(frozen=True, slots=True)
class AddressBook:
    """`block` is the second octet of the fleet's 127.N.0.0/16; `hosts` are offsets into it."""

    block: int
    ports: Mapping[str, int]
    hosts: Mapping[str, int] = field(default_factory=dict)

    def address(self, name: str) -> IPv4Address:
        """The address of a listener that has one."""
        return IPv4Address(f"127.{self.block}.0.0") + self.hosts[name]

    def including(self, *names: str) -> AddressBook:
        """The book in which all of `names` have an address; those there keep theirs."""
        hosts = dict(self.hosts)
        taken = set(hosts.values())
        free = (offset for offset in range(1, 65535) if offset % 256 and offset not in taken)
        for name in names:
            if name not in hosts:
                hosts[name] = next(free)
        return replace(self, hosts=hosts)

    def without(self, name: str) -> AddressBook:
        """The book without the listener of that name, and without all below it (`NAME/...`)."""
        kept = (item for item in self.hosts.items() if not f"{item[0]}/".startswith(f"{name}/"))
        return replace(self, hosts=dict(kept))


def open_book(path: Path, seed: str) -> AddressBook:
    """The book at `path`, or a new one in a free block that `seed` helps to choose."""
    try:
        content = json.loads(path.read_text())
        hosts = {str(name): int(offset) for name, offset in content["hosts"].items()}
        # One that was written before a port was known gives it its standard number.
        ports = {n: int(content["ports"].get(n, p)) for n, p in STANDARD_PORTS.items()}
        return AddressBook(int(content["block"]), ports, hosts)
    except FileNotFoundError:
        return new_book(seed, is_free)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NeedsHuman(f"{path} is damaged", "restore it from a backup") from None


def save_book(path: Path, book: AddressBook, owner: Owner) -> None:
    """Keep the book."""
    content = {"block": book.block, "ports": dict(book.ports), "hosts": dict(book.hosts)}
    write(path, json.dumps(content, indent=1) + "\n", owner, durable=True)


def new_book(seed: str, free: Callable[[IPv4Address, int], bool]) -> AddressBook:
    """An empty book. `free` says whether a server could listen at an address and port."""
    first = zlib.crc32(seed.encode()) % 253
    for step in range(253):
        block = 1 + (first + step) % 253
        address = IPv4Address(f"127.{block}.0.1")
        ports = {name: _port(address, port, free) for name, port in STANDARD_PORTS.items()}
        others = [address + offset for offset in range(1, LOOKED_AT)]
        if any(not free(other, port) for other in others for port in ports.values()):
            continue
        if ports == STANDARD_PORTS or _taken_everywhere(ports, free):
            return AddressBook(block, ports)
    raise NeedsHuman("no loopback block is free", "stop another fleet on this machine")


def is_free(address: IPv4Address, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((str(address), port))
        except OSError:
            return False
        return True


def _port(address: IPv4Address, standard: int, free: Callable[[IPv4Address, int], bool]) -> int:
    candidates = range(standard, 32768, PORT_STEP)
    for port in candidates:
        if free(address, port):
            return port
    raise NeedsHuman(f"ports {', '.join(map(str, candidates))} are all taken", "free one of them")


def _taken_everywhere(ports: Mapping[str, int], free: Callable[[IPv4Address, int], bool]) -> bool:
    """Whether the ports that gave way are another program's on every address of the machine."""
    nowhere = IPv4Address("127.254.254.254")
    return all(
        not free(nowhere, STANDARD_PORTS[name])
        for name, port in ports.items()
        if port != STANDARD_PORTS[name]
    )
