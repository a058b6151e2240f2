"""etcd: how each environment's is found and started."""

from __future__ import annotations

import shutil

from pgherd.engines.local import identity, lowered
from pgherd.engines.local.forkserver import ANEW
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import EnvironmentManifest
from pgherd.errors import InputError


def program(searched: str = lowered.SEARCHED) -> str:
    """etcd's program; InputError where there is none."""
    path = shutil.which("etcd", path=searched)
    if path is None:
        raise InputError("etcd is not installed", "run `make setup`")
    return path


def url(manifest: EnvironmentManifest) -> str:
    """Where its clients reach it."""
    return f"https://{manifest.etcd_address}:{manifest.etcd_port}"


def arguments(layout: Layout, manifest: EnvironmentManifest) -> list[str]:
    """The command line of an environment's etcd: one member, client certificates required."""
    place = identity.etcd_place(layout, manifest.name)
    authority = place.folder / manifest.etcd_trust
    peer = f"https://{manifest.etcd_address}:{manifest.etcd_peer_port}"
    return [
        manifest.etcd_program,
        "--name=etcd",
        f"--data-dir={layout.etcd_data(manifest.name)}",
        f"--listen-client-urls={url(manifest)}",
        f"--advertise-client-urls={url(manifest)}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=etcd={peer}",
        # Another cluster each time that it is made anew: Patroni would take one that it knows, and
        # whose terms begin again, for one that has fallen behind, and refuse it for ever.
        f"--initial-cluster-token={ANEW}",
        "--client-cert-auth=true",
        f"--trusted-ca-file={authority}",
        f"--cert-file={place.certificate}",
        f"--key-file={place.key}",
        "--peer-client-cert-auth=true",
        f"--peer-trusted-ca-file={authority}",
        f"--peer-cert-file={place.certificate}",
        f"--peer-key-file={place.key}",
        # One member elects itself, after this time: nothing is gained by a longer one.
        "--heartbeat-interval=100",
        "--election-timeout=500",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        "--logger=zap",
        "--log-level=error",
    ]
