"""One database and its environment as the local engine writes them down, the same in all tests."""

from dataclasses import replace
from pathlib import Path

from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, EnvironmentManifest, InstanceManifest
from pgherd.files import Owner


class LongLayout(Layout):
    """One whose root may be long, as pytest's folders are: no socket is opened in it."""

    def __post_init__(self) -> None:
        pass


LAYOUT = Layout(Path("/var/lib/pgherd/fleets/ecommerce"))
NOBODY = Owner(0, 0, "root")
"""Whom files are never handed over to."""

PRODUCTION = EnvironmentManifest(
    name="production",
    etcd_address="127.7.0.1",
    etcd_port=2379,
    etcd_peer_port=2380,
    etcd_program="/usr/bin/etcd",
)
AUTH = DatabaseManifest(
    environment="production",
    service="auth",
    postgresql=15,
    bin_directory="/usr/lib/postgresql/15/bin",
    library="/var/lib/pgherd/programs/pgherd-15.so",
    pooler_program="/usr/sbin/pgbouncer",
    postgresql_port=5432,
    patroni_port=8008,
    pooler_address="127.7.0.2",
    pooler_port=6432,
    ocpus=2,
    least_ocpus=2,
    max_ocpus=128,
    memory_bytes=128 * 2**20,
    cores=0.2,
    storage_bytes=256 * 2**30,
    durability="synchronous",
    made=True,
    can_count_statements=True,
    instances=(
        InstanceManifest(1, 1, "127.7.0.3"),
        InstanceManifest(2, 2, "127.7.0.4"),
        InstanceManifest(3, 3, "127.7.0.5"),
    ),
)
ALONE = replace(AUTH, durability="asynchronous", instances=AUTH.instances[:1])
