"""What the poolers are told about databases: a text in the metadata of their instances. Pure.

Nothing in it is secret. The poolers look at it every few seconds, so a change needs no restart;
and it is seen in the list of instances, so a database that its poolers do not know is noticed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from pgherd.engines.oci.pooler_host.limits import BESIDE_SERVICE
from pgherd.fleet.desired import DatabaseId

METADATA_KEY = "pgherd"
LARGEST = 32_000
"""Bytes that an instance's metadata may have, its user data included."""
POOL_PER_OCPU = 20
"""A service's server connections for each OCPU of its primary, shared by all poolers."""
LEAST_POOL = 10
"""What one pooler has of them at least."""
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a database listens: its address, and the name in its certificate."""

    host: str
    name: str


@dataclass(frozen=True, slots=True)
class Route:
    """One database.

    `system` is the OCID of its system: another one of the same name is elsewhere. `signers` are
    the digests of the certificates that may have signed its own. `was` is the service that it
    was restored from, whose database and roles get its name. `pool` is what one pooler opens at
    most to one server: the service's connections, its reader's and the operator's.
    """

    host: str
    name: str
    port: int
    reader: Endpoint | None
    pool: int
    system: str = ""
    signers: tuple[str, ...] = ()
    was: str | None = None


@dataclass(frozen=True, slots=True)
class Routes:
    """All databases of an environment, by service. `authorities` is a bundle of PEM."""

    network: str
    databases: Mapping[str, Route] = field(default_factory=dict)
    authorities: str = ""
    certificate_due: datetime | None = None
    """From when on the poolers' own certificate is to be renewed."""
    authority: str = ""
    """The digest of the authority that clients' certificates are of."""

    def text(self) -> str:
        """As it lies in the metadata; with the authorities that are needed, each once.

        Those of the last database stay when it goes: a pooler without any takes itself for new,
        and would not let go of what it had.
        """
        due = self.certificate_due and self.certificate_due.isoformat()
        databases = {name: asdict(route) for name, route in sorted(self.databases.items())}
        needed = {signer for route in self.databases.values() for signer in route.signers}
        known = {digest(pem): pem for pem in certificates(self.authorities)}
        kept = sorted(needed & known.keys() if self.databases else known)
        authorities = "".join(f"{known[signer]}\n" for signer in kept)
        return json.dumps(
            {
                "network": self.network,
                "databases": databases,
                "authorities": authorities,
                "certificate_due": due,
                "authority": self.authority,
            }
        )

    def including(self, service: str, route: Route, authority: str) -> Routes:
        """With one database more, and the authority that signed its certificate."""
        pems = certificates(authority)
        route = replace(route, signers=tuple(digest(pem) for pem in pems))
        authorities = self.authorities + "".join(f"{pem}\n" for pem in pems)
        return replace(self, databases={**self.databases, service: route}, authorities=authorities)

    def leads_to(self, id: DatabaseId, system: str) -> bool:
        """It says where that system of that database is."""
        route = self.databases.get(id.service)
        return route is not None and route.system == system

    def without(self, service: str) -> Routes:
        """With one database less."""
        return self.only(self.databases.keys() - {service})

    def only(self, services: Collection[str]) -> Routes:
        """With no others than these."""
        rest = {name: route for name, route in self.databases.items() if name in services}
        return replace(self, databases=rest)


def certificates(pem: str) -> list[str]:
    """Each certificate of a bundle."""
    return _CERTIFICATE.findall(pem)


def digest(pem: str) -> str:
    """A short name of a certificate."""
    return hashlib.sha256(pem.encode()).hexdigest()[:16]


def merged(told: Iterable[Routes]) -> Routes | None:
    """What any of several poolers was told; the first has the say. None for nothing."""
    routes = list(told)
    if not routes:
        return None
    databases: dict[str, Route] = {}
    for one in reversed(routes):
        databases |= one.databases
    authorities = "".join(one.authorities for one in routes)
    return replace(routes[0], databases=databases, authorities=authorities)


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
            authority=found["authority"],
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
        system=found.get("system", ""),
        signers=tuple(found.get("signers", ())),
        was=found.get("was"),
    )


def route(details: Any, system: str, ocpus: int, poolers: int = 1, was: str | None = None) -> Route:
    """From a system's `get_connection_details`; `was` is what it was restored from, if anything."""
    primary, reader = details.primary_db_endpoint, details.reader_endpoint
    return Route(
        host=primary.ip_address,
        name=primary.fqdn,
        port=primary.port,
        reader=Endpoint(reader.ip_address, reader.fqdn) if reader else None,
        pool=max(LEAST_POOL, POOL_PER_OCPU * ocpus // max(poolers, 1)) + BESIDE_SERVICE,
        system=system,
        was=was,
    )
