"""PostgreSQL on this machine: what is installed, who may connect, what a new database gets."""

from __future__ import annotations

import struct
from enum import IntEnum
from pathlib import Path

from pgherd.engines.local import processes
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.template import PREPARED
from pgherd.errors import InputError
from pgherd.programs.postgresql import (
    NOT_FOR_READERS,
    READER_SETTINGS,
    admission,
    quoted,
    reading,
)

PACKAGED = Path("/usr/lib/postgresql")
SUPPORTED = range(14, 19)
MAINTENANCE = "postgres"
"""The database that has nothing of a tenant."""
MONITOR = "pgherd_monitor"
"""The role that sees statistics, and nothing else. No service can be called that."""
MONITORS = 3
"""Sessions of it at once: one is kept, and the next may begin before that has ended."""
LOGINS = "pgherd_logins"
CERTIFICATES = "pgherd_certificates"
READERS_SETTINGS = {**READER_SETTINGS, "temp_file_limit": "256MB"}
"""The last bounds the files of each session, and a reader cannot change it; it can the others."""
WITHHELD = f"^({NOT_FOR_READERS}|pg_export_snapshot)$"
"""The functions that a reader must not call: an exported snapshot is a file.

Nor may a reader write code (DO), which loops and logs without end.
"""
REWINDS_FUNCTIONS = (
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)
"""What pg_rewind calls (its manual, "Notes")."""
COMPLETE = "complete: made by pgherd"
"""The comment on database `postgres` of a cluster whose bootstrap came to its end."""


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


def has_module(version: int, name: str, root: Path = PACKAGED) -> bool:
    """Whether a library of its own distribution is there to be loaded."""
    return (root / str(version) / "lib" / f"{name}.so").is_file()


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


def damage(data: Path) -> Path | None:
    """The file without which no server starts there and that cannot be read; None where all can."""
    if cluster_state(data) is None:
        return data / "global/pg_control"
    version = data / "PG_VERSION"
    try:
        return None if version.read_text().strip().isdigit() else version
    except (OSError, ValueError):
        return version


def postmaster_pid(data: Path) -> int | None:
    """The server of `data`; None for none, for one in single-user mode, and for a name of old."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid > 0 and processes.works_in(pid, data) else None


def hba(manifest: DatabaseManifest) -> list[str]:
    """Who may connect. Over TCP only with a certificate, and only to the own database.

    A login of this machine and the name in a certificate are looked up in maps of their own: a
    service may be called like the user that the databases run as.
    """
    database = quoted(manifest.service)
    pooled = f"{database},{quoted(manifest.read_only_role)}"
    return [
        f"local all postgres peer map={LOGINS}",
        f"local replication replicator peer map={LOGINS}",
        f"local {MAINTENANCE} {MONITOR} peer map={LOGINS}",
        f"local {database} {database} peer map={LOGINS}",
        f"hostssl {database} {pooled} all cert map={CERTIFICATES}",
        f"hostssl replication replicator all cert map={CERTIFICATES}",
        f"hostssl postgres rewind all cert map={CERTIFICATES}",
        "host all all all reject",
    ]


def ident(manifest: DatabaseManifest, operator: str) -> list[str]:
    """Whose login on this machine, or whose certificate, is which role."""
    service, pooler = manifest.service, f"{manifest.service}.pooler"
    logins = [
        *((login, "postgres") for login in dict.fromkeys((operator, "root"))),
        (operator, "replicator"),
        (operator, MONITOR),
        (operator, service),
    ]
    certificates = [
        (pooler, service),
        (pooler, manifest.read_only_role),
        (f"{service}.replicator", "replicator"),
        (f"{service}.rewind", "rewind"),
    ]
    if manifest.stream:
        certificates.append((f"{service}.stream", "replicator"))
    return [
        f"{map} {quoted(system)} {quoted(role)}"
        for map, rows in ((LOGINS, logins), (CERTIFICATES, certificates))
        for system, role in rows
    ]


def bootstrap_sql(manifest: DatabaseManifest) -> str:
    """What a new database starts with. It says at its very end that it came there.

    The service owns its schema, the reader may read what the service makes, and no role has a
    password. Nothing here is a tenant's yet.
    """
    service = quoted(manifest.service)
    read_only = quoted(manifest.read_only_role)
    settings = "\n".join(
        f"ALTER ROLE {read_only} SET {name} = '{value}';"
        for name, value in READERS_SETTINGS.items()
    )
    is_prepared = f"SELECT count(*) AS prepared FROM pg_database WHERE datname = '{PREPARED}'"  # noqa: S608
    return f"""\
CREATE ROLE {service} LOGIN;
CREATE ROLE {read_only} LOGIN;
{settings}
CREATE ROLE replicator LOGIN REPLICATION;
CREATE ROLE rewind LOGIN;
CREATE ROLE {MONITOR} LOGIN CONNECTION LIMIT {MONITORS};
GRANT pg_monitor TO {MONITOR};
GRANT EXECUTE ON FUNCTION {", ".join(REWINDS_FUNCTIONS)} TO rewind;
{is_prepared} \\gset
\\if :prepared
ALTER DATABASE {quoted(PREPARED)} RENAME TO {service};
\\else
CREATE DATABASE {service};
\\endif
REVOKE ALL ON DATABASE {service}, postgres, template1 FROM PUBLIC;
{admission(service, read_only)}\
GRANT CONNECT ON DATABASE postgres TO rewind, {MONITOR};
\\connect {service}
ALTER SCHEMA public OWNER TO {service};
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO {read_only};
{reading(service, read_only)}\
SELECT format('REVOKE EXECUTE ON FUNCTION %1$s FROM PUBLIC', oid::regprocedure),
       format('GRANT EXECUTE ON FUNCTION %1$s TO {service}', oid::regprocedure)
  FROM pg_proc
 WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '{WITHHELD}'
   AND has_function_privilege('public', oid, 'EXECUTE') \\gexec
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO {service};
\\connect postgres
COMMENT ON DATABASE postgres IS '{COMPLETE}';
"""  # noqa: S608 - names were checked
