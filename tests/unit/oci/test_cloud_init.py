"""The user data of a pooler's host: whole, small enough, and without any secret.

After a change that is meant: `PGHERD_GOLDEN=write pytest tests/unit/oci/test_cloud_init.py`,
then read the difference.
"""

import base64
import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgherd.engines.oci.cloud_init import LARGEST, PROGRAM, SDK, SETTINGS, STATE, Tier, cloud_init
from pgherd.engines.oci.pooler_archive import archive
from pgherd.engines.oci.pooler_host.settings import Settings
from pgherd.programs.pgbouncer import CLIENTS

GOLDEN = Path(__file__).parents[2] / "golden/oci/cloud-init.yaml"
OCID = "ocid1.vaultsecret.oc1.eu-frankfurt-1." + 60 * "a"
TIER = Tier("ecommerce", "production", "eu-frankfurt-1", OCID, OCID.replace("aa", "bb"))


@cache
def content(tier: Tier = TIER) -> dict[str, Any]:
    """It is only looked at."""
    found: dict[str, Any] = yaml.safe_load(cloud_init(tier))
    return found


def written(tier: Tier = TIER) -> dict[str, dict[str, Any]]:
    return {file["path"]: file for file in content(tier)["write_files"]}


def test_it_is_as_it_was_read() -> None:
    text = cloud_init(TIER)
    packed = written()[str(PROGRAM)]["content"]
    text = text.replace(packed, "PROGRAM")
    if os.environ.get("PGHERD_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "it has changed: see this file's docstring"


def test_cloud_init_takes_it_for_its_own() -> None:
    assert cloud_init(TIER).startswith("#cloud-config\n")


def test_what_a_host_is_told_is_what_its_program_reads() -> None:
    tier = replace(TIER, listen_port=7432, admin_user="operator")
    settings = Settings(**json.loads(written(tier)[str(SETTINGS)]["content"]))
    assert settings == Settings(
        region=TIER.region,
        pooler_secret=TIER.pooler_secret,
        admin_secret=TIER.admin_secret,
        admin_user="operator",
        listen_port=7432,
        folder=str(STATE),
    )


def test_the_program_arrives_whole() -> None:
    file = written()[str(PROGRAM)]
    assert file["encoding"] == "gz+b64"
    assert gzip.decompress(base64.b64decode(file["content"])) == archive()


@pytest.mark.parametrize(("pack", "room"), [(bytes, 8_000), (gzip.compress, 15_500)])
def test_it_leaves_room_for_the_metadata(pack: Callable[[bytes], bytes], room: int) -> None:
    """Of the 32,000 bytes that an instance's metadata may have, ten databases need 3,000.

    What pgherd launches itself is packed, since each may need an authority's certificate too.
    """
    size = len(base64.b64encode(pack(cloud_init(TIER).encode())))
    assert size < LARGEST - room


def test_pgbouncer_may_open_a_file_for_each_client_and_server_connection() -> None:
    unit = written()["/etc/systemd/system/pgbouncer.service.d/pgherd.conf"]["content"]
    (files,) = [line.partition("=")[2] for line in unit.splitlines() if "NOFILE" in line]
    assert int(files) > 2 * CLIENTS


def test_the_clients_port_is_opened() -> None:
    unit = written(replace(TIER, listen_port=7432))["/etc/systemd/system/pgherd-firewall.service"]
    assert unit["content"].count("--dport 7432 -j ACCEPT") == 2


def test_every_unit_that_is_enabled_is_there() -> None:
    names = {Path(path).name for path in written()} | {"pgbouncer.service"}
    commands = [c for c in content()["runcmd"] if c[1] in ("enable", "start")]
    enabled = {word for command in commands for word in command[2:] if not word.startswith("-")}
    assert enabled
    assert enabled <= names


def test_nobody_can_log_in() -> None:
    found = content()
    assert found["ssh_pwauth"] is False
    assert ["systemctl", "disable", "--now", "ssh.socket", "ssh.service"] in found["runcmd"]
    assert "ssh_authorized_keys" not in cloud_init(TIER)


def test_it_installs_the_version_that_it_looks_for() -> None:
    script = written()["/opt/pgherd/ensure-sdk"]["content"]
    assert f'm.version("oci") == "{SDK}"' in script
    assert script.rstrip().endswith(f" oci=={SDK}")


@pytest.mark.parametrize("name", ["/opt/pgherd/ensure-sdk"])
def test_scripts_are_sound(name: str) -> None:
    script = written()[name]["content"]
    done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_yaml_would_take_for_something_else_stays_a_text() -> None:
    tier = replace(TIER, admin_user="on: [", region="no")
    settings = json.loads(written(tier)[str(SETTINGS)]["content"])
    assert (settings["admin_user"], settings["region"]) == ("on: [", "no")


@pytest.mark.integration
@pytest.mark.skipif(not shutil.which("cloud-init"), reason="cloud-init is not installed")
def test_cloud_init_itself_finds_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "user-data"
    path.write_text(cloud_init(TIER))
    command = ["cloud-init", "schema", "--config-file", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Valid" in done.stdout + done.stderr
