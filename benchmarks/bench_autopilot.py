"""How quickly the autopilot gives a busy database more CPU, and what that is worth.

Two databases of the scale model, a tenth of a core for an OCPU: `cart` may have 2 to 8 OCPUs and
is scaled, `order` has 8 from the start. The load is pgbench's, select only, through the pooler. A
step is timed from when its database's quota is used up to when the quota has grown, as the kernel
says. Nothing is stopped in between.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measure import Report, arguments, median, say
from sandbox import Sandbox, sandbox

from pgherd.engines.local import control_groups, control_trees
from pgherd.engines.local.control_groups import ControlGroups
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import read_database
from pgherd.fleet.desired import DatabaseId

FLEET = """\
fleet: autopilot
services: [cart, order]
environments:
  production:
    engine: local
    network: 10.0.0.0/16
    availability_domains: 2
    ocpus: 2..8
    storage: 100GB
    replicas: 1
    durability: synchronous
    local: {core_per_ocpu: 0.1}
overrides:
  production/order: {ocpus: 8}
"""
CART, ORDER = DatabaseId("production", "cart"), DatabaseId("production", "order")
PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"
CLIENTS = 8
SCALE = 5
CALM_SECONDS = 15.0
LOAD_SECONDS = 20
QUOTA_OF_OCPU = 10_000


class Subject:
    """The fleet, and what is looked at and changed past its commands."""

    def __init__(self, fleet: Sandbox, groups: ControlGroups) -> None:
        self.fleet = fleet
        self.layout = Layout(fleet.root)
        self.groups = groups

    def ocpus(self, id: DatabaseId) -> int:
        """By the quota of its first instance."""
        group = self.groups._group(self.groups._trees.cpu, id, 1)
        if self.groups._trees.is_v2:
            return int((group / "cpu.max").read_text().split()[0]) // QUOTA_OF_OCPU
        return int((group / "cpu.cfs_quota_us").read_text()) // QUOTA_OF_OCPU

    def throttled(self, id: DatabaseId) -> float:
        """For how long its processes were kept waiting by their quota, all instances together."""
        used = [self.groups.used(id, number) for number in (1, 2)]
        return sum(one.throttled_seconds or 0.0 for one in used)

    def set_back(self, id: DatabaseId, ocpus: int) -> None:
        """As a person would who knows better: past the autopilot."""

        async def change() -> None:
            engine = LocalEngine(self.fleet.wanted.name, self.layout)
            await engine.ensure_ocpus(self.fleet.wanted.database(id), ocpus)

        asyncio.run(change())

    def fill(self, id: DatabaseId) -> None:
        """pgbench's tables."""
        url = self.fleet.run("url", str(id)).output.strip()
        command = [PGBENCH, "-i", "-q", "-s", str(SCALE), url]
        subprocess.run(command, check=True, capture_output=True, timeout=300)

    def load(self, id: DatabaseId, seconds: int, *options: str) -> subprocess.Popen[str]:
        """pgbench through the pooler."""
        url = self.fleet.run("url", str(id), "--transaction").output.strip()
        return subprocess.Popen(
            [PGBENCH, "-n", "-c", str(CLIENTS), "-T", str(seconds), *options, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def throughput(self, id: DatabaseId, seconds: int) -> float:
        """Transactions a second; what failed raises."""
        process = self.load(id, seconds, "-S")
        output, _ = process.communicate(timeout=seconds + 60)
        if process.returncode or "number of failed transactions: 0 " not in output:
            raise RuntimeError(output[-2000:])
        (line,) = (x for x in output.splitlines() if x.startswith("tps = "))
        return float(line.split()[2])

    def kill_primary(self, id: DatabaseId) -> None:
        """Its postmaster, as a crash would."""
        status = json.loads(self.fleet.run("status", str(id), "--json").output)
        (name,) = (i["name"] for i in status["databases"][0]["instances"] if i["role"] == "primary")
        manifest = read_database(self.layout, id)
        assert manifest
        instance = manifest.numbered(name)
        assert instance
        pid = (self.layout.data(id, instance.number) / "postmaster.pid").read_text().split()[0]
        os.kill(int(pid), signal.SIGKILL)


def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """When it came true, in seconds since 1970."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.01)
    return time.time()


def step(subject: Subject) -> tuple[float, float]:
    """From saturation to more CPU, and from the decision to it, in seconds."""
    subject.set_back(CART, 2)
    time.sleep(CALM_SECONDS)
    before = subject.throttled(CART)
    load = subject.load(CART, LOAD_SECONDS, "-S")
    began = until(lambda: subject.throttled(CART) > before + 0.05, 10, "the load has begun")
    grown = until(lambda: subject.ocpus(CART) > 2, LOAD_SECONDS, "more CPU")
    output, _ = load.communicate(timeout=60)
    if load.returncode or "number of failed transactions: 0 " not in output:
        raise RuntimeError(output[-2000:])
    events = json.loads(subject.fleet.run("events", str(CART), "--json").output)["events"]
    decided = [datetime.fromisoformat(e["at"]).timestamp() for e in events if e["kind"] == "scale"]
    return grown - began, grown - max(at for at in decided if at <= grown)


def ladder(subject: Subject, seconds: int) -> list[tuple[float, int, float]]:
    """2 → 4 → 8 under one load: each second its time, its OCPUs, and transactions a second."""
    subject.set_back(CART, 2)
    time.sleep(CALM_SECONDS)
    load = subject.load(CART, seconds, "-S", "-P", "1")
    assert load.stdout
    found = []
    for line in load.stdout:
        if line.startswith("progress: "):
            words = line.split()
            found.append((float(words[1]), subject.ocpus(CART), float(words[3])))
    load.wait(timeout=60)
    return found


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--steps", type=int, default=10, help="steps of load")
    options = parser.parse_args()
    report = Report("autopilot")
    with sandbox(FLEET, options.logs, has_autopilot=True) as fleet:
        fleet.run("up")
        groups = control_groups.found(fleet.root)
        if groups is None or control_trees.lack(fleet.root):
            raise SystemExit(f"no quota can be set here: {control_trees.lack(fleet.root)}")
        subject = Subject(fleet, groups)
        for id in (CART, ORDER):
            subject.fill(id)
        steps = []
        for number in range(options.steps):
            steps.append(step(subject))
            say(f"{number + 1}/{options.steps}: {steps[-1][0]:.2f} s, {steps[-1][1]:.3f} s of it")
        reactions, applied = [sorted(part) for part in zip(*steps, strict=True)]
        last = int(0.95 * (len(reactions) - 1) + 0.5)
        report.samples["reaction"], report.samples["applied"] = reactions, applied
        report.add("saturated, until more CPU: median", median(reactions), "s")
        report.add("saturated, until more CPU: 95 of 100", reactions[last], "s", target=8.0)
        report.add("decided, until more CPU: longest", max(applied), "s", target=0.2)
        climbed = ladder(subject, 60)
        report.samples["ladder"] = climbed
        sizes = list(dict.fromkeys(ocpus for _, ocpus, _ in climbed))
        say(f"one load: {' → '.join(map(str, sizes))} OCPUs")
        grown, fixed = [], []
        for _ in range(3):
            grown.append(subject.throughput(CART, 10))
            fixed.append(subject.throughput(ORDER, 10))
        report.add(
            "throughput, grown to 8 OCPUs",
            median(grown),
            "/s",
            floor=median(fixed),
            target=0.9,
            target_is_ratio=True,
            at_least=True,
            note="floor: 8 from the start",
        )
        fleet.run("pause", str(CART), "--reason", "its size is set by hand")
        subject.set_back(CART, 4)
        before = subject.throughput(CART, 10)
        subject.set_back(CART, 2)
        subject.set_back(CART, 4)
        time.sleep(1)
        subject.kill_primary(CART)
        time.sleep(5)
        report.add(
            "throughput after a failover 1 s after a growth",
            subject.throughput(CART, 10),
            "/s",
            floor=before,
            target=0.9,
            target_is_ratio=True,
            at_least=True,
        )
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
