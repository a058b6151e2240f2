"""Who is who: which certificates an environment has, and what each may do.

Two authorities an environment. `control` signs for etcd and Patroni's REST API, which admit
any certificate of their authority, so nobody else gets one. `data` signs for PostgreSQL and
PgBouncer, which look at the name: a service's certificate opens its own database only, and the
names of a database's servers (`auth.pooler`, `auth.replicator`) are mapped by that database alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address
from itertools import combinations

from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import (
    DatabaseManifest,
    EnvironmentManifest,
    InstanceManifest,
)
from pgherd.fleet.desired import DatabaseId
from pgherd.pki.certificate import Identity, Place

LIFETIME = timedelta(days=30)
REPOSITORY = "pgherd.repository"
"""The name of the repositories' owner. No service can be called that."""
CONTROL = "control"
DATA = "data"


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate that should exist; `authority` is CONTROL or DATA.

    Where `is_clients`, no program of the data plane reads its key; where `is_repositorys`, only
    the user reads it whose the repositories are.
    """

    place: Place
    authority: str
    identity: Identity
    purpose: str
    database: DatabaseId | None = None
    is_clients: bool = False
    is_repositorys: bool = False


def authority_place(layout: Layout, environment: str, authority: str) -> Place:
    """Where an authority and its key lie."""
    return Place(layout.pki(environment), f"{authority}-authority")


def operator_place(layout: Layout, environment: str) -> Place:
    """The operator's certificate for etcd and Patroni.

    In a folder of its own: an authority's certificate lies under the name of what is trusted.
    """
    return Place(layout.pki(environment) / "operator", "operator")


def etcd_place(layout: Layout, environment: str) -> Place:
    """The certificate of the environment's etcd."""
    return Place(layout.etcd(environment) / "pki", "etcd")


def probe_place(layout: Layout, id: DatabaseId) -> Place:
    """The certificate by which the agent asks a database what its service would."""
    return Place(layout.probe(id), "probe")


def repository_place(layout: Layout, environment: str) -> Place:
    """The certificate of the environment's repository of backups."""
    return Place(layout.repository(environment) / "pki", "repository")


def archive_place(layout: Layout, environment: str) -> Place:
    """The certificate of what lets the repository's owner take backups."""
    return Place(layout.archive(environment) / "pki", "archive")


def archiver_place(layout: Layout, id: DatabaseId) -> Place:
    """The certificate by which a database hands its WAL over."""
    return Place(layout.archiver(id) / "pki", "archiver")


def stream_place(layout: Layout, id: DatabaseId) -> Place:
    """The certificate by which the repository's owner receives a database's WAL."""
    return Place(layout.repository(id.environment) / "pki" / id.service, "stream")


def archive_name(service: str) -> str:
    """Who hands WAL over, to the repository."""
    return f"{service}.archive"


def stream_name(service: str) -> str:
    """Who receives WAL: it may replicate, and nothing else."""
    return f"{service}.stream"


def of_environment(layout: Layout, manifest: EnvironmentManifest) -> Iterator[Certificate]:
    """What the environment itself needs."""
    name = manifest.name
    yield Certificate(
        etcd_place(layout, name),
        CONTROL,
        Identity("etcd", is_client=True, server_addresses=(IPv4Address(manifest.etcd_address),)),
        "etcd",
    )
    yield Certificate(
        operator_place(layout, name),
        CONTROL,
        Identity("pgherd-operator", is_client=True),
        "pgherd operator",
    )
    if manifest.repository_address:
        yield from _of_backups(layout, manifest)


def _of_backups(layout: Layout, manifest: EnvironmentManifest) -> Iterator[Certificate]:
    """pgBackRest compares names only up to 2.52: an address stands in its certificates as one."""
    yield Certificate(
        repository_place(layout, manifest.name),
        DATA,
        Identity(
            REPOSITORY,
            is_client=True,
            server_addresses=(IPv4Address(manifest.repository_address),),
            server_names=(manifest.repository_address,),
        ),
        "backup repository",
        is_repositorys=True,
    )
    yield Certificate(
        archive_place(layout, manifest.name),
        DATA,
        Identity(
            "pgherd.archive",
            server_addresses=(IPv4Address(manifest.archive_address),),
            server_names=(manifest.archive_address,),
        ),
        "what is backed up",
    )


def of_database(layout: Layout, manifest: DatabaseManifest) -> Iterator[Certificate]:
    """What one database, its instances, its pooler and its clients need."""
    id = manifest.id
    for instance in manifest.instances:
        folder = layout.instance(id, instance.number) / "pki"
        name = manifest.instance_name(instance.number)
        address = (instance.ip,)
        yield Certificate(
            Place(folder, "patroni"),
            CONTROL,
            Identity(name, is_client=True, server_addresses=address),
            f"Patroni {name}",
            id,
        )
        yield Certificate(
            Place(folder, "server"),
            DATA,
            Identity(name, server_addresses=address, server_names=_host_lists(manifest, instance)),
            f"PostgreSQL {name}",
            id,
        )
        for role in ("replicator", "rewind"):
            yield Certificate(
                Place(folder, role),
                DATA,
                Identity(f"{id.service}.{role}", is_client=True),
                f"{role} of {name}",
                id,
            )
    pooler = layout.pooler(id) / "pki"
    # The one that it can be seen to have read is the last.
    yield Certificate(
        Place(pooler, "client"),
        DATA,
        Identity(f"{id.service}.pooler", is_client=True),
        "pooler, towards PostgreSQL",
        id,
    )
    yield Certificate(
        Place(pooler, "server"),
        DATA,
        Identity(f"{id.service}.pooler", server_addresses=(IPv4Address(manifest.pooler_address),)),
        "pooler, towards clients",
        id,
    )
    yield Certificate(
        probe_place(layout, id),
        DATA,
        Identity(f"{id.service}.probe", is_client=True),
        "probe of the agent",
        id,
    )
    if manifest.can_archive:
        yield Certificate(
            archiver_place(layout, id),
            DATA,
            Identity(archive_name(id.service), is_client=True),
            "archiver, towards the backup repository",
            id,
        )
    if manifest.stream and manifest.can_archive:
        yield Certificate(
            stream_place(layout, id),
            DATA,
            Identity(stream_name(id.service), is_client=True),
            "receiver of WAL, towards PostgreSQL",
            id,
            is_repositorys=True,
        )
    for role in (id.service, manifest.read_only_role):
        yield Certificate(
            Place(layout.clients(id), role),
            DATA,
            Identity(role, is_client=True),
            f"client {role}",
            id,
            is_clients=True,
        )


def _host_lists(manifest: DatabaseManifest, instance: InstanceManifest) -> tuple[str, ...]:
    """The lists of hosts that an instance may be reached through.

    Up to 1.24, PgBouncer compares a server's certificate with its whole `host=` list; from 1.25
    on with the host that it connected to. So a certificate names each list that it stands in.
    """
    addresses = [i.address for i in manifest.instances]
    return tuple(
        ",".join(hosts)
        for length in range(2, len(addresses))
        for hosts in combinations(addresses, length)
        if instance.address in hosts
    )
