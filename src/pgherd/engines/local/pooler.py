"""PgBouncer: one for each database, the only door of its service.

`NAME` goes to the primary, `NAME-ro` to the healthy replicas (to the primary where there is
none): a client has a server connection as long as it stays. `NAME-transaction` and
`NAME-ro-transaction` lead to the same servers: there it has one for each transaction, and what a
session keeps ends with the transaction. Where they go now is in `databases.ini`, which the agent
writes; all else is settled when the database is made. The service may use all, its reader the
read-only ones, with connections, clients and time of its own, so that it never takes its service's.

Nothing stays on a server connection after a transaction: pgherd's library in PostgreSQL, which the
pooler tells what each connection is for, sees to that. Why, and what it costs:
docs/decisions/0010-sessions-by-default.md, docs/decisions/0011-a-library-in-the-server.md
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pgherd.decide.parameters import pool_size, readers_pool_size, session_pool_size
from pgherd.engines.local import library, patroni
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.errors import InputError
from pgherd.fleet.desired import Pooling
from pgherd.fleet.names import pooled_name
from pgherd.programs import pgbouncer

MENDED = (1, 25, 2)
MENDED_IN_DEBIAN_13 = 2
"""The first without a hole that is open here, and the N of 1.24.1-1+deb13uN that has its mends.

