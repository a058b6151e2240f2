"""What is wanted: the text that pgherd puts into the instance's metadata (`routes`)."""

from __future__ import annotations

import ipaddress
import json
import re
import urllib.request
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from pgherd.engines.oci.pooler_host.certificates import check_authorities
from pgherd.engines.oci.pooler_host.limits import BESIDE_SERVICE
from pgherd.engines.oci.pooler_host.names import check_name
from pgherd.engines.oci.pooler_host.trouble import Trouble, reason


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is: its address, and the name that its certificate bears, if any."""

    host: str
    name: str | None
    port: int


@dataclass(frozen=True, slots=True)
class Database:
    """One service's database. `pool` is what the pooler opens at most to each of its servers."""

    service: str
    primary: Endpoint
    reader: Endpoint | None
    pool: int
    was: str | None = None
    """The service whose data it was restored from: its database may still bear that name."""

    @property
    def service_pool(self) -> int:
        """How many connections the service itself has to a server, under whichever name."""
        return max(1, self.pool - BESIDE_SERVICE)

    @property
    def names(self) -> list[str]:
        """In the pooler, to write and to read: for sessions, then for transactions."""
        return [self.service + end for end in ("", "-ro", "-transaction", "-ro-transaction")]

    @property
    def read_only_role(self) -> str:
        """The role that reads everything and writes nothing."""
        return f"{self.service}_ro"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the metadata says."""

    databases: tuple[Database, ...]
    authorities: str
    network: str


def parse_wanted(text: str, reserved: Container[str]) -> Wanted:
    """The metadata's JSON; Trouble where anything in it is not what it must be.

    A service must not have one of the `reserved` names: its certificate would be another's.
    """
    try:
        content = json.loads(text)
        if isinstance(content, str):  # the metadata service may quote a text as JSON again
            content = json.loads(content)
        entries = sorted(content["databases"].items())
        databases = tuple(_database(service, entry, reserved) for service, entry in entries)
        network = str(ipaddress.ip_network(content["network"]))
        if databases or content["authorities"]:
            check_authorities(content["authorities"])
        return Wanted(databases, content["authorities"], network)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Trouble(f"the metadata cannot be used: {reason(error)}") from None


def _database(service: str, entry: Mapping[str, Any], reserved: Container[str]) -> Database:
    reader, was = entry.get("reader"), entry.get("was")
    for name in (service,) if was is None else (service, was):
        check_name(name, reserved)
    port, pool = int(entry["port"]), int(entry["pool"])
    return Database(
        service,
        _endpoint(entry, port),
        _endpoint(reader, port) if reader else None,
        max(1, pool),
        was if was != service else None,
    )


def _endpoint(entry: Mapping[str, Any], port: int) -> Endpoint:
    name = entry.get("name") or None
    if name is not None and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name):
        raise ValueError(f"{name!r} is no host's name")
    return Endpoint(str(ipaddress.ip_address(entry["host"])), name, int(entry.get("port", port)))


def fetch_metadata(url: str) -> str:
    """The text that the operator put there."""
    request = urllib.request.Request(url, headers={"Authorization": "Bearer Oracle"})  # noqa: S310
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=5) as answer:
            return str(answer.read().decode())
    except (OSError, ValueError) as error:
        raise Trouble(f"the metadata cannot be read: {reason(error)}") from None
