"""Patroni's configuration, and where its keys lie in etcd.

The timings are Patroni's own defaults, for an idle fleet costs little that way: what must be
fast does not wait for them. The agent sees a primary die, fences it and deletes its leader key,
which wakes every replica; the lease only bounds what nobody sees.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from pgherd.decide.parameters import (
    InstanceSize,
    cluster_parameters,
    parameters,
    slot_wal_keep_size,
)
from pgherd.engines.local import library, postgres, template, whole
from pgherd.engines.local.backup import host
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, EnvironmentManifest, InstanceManifest

NAMESPACE = "/pgherd"
LOOP_WAIT = 10
TTL = 30
RETRY_TIMEOUT = 10
MARK = "pgherd.configuration"
"""The PostgreSQL parameter whose value names the configuration that it was read with."""
STREAM_SLOT = "pgherd_stream"
"""By which a primary keeps WAL for whoever receives it; Patroni makes it, on replicas too."""
LZ4_SINCE = 15
"""The first PostgreSQL that compresses WAL with LZ4."""


def size(manifest: DatabaseManifest) -> InstanceSize:
    """What the database's instances have."""
    least = manifest.memory_bytes // manifest.ocpus * manifest.least_ocpus
    return InstanceSize(manifest.ocpus, manifest.max_ocpus, manifest.memory_bytes, least)


def scope_prefix(service: str = "") -> str:
    """Where a database's keys lie in its environment's etcd; without a service, all of them."""
    return f"{NAMESPACE}/{service}/" if service else f"{NAMESPACE}/"


def dynamic_configuration(manifest: DatabaseManifest) -> dict[str, Any]:
    """What all instances of a database share; it lives in etcd."""
    return {
        "ttl": TTL,
        "loop_wait": LOOP_WAIT,
        "retry_timeout": RETRY_TIMEOUT,
        "maximum_lag_on_failover": 16 * 1024 * 1024,
        "failsafe_mode": True,
        "primary_start_timeout": 0,
        "synchronous_mode": "quorum" if manifest.is_synchronous else False,
        "synchronous_node_count": 1,
        # A PATCH takes away what is null.
        "slots": {STREAM_SLOT: {"type": "physical"}} if manifest.stream else None,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": cluster_parameters(size(manifest)),
        },
    }


def remembered(manifest: DatabaseManifest) -> dict[str, str]:
    """What pg_control remembers of a server, and the next one has to agree with."""
    shared = cluster_parameters(size(manifest))
    return {name: str(value) for name, value in shared.items()} | {"wal_log_hints": "on"}


def configuration(
    layout: Layout,
    environment: EnvironmentManifest,
    manifest: DatabaseManifest,
    instance: InstanceManifest,
    operator: str,
) -> dict[str, Any]:
    """patroni.yml of one instance; `operator` is the login that the instance runs as."""
    id = manifest.id
    folder = layout.instance(id, instance.number)
    pki = folder / "pki"
    listen = f"{instance.address}:{manifest.postgresql_port}"
    rest = f"{instance.address}:{manifest.patroni_port}"
    control = {
        "cacert": str(pki / "control-authority.crt"),
        "cert": str(pki / "patroni.crt"),
        "key": str(pki / "patroni.key"),
    }
    return {
        "scope": manifest.service,
        "namespace": NAMESPACE,
        "name": manifest.instance_name(instance.number),
        "etcd3": {
            "hosts": [f"{environment.etcd_address}:{environment.etcd_port}"],
            "protocol": "https",
            **control,
        },
        "restapi": {
            "listen": rest,
            "connect_address": rest,
            "certfile": control["cert"],
            "keyfile": control["key"],
            "cafile": control["cacert"],
            "verify_client": "required",
        },
        "ctl": {
            "certfile": control["cert"],
            "keyfile": control["key"],
            "cacert": control["cacert"],
        },
        "bootstrap": {
            "dcs": {k: v for k, v in dynamic_configuration(manifest).items() if v is not None},
            "initdb": [
                {"encoding": "UTF8"},
                {"locale": "C.UTF-8"},
                {"auth-local": "peer"},
                {"auth-host": "reject"},
                "data-checksums",
                "no-instructions",
            ],
            "post_bootstrap": shlex.quote(str(folder / "bootstrap")),
        },
        "postgresql": {
            "listen": listen,
            "connect_address": listen,
            "data_dir": str(layout.data(id, instance.number)),
            "bin_dir": manifest.bin_directory,
            "bin_name": {
                "initdb": str(folder / "initdb"),
                "pg_basebackup": str(folder / "pg_basebackup"),
                "pg_rewind": str(folder / "pg_rewind"),
            },
            "pgpass": str(layout.kept_by(id, instance.number) / "pgpass"),
            "use_unix_socket": True,
            "use_unix_socket_repl": True,
            "authentication": {
                "superuser": {"username": "postgres"},
                "replication": _over_tls(pki, "replicator"),
                "rewind": _over_tls(pki, "rewind"),
            },
            "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            "pg_hba": postgres.hba(manifest),
            "pg_ident": postgres.ident(manifest, operator),
            "parameters": _marked(_parameters(layout, environment, manifest, instance)),
            # A primary that nobody fenced must not come back without asking etcd first.
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
        },
        "tags": {"availability_domain": instance.availability_domain},
    }


