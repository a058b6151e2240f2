"""What the poolers are told about databases: a text in the metadata of their instances. Pure.

Nothing in it is secret. The poolers look at it every few seconds, so a change needs no restart;
and it is seen in the list of instances, so a database that its poolers do not know is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

METADATA_KEY = "pgherd"
POOL_PER_OCPU = 20
"""Server connections to a database for each OCPU of its primary, shared by all poolers."""
LEAST_POOL = 10


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a database listens: its address, and the name in its certificate."""

    host: str
    name: str


@dataclass(frozen=True, slots=True)
class Route:
    """One database."""

    host: str
    name: str
    port: int
    reader: Endpoint | None
    pool: int
    was: str | None = None
    """The service whose data it was restored from: its database still bears that name inside."""


@dataclass(frozen=True, slots=True)
class Routes:
    """All databases of an environment, by service. `authorities` is a bundle of PEM."""

    network: str
    databases: Mapping[str, Route] = field(default_factory=dict)
    authorities: str = ""
    certificate_due: datetime | None = None
    """From when on the poolers' own certificate is to be renewed."""

    def text(self) -> str:
        """As it lies in the metadata."""
        due = self.certificate_due and self.certificate_due.isoformat()
        databases = {name: asdict(route) for name, route in sorted(self.databases.items())}
        return json.dumps(
            {
                "network": self.network,
                "databases": databases,
                "authorities": self.authorities,
                "certificate_due": due,
            }
        )

    def including(self, service: str, route: Route, authority: str) -> Routes:
        """With one database more, and the authority that signed its certificate."""
        known = authority.strip() in self.authorities
        authorities = self.authorities if known else f"{self.authorities}{authority.strip()}\n"
        databases = {**self.databases, service: route}
        return replace(self, databases=databases, authorities=authorities)

    def without(self, service: str) -> Routes:
        """With one database less."""
        rest = {name: route for name, route in self.databases.items() if name != service}
        return replace(self, databases=rest)


def read(text: str | None) -> Routes | None:
    """From the metadata; None where there is nothing that can be read."""
    try:
        found = json.loads(text or "")
        due = found["certificate_due"]
        return Routes(
            network=found["network"],
            databases={name: _route(route) for name, route in found["databases"].items()},
            authorities=found["authorities"],
            certificate_due=datetime.fromisoformat(due) if due else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _route(found: Mapping[str, Any]) -> Route:
    reader = found["reader"]
    return Route(
        host=found["host"],
        name=found["name"],
        port=found["port"],
        reader=Endpoint(**reader) if reader else None,
        pool=found["pool"],
        was=found.get("was"),
    )


def route(details: Any, ocpus: int, poolers: int = 1, was: str | None = None) -> Route:
    """From a system's `get_connection_details`; `was` is what it was restored from, if anything."""
    primary, reader = details.primary_db_endpoint, details.reader_endpoint
    return Route(
        host=primary.ip_address,
        name=primary.fqdn,
        port=primary.port,
        reader=Endpoint(reader.ip_address, reader.fqdn) if reader else None,
        pool=max(LEAST_POOL, POOL_PER_OCPU * ocpus // poolers),
        was=was,
    )
