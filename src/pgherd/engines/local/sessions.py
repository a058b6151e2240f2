"""Every session that pgherd opens on this machine with PostgreSQL or a pooler, and as whom.

A superuser enters one database only: `postgres`, where no service and no reader may connect, so
that nothing in it is a tenant's. What is a tenant's (its tables, views, functions, operators) is
looked at as that tenant, by a login of its own: whatever it runs there, it could run itself.
`SET ROLE` in a superuser's session would be no protection, since a tenant's function can undo it.

Where names lead and how long a statement may take is settled in the start packet, which no
setting of a role or a database overrides.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from pgherd.contract.access import Access
from pgherd.engines.local.identity import probe_place
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest
from pgherd.engines.local.postgres import MAINTENANCE, MONITOR
from pgherd.fleet.desired import DatabaseId, Pooling
from pgherd.fleet.names import pooled_name

LOOK_SECONDS = 2.0
"""How long a look may take: a tenant can make its own as slow as it likes."""
CONNECT_SECONDS = 3

Connection = psycopg.AsyncConnection[Any]


async def superuser(
    layout: Layout,
    manifest: DatabaseManifest,
    instance: InstanceManifest,
    *,
    seconds: float = LOOK_SECONDS,
) -> Connection:
    """A session with the database that has nothing of a tenant. Close it."""
    return await _open(layout, manifest, instance, MAINTENANCE, "postgres", seconds)


async def operator(access: Access) -> Connection:
    """A command's own session of that kind, where the server is known to be the fleet's. Close it.

    `access` is an operator's.
    """
    return await psycopg.AsyncConnection.connect(
        **{**access.parameters(), "options": pinned(LOOK_SECONDS)},  # type: ignore[arg-type]
        application_name="pgherd",
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=CONNECT_SECONDS,
    )


async def monitor(
    layout: Layout, manifest: DatabaseManifest, instance: InstanceManifest
) -> Connection:
    """A session with the same one, as a role that may see statistics only. Close it."""
    return await _open(layout, manifest, instance, MAINTENANCE, MONITOR, LOOK_SECONDS)


async def tenant(
    layout: Layout, manifest: DatabaseManifest, instance: InstanceManifest
) -> Connection:
    """A session with the service's database, as the service. Close it."""
    service = manifest.service
    return await _open(layout, manifest, instance, service, service, LOOK_SECONDS)


def has_probe(layout: Layout, id: DatabaseId) -> bool:
    """Whether a database has been given the certificate that `probe` shows."""
    return probe_place(layout, id).certificate.exists()


async def probe(layout: Layout, manifest: DatabaseManifest) -> Connection:
    """A session as the service, by the door of its clients. Close it."""
    place = probe_place(layout, manifest.id)
    return await psycopg.AsyncConnection.connect(
        host=manifest.pooler_address,
        port=manifest.pooler_port,
        dbname=pooled_name(manifest.service, Pooling.TRANSACTION),
        user=manifest.service,
        application_name="pgherd",
        sslmode="verify-full",
        sslcert=str(place.certificate),
        sslkey=str(place.key),
        sslrootcert=str(place.folder / "data-authority.crt"),
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=CONNECT_SECONDS,
    )


@asynccontextmanager
async def console(
    layout: Layout, manifest: DatabaseManifest, operator: str
) -> AsyncIterator[Connection]:
    """The pooler's admin console, for one question or a few."""
    async with await open_console(layout, manifest, operator) as connection:
        yield connection


async def open_console(layout: Layout, manifest: DatabaseManifest, operator: str) -> Connection:
    """The same, which speaks the simple protocol only. Close it."""
    return await psycopg.AsyncConnection.connect(
        host=str(layout.pooler_socket_folder(manifest.id)),
        port=manifest.pooler_port,
        dbname="pgbouncer",
        user=operator,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        cursor_factory=psycopg.AsyncClientCursor,
    )


def pinned(seconds: float) -> str:
    """What a start packet settles: where names lead, and the longest that a statement takes.

    It waits half as long for a lock, and says so, before its statement is given up.
    """
    milliseconds = round(seconds * 1000)
    settings = {
        "search_path": "pg_catalog",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds // 2,
        "idle_in_transaction_session_timeout": milliseconds,
    }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


async def _open(
    layout: Layout,
    manifest: DatabaseManifest,
    instance: InstanceManifest,
    database: str,
    role: str,
    seconds: float,
) -> Connection:
    return await psycopg.AsyncConnection.connect(
        host=str(layout.socket_folder(manifest.id, instance.number)),
        port=manifest.postgresql_port,
        dbname=database,
        user=role,
        application_name="pgherd",
        options=pinned(seconds),
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=CONNECT_SECONDS,
    )
