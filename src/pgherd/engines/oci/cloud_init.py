"""What makes a plain Ubuntu 26.04 instance a host of a pooler tier: its user data for cloud-init.

It holds no secret and nothing that changes in the tier's life: what PgBouncer leads to comes
from the instance's metadata, and the secrets from the vault. Nobody can log in to a host; what it
does is in its journal. A step that needs the network and fails is tried again by systemd.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from pgherd.engines.oci.pooler_archive import archive
from pgherd.engines.oci.pooler_host.files import INI
from pgherd.engines.oci.pooler_host.pgbouncer import PGBOUNCER

SDK = "2.189.0"
"""The version of the OCI SDK on a host."""
LARGEST = 32_000
"""Bytes of an instance's metadata at most: the user data in base64, and all else that is in it."""
PROGRAM = Path("/opt/pgherd/pooler_host.pyz")
SETTINGS = Path("/opt/pgherd/settings.json")
ENSURE_SDK = Path("/opt/pgherd/ensure-sdk")
VENV = Path("/opt/pgherd/venv")
STATE = Path("/var/lib/pgherd-pooler")
UNITS = Path("/etc/systemd/system")
PACKAGES = ("iptables", "pgbouncer", "postgresql-client", "python3-venv", "unattended-upgrades")


@dataclass(frozen=True, slots=True)
class Tier:
    """What all hosts of one environment's tier are told when they are made."""

    fleet: str
    environment: str
    region: str
    pooler_secret: str
    admin_secret: str
    listen_port: int = 6432
    admin_user: str = "pgherd"


class _Readable(yaml.SafeDumper):
    """Texts of several lines as such, so that a person can read what is installed."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _text)


def cloud_init(tier: Tier) -> str:
    """The whole cloud-config."""
    content = {
        "disable_root": True,
        "ssh_pwauth": False,
        "apt": {"conf": 'Acquire::Retries "10";\n'},
        "package_update": True,
        "packages": list(PACKAGES),
        "write_files": _files(tier),
        "runcmd": _commands(),
    }
    header = f"#cloud-config\n# A host of the pooler tier of {tier.fleet}, {tier.environment}.\n"
    return header + yaml.dump(content, Dumper=_Readable, sort_keys=False, width=1000)


def _files(tier: Tier) -> list[dict[str, Any]]:
    return [
        _file(SETTINGS, settings(tier)),
        _file(ENSURE_SDK, ensure_sdk(), "0755"),
        _file(UNITS / "pgherd-firewall.service", firewall_unit(tier)),
        _file(UNITS / "pgherd-pooler.service", host_unit()),
        _file(UNITS / "pgherd-pgbouncer.path", path_unit()),
        _file(UNITS / "pgbouncer.service.d/pgherd.conf", pgbouncer_unit()),
        _file(Path("/etc/apt/apt.conf.d/52pgherd"), upgrades()),
        # Packed, since what an instance's metadata may hold is little.
        _file(PROGRAM, base64.b64encode(gzip.compress(archive(), mtime=0)).decode())
        | {"encoding": "gz+b64"},
    ]


def _file(path: Path, content: str, mode: str = "0644") -> dict[str, Any]:
    return {"path": str(path), "permissions": mode, "content": content}


def _commands() -> list[list[str]]:
    return [
        ["systemctl", "daemon-reload"],
        ["systemctl", "disable", "--now", "ssh.socket", "ssh.service"],
        ["systemctl", "enable", "--now", "pgherd-firewall.service", "pgherd-pgbouncer.path"],
        ["systemctl", "enable", "pgbouncer.service", "pgherd-pooler.service"],
        ["systemctl", "start", "--no-block", "pgherd-pooler.service"],
    ]


def settings(tier: Tier) -> str:
    """What the host's program reads when it starts (`pooler_host.settings`)."""
    names = ("region", "pooler_secret", "admin_secret", "admin_user", "listen_port")
    told = asdict(tier)
    content = {name: told[name] for name in names} | {"folder": str(STATE)}
    return json.dumps(content, indent=1) + "\n"


def ensure_sdk() -> str:
    """The script that brings in the OCI SDK, or finds it there."""
    return f"""\
#!/bin/sh
set -eu
umask 022
known='import importlib.metadata as m; assert m.version("oci") == "{SDK}"'
{VENV}/bin/python -c "$known" 2>/dev/null && exit 0
rm -rf {VENV}
python3 -m venv {VENV}
{VENV}/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check oci=={SDK}
"""


def firewall_unit(tier: Tier) -> str:
    """OCI's images of Ubuntu refuse everything but SSH: let clients in, at each boot."""
    rule = f"INPUT -p tcp --dport {tier.listen_port} -j ACCEPT"
    return f"""\
[Unit]
Description=Door of the pooler in this host's packet filter
After=netfilter-persistent.service
Before=pgbouncer.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'iptables -w -C {rule} 2>/dev/null || iptables -w -I {rule}'

[Install]
WantedBy=multi-user.target
"""


def host_unit() -> str:
    """The host's program, as the user that PgBouncer runs as."""
    return f"""\
[Unit]
Description=Keeps PgBouncer and the roles of its databases as wanted
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
User=postgres
StateDirectory={STATE.name}
StateDirectoryMode=0700
UMask=0077
ExecStartPre=+{ENSURE_SDK}
ExecStart={VENV}/bin/python {PROGRAM} {SETTINGS}
TimeoutStartSec=20min
Restart=always
RestartSec=10
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=strict

[Install]
WantedBy=multi-user.target
"""


def path_unit() -> str:
    """PgBouncer starts as soon as there is something to start it with."""
    return f"""\
[Unit]
Description=Starts PgBouncer once it is configured

[Path]
PathExists={STATE}/{INI}
Unit=pgbouncer.service

[Install]
WantedBy=paths.target
"""


def pgbouncer_unit() -> str:
    """Additions to the distribution's unit: our configuration, and back again whatever happens.

    A file for each client and for each connection to a server.
    """
    ini = STATE / INI
    return f"""\
[Unit]
ConditionPathExists={ini}
StartLimitIntervalSec=0

[Service]
ExecStart=
ExecStart={PGBOUNCER} {ini}
Restart=always
RestartSec=1
LimitNOFILE=65536
"""


def upgrades() -> str:
    """Security updates come by themselves; a reboot is a person's decision."""
    return """\
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Automatic-Reboot "false";
"""