def scripts(layout: Layout, manifest: DatabaseManifest, number: int) -> dict[str, str]:
    """What Patroni runs in place of PostgreSQL's programs, and on a new cluster, by name."""
    return {
        "initdb": _initdb(layout, manifest),
        "pg_basebackup": _whole_afterwards(layout, manifest, number, "pg_basebackup"),
        "pg_rewind": _whole_afterwards(layout, manifest, number, "pg_rewind"),
        "bootstrap": _bootstrap(manifest, layout.instance(manifest.id, number)),
    }


def _initdb(layout: Layout, manifest: DatabaseManifest) -> str:
    """See `pgherd.engines.local.template`."""
    return f"""\
#!/bin/sh
exec {_quoted(sys.executable)} -IS {_quoted(template.__file__)} \\
    {_quoted(layout.templates)} {_quoted(manifest.bin_directory)}/initdb "$@"
"""


def _whole_afterwards(layout: Layout, manifest: DatabaseManifest, number: int, program: str) -> str:
    """A program after which the data is whole, and while it runs is not.

    pg_basebackup's own sync goes file by file; this one takes all at once.
    """
    kept = layout.kept_by(manifest.id, number)
    mark = _quoted(kept / whole.MARK)
    run = f"{_quoted(manifest.bin_directory)}/{program}"
    return f"""\
#!/bin/sh
case "$1" in --help | --version) exec {run} "$@" ;; esac
rm -f {mark}
sync {_quoted(kept)}
{run} "$@" &&
    sync --file-system {_quoted(layout.data(manifest.id, number))} &&
    : >{mark} &&
    exec sync {mark} {_quoted(kept)}
"""


def _bootstrap(manifest: DatabaseManifest, folder: Path) -> str:
    """It gets a connection string."""
    return f"""\
#!/bin/sh
exec {_quoted(manifest.bin_directory)}/psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \\
    --dbname "$1" --file {_quoted(folder / "bootstrap.sql")}
"""


def _quoted(path: str | Path) -> str:
    """A path, as a shell reads it."""
    return shlex.quote(str(path))


def render(configuration: dict[str, Any]) -> str:
    """The configuration as a file. JSON is YAML, and quicker to read and write."""
    return json.dumps(configuration, indent=1) + "\n"


def _over_tls(pki: Path, role: str) -> dict[str, str]:
    return {
        "username": role,
        "sslmode": "verify-full",
        "sslcert": str(pki / f"{role}.crt"),
        "sslkey": str(pki / f"{role}.key"),
        "sslrootcert": str(pki / "data-authority.crt"),
    }


def _marked(parameters: dict[str, Any]) -> dict[str, Any]:
    """With a parameter that tells which configuration a server has read."""
    content = json.dumps(parameters, sort_keys=True).encode()
    return {**parameters, MARK: hashlib.sha256(content).hexdigest()[:16]}


def _preloaded(manifest: DatabaseManifest) -> dict[str, Any]:
    """What only a restart can load. Statements cost nothing until somebody wants them counted."""
    if not manifest.can_count_statements:
        return {"shared_preload_libraries": manifest.library}
    return {
        "shared_preload_libraries": f"{manifest.library}, pg_stat_statements",
        "pg_stat_statements.track": "none",
        "compute_query_id": False,
    }


def _archived(
    layout: Layout,
    environment: EnvironmentManifest,
    manifest: DatabaseManifest,
    instance: InstanceManifest,
) -> dict[str, Any]:
    """Where its WAL goes. Where anything was written, a minute of it at most waits for more."""
    if not manifest.can_archive:
        return {}
    return {
        "archive_mode": "on",
        "archive_command": host.archive_command(layout, environment, manifest, instance),
        "archive_timeout": "60s" if manifest.archive else 0,
    }


def _parameters(
    layout: Layout,
    environment: EnvironmentManifest,
    manifest: DatabaseManifest,
    instance: InstanceManifest,
) -> dict[str, Any]:
    pki = layout.instance(manifest.id, instance.number) / "pki"
    return {
        **parameters(size(manifest)),
        **_preloaded(manifest),
        **_archived(layout, environment, manifest, instance),
        "pgherd.reported": ", ".join(library.settings(manifest.postgresql)),
        "unix_socket_directories": str(layout.socket_folder(manifest.id, instance.number)),
        "ssl": True,
        "ssl_cert_file": str(pki / "server.crt"),
        "ssl_key_file": str(pki / "server.key"),
        "ssl_ca_file": str(pki / "data-authority.crt"),
        "ssl_min_protocol_version": "TLSv1.2",
        "password_encryption": "scram-sha-256",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_checkpoints": False,
        "log_lock_waits": True,
        "log_autovacuum_min_duration": "10s",
        "log_min_duration_statement": "1s",
        "hot_standby_feedback": True,
        "recovery_init_sync_method": "syncfs",
        "wal_log_hints": True,
        "max_slot_wal_keep_size": slot_wal_keep_size(manifest.storage_bytes),
        "wal_compression": "lz4" if manifest.postgresql >= LZ4_SINCE else "on",
        # Who has not said who it is holds a place among max_connections.
        "authentication_timeout": "5s",
        # A query whose client is gone, as one that the pooler has given up, ends.
        "client_connection_check_interval": "10s",
        "tcp_keepalives_idle": 10,
        "tcp_keepalives_interval": 5,
        "tcp_keepalives_count": 3,
        "wal_retrieve_retry_interval": "50ms",
        # A receiver asks for a sign of life at half of it, idle or not. An end is told at once.
        "wal_receiver_timeout": "30s",
        "wal_sender_timeout": "30s",
        "track_io_timing": True,
        "jit": False,
    }
