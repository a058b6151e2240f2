"""PostgreSQL on this machine: what is installed, who may connect, what a new database gets."""

from __future__ import annotations

import struct
from enum import IntEnum
from pathlib import Path

from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.template import PREPARED
from pgherd.errors import InputError

PACKAGED = Path("/usr/lib/postgresql")
SUPPORTED = range(14, 19)
LARGE_OBJECT_MAKERS = "lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea)"
"""The only writes that PostgreSQL lets everyone do: a read-only role must not."""


class ClusterState(IntEnum):
    """The state in pg_control (PostgreSQL's pg_control.h, DBState)."""

    STARTING = 0
    SHUT_DOWN = 1
    SHUT_DOWN_IN_RECOVERY = 2
    SHUTTING_DOWN = 3
    IN_CRASH_RECOVERY = 4
    IN_ARCHIVE_RECOVERY = 5
    IN_PRODUCTION = 6


def installed(root: Path = PACKAGED) -> dict[int, Path]:
    """Major versions that are installed and supported, each with its folder of programs."""
    found = {}
    for path in root.glob("*/bin/postgres"):
        name = path.parent.parent.name
        if name.isdigit() and int(name) in SUPPORTED:
            found[int(name)] = path.parent
    return found


def choose(wanted: int | None, root: Path = PACKAGED) -> tuple[int, Path]:
    """The major version to use: the one wanted, or the newest; InputError if it is not there."""
    versions = installed(root)
    if not versions:
        raise InputError("PostgreSQL is not installed", "run `make setup`")
    if wanted is None:
        wanted = max(versions)
    if wanted not in versions:
        have = ", ".join(map(str, sorted(versions)))
        raise InputError(
            f"PostgreSQL {wanted} is not installed, only {have}",
            f"install postgresql-{wanted}, or write `postgresql: {max(versions)}`",
        )
    return wanted, versions[wanted]


def cluster_state(data: Path) -> ClusterState | None:
    """What pg_control says, None where it cannot be read.

    The state is the 32-bit integer after system identifier (8 bytes), control file version and
    catalogue version (4 each); so it has been in all supported versions.
    """
    try:
        head = (data / "global/pg_control").read_bytes()[:20]
        return ClusterState(struct.unpack_from("=i", head, 16)[0])
    except (OSError, struct.error, ValueError):
        return None


def postmaster_pid(data: Path) -> int | None:
    """The process id in postmaster.pid; None for none or a single-user one's."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid > 0 else None


def quoted(identifier: str) -> str:
    """An SQL identifier, quoted: service names such as order and user are SQL's own words."""
    return '"' + identifier.replace('"', '""') + '"'


def hba(manifest: DatabaseManifest) -> list[str]:
    """Who may connect. Over TCP only with a certificate, and only to the own database."""
    database = quoted(manifest.service)
    pooled = f"{database},{quoted(manifest.read_only_role)}"
    return [
        "local all postgres peer map=pgherd",
        "local replication replicator peer map=pgherd",
        f"hostssl {database} {pooled} all cert map=pgherd",
        "hostssl replication replicator all cert map=pgherd",
        "hostssl postgres rewind all cert map=pgherd",
        "host all all all reject",
    ]


def ident(manifest: DatabaseManifest, operator: str) -> list[str]:
    """Whose certificate, or whose login on this machine, is which role."""
    pooler = f"{manifest.service}.pooler"
    rows = [
        *((login, "postgres") for login in dict.fromkeys((operator, "root"))),
        (operator, "replicator"),
        (pooler, manifest.service),
        (pooler, manifest.read_only_role),
        (f"{manifest.service}.replicator", "replicator"),
        (f"{manifest.service}.rewind", "rewind"),
    ]
    return [f"pgherd {quoted(system)} {quoted(role)}" for system, role in rows]


def bootstrap_sql(manifest: DatabaseManifest) -> str:
    """What a new database starts with: the service owns its schema, and no role has a password."""
    service = quoted(manifest.service)
    read_only = quoted(manifest.read_only_role)
    is_prepared = f"SELECT count(*) AS prepared FROM pg_database WHERE datname = '{PREPARED}'"  # noqa: S608
    return f"""\
CREATE ROLE {service} LOGIN;
CREATE ROLE {read_only} LOGIN IN ROLE pg_read_all_data;
ALTER ROLE {read_only} SET default_transaction_read_only = on;
{is_prepared} \\gset
\\if :prepared
ALTER DATABASE {quoted(PREPARED)} RENAME TO {service};
\\else
CREATE DATABASE {service};
\\endif
REVOKE ALL ON DATABASE {service}, postgres, template1 FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE {service} TO {service};
GRANT CONNECT ON DATABASE {service} TO {read_only};
CREATE ROLE rewind LOGIN;
GRANT CONNECT ON DATABASE postgres TO rewind;
\\connect {service}
ALTER SCHEMA public OWNER TO {service};
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION {LARGE_OBJECT_MAKERS} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {LARGE_OBJECT_MAKERS} TO {service};
"""
