"""The whole example fleet on the local OCI, which has no delays of its own.

What is measured is pgherd and the SDK alone: how long commands take, how many calls they make,
how many databases are made at once. The floor of a command is a program that does nothing but
load the same parts of the SDK and make as many calls, one after the other, with one client.

    python benchmarks/bench_oci.py
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measure import Report, arguments, median

from pgherd.engines.known import sections
from pgherd.engines.oci.engine import OciEngine
from pgherd.fleet.load import load
from pgherd.testing.oci.server import Call, LocalOci

CLONE = Path(__file__).resolve().parent.parent
SLOW = 1.0
"""Seconds that each change of the slow local OCI takes."""
EXAMPLE = CLONE / "examples/ecommerce/oci.yaml"
FLOOR = """
import sys, oci
from oci import core, identity, key_management, limits, psql, secrets, vault
config = oci.config.from_file()
client = psql.PostgresqlClient(
    config,
    service_endpoint=sys.argv[1],
    retry_strategy=oci.retry.NoneRetryStrategy(),
    circuit_breaker_strategy=oci.circuit_breaker.NoCircuitBreakerStrategy(),
)
for _ in range(int(sys.argv[2])):
    client.list_db_systems(compartment_id=config["tenancy"])
"""


def surroundings(cloud: LocalOci, place: Path) -> dict[str, str]:
    """The variables that point pgherd to a local OCI."""
    return {
        **cloud.variables(place),
        "PGHERD_STATE": str(place / "state"),
        "PGHERD_FILE": str(EXAMPLE),
        "NO_PROXY": "127.0.0.1",
    }


def command(*arguments: str) -> float:
    """Run pgherd; the seconds it took."""
    began = time.monotonic()
    subprocess.run(
        [CLONE / "bin/pgherd", *arguments], check=True, capture_output=True, text=True, timeout=600
    )
    return time.monotonic() - began


def floor(cloud: LocalOci, calls: int) -> float:
    """As many calls with the SDK alone; the seconds it took."""
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", FLOOR, cloud.endpoint("psql"), str(calls)], check=True, timeout=600
    )
    return time.monotonic() - began


def measure_command(
    cloud: LocalOci, report: Report, name: str, verb: str, repeat: int, target: float | None
) -> list[Call]:
    """A command that changes nothing, several times; the calls of the last."""
    samples, floors = [], []
    for _ in range(repeat):
        before = len(cloud.calls)
        samples.append(command(verb))
        calls = cloud.calls[before:]
        floors.append(floor(cloud, len(calls)))
    report.samples[name] = samples
    note = f"median of {repeat}, {len(calls)} calls"
    report.add(name, median(samples), "s", floor=median(floors), target=target, note=note)
    return calls


def measure_up(cloud: LocalOci, report: Report) -> None:
    """From nothing."""
    before = len(cloud.calls)
    seconds = command("up")
    calls = cloud.calls[before:]
    report.add("up from nothing", seconds, "s", floor=floor(cloud, len(calls)))
    report.add("calls of it", len(calls))
    systems = cloud.systems()
    if len(systems) != 30 or {s["lifecycleState"] for s in systems} != {"ACTIVE"}:
        raise RuntimeError(f"{len(systems)} systems are there after `pgherd up`")


def measure_bound(place: Path, report: Report) -> None:
    """How many are made at once where each takes its time."""
    with LocalOci(delay=SLOW) as cloud:
        os.environ |= surroundings(cloud, place)
        seconds = command("up")
        report.add("made at once", cloud.peak("create_db_system"), target=4)
        report.add(f"up where each change takes {SLOW} s", seconds, "s")


def count_calls(cloud: LocalOci, report: Report, calls: list[Call]) -> None:
    """Lists for each compartment, and gets for each database, of a second up."""
    counts = Counter(c.operation for c in calls)
    report.samples["calls of a second up"] = dict(counts)
    compartments = 3
    per_compartment = {
        name: count / compartments
        for name, count in counts.items()
        if name in ("list_db_systems", "list_instances")
    }
    shared = {
        name: count
        for name, count in counts.items()
        if name.startswith("list_") and name not in per_compartment
    }
    most = max(per_compartment.values())
    report.add("second up: lists per kind and compartment", most, target=1)
    report.add("second up: lists per kind and region", max(shared.values()), target=1)
    gets = counts["get_db_system"] / len(cloud.systems())
    report.add("second up: gets per database", gets, target=1)
    known = {*per_compartment, *shared, "get_db_system", "get_resource_availability"}
    if extra := counts.keys() - known:
        raise RuntimeError(f"a second up also calls {', '.join(sorted(extra))}")


def measure_usage(cloud: LocalOci, report: Report, state: Path) -> None:
    """What the autopilot asks each minute."""
    fleet = load(EXAMPLE, sections())
    for system in cloud.systems():
        cloud.set_metric(system["id"], "CpuUtilization", 42.0)
    engine = OciEngine(fleet.name, fleet.environments, state)
    before = len(cloud.calls)
    began = time.monotonic()
    usage = asyncio.run(engine.meter.usage(timedelta(minutes=5)))
    seconds = time.monotonic() - began
    calls = [c for c in cloud.calls[before:] if c.service == "monitoring"]
    if len(usage) != 30 or not all(usage.values()):
        raise RuntimeError(f"{len(usage)} databases have been measured")
    report.add("use of all databases", seconds, "s")
    report.add("Monitoring calls for it", len(calls), target=10, note="once a minute")


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--repeat", type=int, default=5, help="runs of the quick commands")
    options = parser.parse_args()
    report = Report("oci")
    with tempfile.TemporaryDirectory(prefix="b-") as folder, LocalOci() as cloud:
        place = Path(folder)
        os.environ |= surroundings(cloud, place)
        measure_command(cloud, report, "plan of everything", "plan", options.repeat, 2.0)
        measure_up(cloud, report)
        calls = measure_command(cloud, report, "second up", "up", options.repeat, None)
        count_calls(cloud, report, calls)
        measure_command(cloud, report, "plan of nothing", "plan", options.repeat, 2.0)
        measure_command(cloud, report, "status", "status", options.repeat, None)
        measure_usage(cloud, report, place / "state")
        (place / "slow").mkdir()
        measure_bound(place / "slow", report)
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
