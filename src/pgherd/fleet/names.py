"""Which names a fleet, an environment and a service may have.

A name becomes part of host names, certificates, roles, databases and resource names, each of
which has words of its own; the rules here are what all of them can bear.
"""

from __future__ import annotations

import re

from pgherd.errors import InputError
from pgherd.fleet.desired import Pooling
from pgherd.units import quoted

NAME_PATTERN = "^[a-z][a-z0-9-]{0,30}$"
MAX_RESOURCE_NAME = 63
"""The length of a DNS label, and of a PostgreSQL identifier."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_POOLED = re.compile(r"[-_]ro$|-transaction$")
_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
# What PostgreSQL and PgBouncer take for something else in their access files, roles that are there
# already (pg_... among them, as the read-only role of pg would be), and files beside a client's.
DRILLS = "pgherd-drill-"
"""What copies are called that are made to be looked at and deleted: no service's name."""
_RESERVED = {
    "fleet": frozenset[str](),
    "environment": frozenset({"all", "default", "defaults"}),
    "service": frozenset(
        {
            "all",
            "control-authority",
            "data-authority",
            "none",
            "pg",
            "pgbouncer",
            "pgherd",
            "postgres",
            "public",
            "replication",
            "replicator",
            "rewind",
            "samegroup",
            "samerole",
            "sameuser",
            "template0",
            "template1",
        }
    ),
}


def check_name(kind: str, name: str) -> None:
    """InputError unless `name` is fit for a `fleet`, an `environment` or a `service`."""
    if name in _YAML_WORDS:
        raise InputError(
            f"{quoted(name)} means a boolean or nothing to YAML", "choose another word"
        )
    if kind == "service" and (ending := _POOLED.search(name)):
        raise InputError(
            f"{quoted(name)} ends in {ending[0]}, which marks names of a database in its pooler",
            "choose another ending",
        )
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{quoted(name)} is not a name",
            "write up to 31 of a-z, 0-9 and -, and a letter first" + _suggestion(name),
        )
    if name in _RESERVED[kind] or (kind == "service" and name.startswith(DRILLS)):
        raise InputError(f"{quoted(name)} is reserved", f"choose another name for the {kind}")


def resource_name(fleet: str, environment: str, service: str) -> str:
    """As in ecommerce-production-auth-db."""
    return f"{fleet}-{environment}-{service}-db"


def read_only_role(service: str) -> str:
    """The role that reads everything of a service's database and writes nothing."""
    return f"{service}_ro"


def pooled_name(service: str, pooling: Pooling, *, read_only: bool = False) -> str:
    """A database's name in its pooler, as in cart, cart-ro, cart-transaction."""
    name = f"{service}-ro" if read_only else service
    return name if pooling is Pooling.SESSION else f"{name}-{pooling}"


def title(name: str) -> str:
    """A name as a heading has it: `gift-card` is Gift Card."""
    return name.replace("-", " ").title()


def _suggestion(name: str) -> str:
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f", as in {better}" if _NAME.fullmatch(better) else ""
