"""How a client opens a database, and how pgherd itself does where it can."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode

from pgherd.fleet.desired import DatabaseId


class AccessRole(StrEnum):
    """As whom to connect."""

    SERVICE = "service"
    """The service: owns its schema, reads and writes."""
    READ_ONLY = "read-only"
    """Reads everything, writes nothing; goes to replicas where there are any."""
    OPERATOR = "operator"
    """Superuser, past the pooler, on the primary."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to open one database. With certificates: `certificate`, `key`, `authority` are files.

    `host` may be several, with commas between. `connect_timeout` is in seconds, for each of them.
    `options` are the server's own, for the start of the session. `server_user` is the login that a
    server behind a Unix socket must run as.
    """

    host: str
    port: int
    database: str
    user: str
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    connect_timeout: int | None = None
    options: str | None = None
    server_user: str | None = None

    def parameters(self) -> dict[str, str]:
        """The libpq connection parameters."""
        parameters = {
            "host": self.host,
            "port": str(self.port),
            "dbname": self.database,
            "user": self.user,
        }
        if self.connect_timeout is not None:
            parameters["connect_timeout"] = str(self.connect_timeout)
        if self.options is not None:
            parameters["options"] = self.options
        if self.server_user is not None:
            parameters["requirepeer"] = self.server_user
        if self.certificate and self.key and self.authority:
            parameters |= {
                "sslmode": "verify-full",
                "sslcert": str(self.certificate),
                "sslkey": str(self.key),
                "sslrootcert": str(self.authority),
            }
        return parameters

    def uri(self) -> str:
        """A libpq URI that any libpq client can use as it is."""
        in_front = {"host", "port", "dbname", "user"}
        rest = {k: v for k, v in self.parameters().items() if k not in in_front}
        # A folder in the place of the host name is a Unix socket's.
        host = quote(self.host, safe="")
        query = f"?{urlencode(rest, quote_via=quote, safe='/')}" if rest else ""
        return f"postgresql://{quote(self.user)}@{host}:{self.port}/{quote(self.database)}{query}"

    def variables(self) -> dict[str, str]:
        """The same as libpq's environment variables."""
        names = {"dbname": "PGDATABASE", "connect_timeout": "PGCONNECT_TIMEOUT"}
        return {names.get(k, f"PG{k.upper()}"): v for k, v in self.parameters().items()}


class Reach(Protocol):
    """pgherd's own way into the databases from where it runs: an ability that an engine may lack.

    Migrations need it, and imports do.
    """

    async def as_service(self, id: DatabaseId) -> Access:
        """How pgherd connects as the service that a database belongs to."""
        ...

    async def let_make(self, id: DatabaseId, *, allowed: bool) -> None:
        """The service may make schemas and extensions in its database, or, as always, may not.

        For the moment in which an import makes those of its source.
        """
        ...