CVE-2025-12819 (a search_path in the start packet), CVE-2026-6664 to 6667 (crashes by a packet or a
server's answer, before 1.25.2). Not open here: CVE-2026-107348 (needs another `max_packet_size`),
CVE-2026-107349 (`ignore_startup_parameters`, see `settings`) and CVE-2026-107350 (needs passwords).
"""
PLACES = (
    Path("/usr/sbin/pgbouncer"),
    Path("/var/lib/pgherd/programs/pgbouncer"),
    Path(sys.prefix) / "programs/pgbouncer",
)
"""Where the distribution and `make setup` (with and without root) put it."""
ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a pooler sends its clients. No `primary` means that clients wait."""

    primary: str | None
    replicas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Door:
    """One of the names of a database in its pooler."""

    name: str
    pooling: Pooling
    read_only: bool


def doors(service: str) -> tuple[Door, ...]:
    """All names of a service's database."""
    return tuple(
        Door(pooled_name(service, pooling, read_only=read_only), pooling, read_only)
        for pooling in Pooling
        for read_only in (False, True)
    )


def program(candidates: Sequence[Path] = PLACES) -> Path:
    """The PgBouncer to use; InputError where none is new enough."""
    for path in candidates:
        if path.is_file() and version(path) >= pgbouncer.OLDEST:
            return path
    raise InputError(
        "PgBouncer 1.24 or newer is not installed",
        "run `make setup`: older ones cannot keep a reader from taking what its service needs",
    )


def version(path: Path) -> tuple[int, ...]:
    """Its version, as in (1, 24, 1)."""
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    return pgbouncer.version(text) or (0,)


def revision(path: Path) -> str:
    """What it was built from, or the version of the package that it is of, else its own word."""
    if built := re.search(r"/pgbouncer-([^/]+)/bin/pgbouncer$", str(path.resolve())):
        return built[1]
    if path.resolve() == PLACES[0]:
        asked = ["dpkg-query", "-W", "-f", "${Version}", "pgbouncer"]
        with contextlib.suppress(OSError):
            package = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
            if package:
                return package
    return ".".join(map(str, version(path)))


def has_known_holes(revision: str) -> bool:
    """Whether a version, as `revision` gives it, has a hole that is known and open here."""
    if mended := re.match(r"1\.24\.1-1\+deb13u(\d+)", revision):
        return int(mended[1]) < MENDED_IN_DEBIAN_13
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", revision)
    return numbers is None or tuple(int(n or 0) for n in numbers.groups()) < MENDED


def settings(layout: Layout, manifest: DatabaseManifest, operator: str) -> str:
    """pgbouncer.ini; `operator` is the login that may use the admin console."""
    folder = layout.pooler(manifest.id)
    pki = folder / "pki"
    listening = pgbouncer.listening(
        manifest.pooler_address,
        manifest.pooler_port,
        layout.pooler_socket_folder(manifest.id),
        operator,
    )
    return f"""\
[pgbouncer]
{listening}
; After a session. After a transaction nothing is left: pgherd's library in the server sees to it.
server_reset_query = DISCARD ALL
max_prepared_statements = 200
track_extra_parameters = {", ".join(library.settings(manifest.postgresql))}
{pgbouncer.ADMISSION}
auth_type = hba
auth_hba_file = {folder}/hba.conf
auth_ident_file = {folder}/ident.conf
auth_file = {folder}/users.txt
client_tls_sslmode = verify-full
client_tls_cert_file = {pki}/server.crt
client_tls_key_file = {pki}/server.key
client_tls_ca_file = {pki}/data-authority.crt
client_tls_protocols = secure
server_tls_sslmode = verify-full
server_tls_cert_file = {pki}/client.crt
server_tls_key_file = {pki}/client.key
server_tls_ca_file = {pki}/data-authority.crt

server_login_retry = 0.1
server_connect_timeout = 3
; What ALTER ROLE or ALTER DATABASE sets holds for server connections that are opened later.
server_lifetime = 300
{pgbouncer.WAITING}stats_period = 60

%include {layout.routes(manifest.id)}
"""


def hba(manifest: DatabaseManifest, operator: str) -> str:
    """Who may enter: the service and its read-only role, each by its own certificate.

    The service's opens the read-only role too: it may less. The agent's probe enters by one name
    only, as the service. PgBouncer goes by the first line that fits.
    """
    everything = doors(manifest.service)
    read_only = [door.name for door in everything if door.read_only]
    probed = pooled_name(manifest.service, Pooling.TRANSACTION)
    return pgbouncer.hba(
        operator,
        (
            pgbouncer.admitted([probed], manifest.service, ANYWHERE, "probed"),
            pgbouncer.admitted((door.name for door in everything), manifest.service, ANYWHERE),
            pgbouncer.admitted(read_only, manifest.read_only_role, ANYWHERE, "readers"),
        ),
    )


def ident(manifest: DatabaseManifest) -> str:
    """Whose certificates open the read-only role, and who else the name that is probed."""
    service, reader = manifest.service, manifest.read_only_role
    rows = [
        *(("readers", name, reader) for name in (service, reader)),
        *(("probed", name, service) for name in (service, f"{service}.probe")),
    ]
    return "".join(f'{ident_map} "{name}" "{role}"\n' for ident_map, name, role in rows)


def users(manifest: DatabaseManifest, operator: str) -> str:
    """The users that exist. None has a password."""
    return pgbouncer.users(dict.fromkeys((manifest.service, manifest.read_only_role, operator), ""))


def databases(manifest: DatabaseManifest, route: Route) -> str:
    """databases.ini: where each name goes now, and how many may read there."""
    primary = route.primary
    replicas = ",".join(route.replicas) or primary
    read_from = max(1, len(route.replicas))
    size = patroni.size(manifest)
    lines = ["[databases]"]
    for door in doors(manifest.service):
        # With no server known, an address where nothing ever listens: clients wait and retry.
        hosts = (replicas if door.read_only else primary) or manifest.pooler_address
        pool = pool_size(size)
        if door.pooling is Pooling.SESSION:
            pool = session_pool_size(size, read_only=door.read_only)
        if door.read_only:
            pool *= read_from
        lines.append(
            f"{door.name} = host={hosts} port={manifest.postgresql_port}"
            f" dbname={manifest.service} pool_mode={door.pooling}"
            f" pool_size={pool} load_balance_hosts=round-robin"
            f" connect_query='SET pgherd.pooling = {door.pooling}'"
        )
    reader = pgbouncer.reader(manifest.read_only_role, read_from * readers_pool_size(size))
    return "\n".join([*lines, "", "[users]", reader]) + "\n"
