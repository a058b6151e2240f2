"""The autopilot over databases on the local OCI: only its helper signs in, and they grow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pgherd.autopilot.place import AutopilotPlace, place_of
from pgherd.autopilot.questions import Status, ask
from pgherd.engines.oci.variables import CONFIG_VARIABLE
from pgherd.testing.oci.server import LocalOci

pytestmark = pytest.mark.local_oci

FLEET = """\
fleet: far
services: [auth]
environments:
  lab:
    engine: oci
    network: 10.0.0.0/16
    availability_domains: 1
    ocpus: 2..8
    storage: 32TB
    replicas: 0
    oci: {{region: us-ashburn-1, parent: {tenancy}, pooler: create}}
"""
DATABASE = "lab/auth"


@dataclass
class Far:
    """A fleet on the local OCI, with its autopilot."""

    cloud: LocalOci
    folder: Path

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pgherd", *arguments],
            cwd=self.folder,
            env={**os.environ, "PGHERD_STATE": str(self.folder / "state")},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def place(self) -> AutopilotPlace:
        return place_of(self.folder / "state/far.applied")

    @property
    def system(self) -> dict[str, Any]:
        (found,) = self.cloud.systems()
        return found

    def uses(self, cpu: float, memory: float = 30.0, hits: float = 99.0) -> None:
        """What OCI says from now on."""
        metrics = {
            "CpuUtilization": cpu,
            "MemoryUtilization": memory,
            "BufferCacheHitRatio": hits,
        }
        for name, value in metrics.items():
            self.cloud.set_metric(self.system["id"], name, value)

    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("events", DATABASE, "--json"))["events"]
        return found


@pytest.fixture
def far(cloud: LocalOci) -> Iterator[Far]:
    # The data plane's user has to come to its history, as it does below /var/lib.
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="e-"))
    folder.chmod(0o755)
    (folder / "fleet.yaml").write_text(FLEET.format(tenancy=cloud.config["tenancy"]))
    found = Far(cloud, folder)
    try:
        yield found
    finally:
        found.run("run", "--stop")
        shutil.rmtree(folder)


def eventually(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.5)


def test_a_database_on_oci_grows_when_its_cpu_is_used_up(far: Far) -> None:
    assert "another size ends connections" in far.run("plan")
    far.run("up")
    assert far.system["instanceOcpuCount"] == 2
    far.uses(99.0)
    eventually(lambda: far.system["instanceOcpuCount"] == 4, 240)
    far.uses(50.0, memory=97.0)  # most of it cache
    eventually(lambda: any(e["kind"] == "scale" for e in far.events()), 60)
    (event,) = (e for e in far.events() if e["kind"] == "scale")
    assert event["ocpus"] == {"from": 2, "to": 4}
    assert "cpu 99% of 2 OCPUs" in event["reason"]
    # Another look or two: what was measured before counts no more, and a cache is no need.
    time.sleep(130)
    assert far.system["instanceOcpuCount"] == 4
    assert [e["kind"] for e in far.events()].count("scale") == 1
    assert "autopilot runs" in far.run("status")
    assert far.run("why", DATABASE).startswith(f"{DATABASE}: 4 OCPUs of 2..8")

    # Whoever has the controller's rights can sign in nowhere.
    state = ask(far.place, Status())
    assert state
    assert state.controller
    told = Path(f"/proc/{state.controller}/environ").read_bytes()
    assert os.fsencode(os.environ[CONFIG_VARIABLE]) not in told
    assert far.place.variables.stat().st_mode & 0o777 == 0o600
    assert far.place.variables.stat().st_uid == os.geteuid()
