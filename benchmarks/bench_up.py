"""What the whole example fleet costs: time to bring it up, commands on it, memory, idle CPU.

The floor is the same number of plain PostgreSQL instances, made with initdb and pg_basebackup,
six databases at a time, without failover, TLS or poolers; before `up` and after it, since the
machine may get slower or faster meanwhile. Nothing is deleted before all times are taken: ext4
is slow to make files for five minutes after many were deleted (it spares their inodes).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measure import Measurement, Report, arguments, median, say
from plain import PlainFleet
from sandbox import CLONE, CONTROL_PLANE, KINDS, Sandbox, cpu_seconds, folder, memory, sandbox

from pgherd.engines.known import sections
from pgherd.fleet.desired import Fleet
from pgherd.fleet.load import load

EXAMPLE = CLONE / "examples/ecommerce/fleet.yaml"
MIB = 2**20
QUIET_SECONDS = 130
"""PostgreSQL's background writer comes to rest when it has looked at all buffers: in 2 minutes."""


def sizes(fleet: Fleet) -> list[int]:
    """How many instances each database has."""
    return [1 + database.replicas.min for database in fleet.databases]


def measure_floor(place: Path, wanted: Sequence[int], report: Report, idle: float = 0) -> float:
    """Make the plain fleet, check it, look at what it takes, and stop it. The seconds it took."""
    os.sync()
    fleet = PlainFleet.of(place, wanted)
    try:
        seconds = fleet.make()
        if (serving := fleet.serving()) != sum(wanted):
            raise RuntimeError(f"only {serving} of {sum(wanted)} plain instances serve")
        if idle:
            began, used = settle(fleet.pids(), idle)
            time.sleep(idle)
            share = 100 * (cpu_seconds(fleet.pids()) - used) / (time.monotonic() - began)
            say(f"floor, idle: {share:.1f} %")
            report.samples["floor_idle"] = [share]
        size = memory(fleet.pids()) / MIB
        stopped = fleet.stop()
        again = fleet.start()
        fleet.stop()
    finally:
        fleet.kill()
    say(f"floor: {seconds:.1f} s, {size:.0f} MiB; stopped {stopped:.1f} s, again {again:.1f} s")
    for name, value in (("make", seconds), ("mib", size), ("stop", stopped), ("start", again)):
        report.samples.setdefault(f"floor_{name}", []).append(value)
    return seconds


def measure_up(fleet: Sandbox, instances: int) -> float:
    """`pgherd up` from nothing, as a user runs it. The seconds it took."""
    os.sync()
    run = fleet.run("up")
    say(f"pgherd up: {run.seconds:.1f} s")
    if (serving := fleet.serving()) != instances:
        raise RuntimeError(f"only {serving} of {instances} instances serve after `pgherd up`")
    return run.seconds


def measure_commands(fleet: Sandbox, report: Report, repeat: int) -> None:
    """Commands on a fleet that is up already."""
    for name, command, target in (
        ("second up", ("up",), 0.5),
        ("status", ("status",), 0.35),
        ("status --json", ("status", "--json"), 0.35),
    ):
        samples = [fleet.run(*command).seconds for _ in range(repeat)]
        report.samples[name] = samples
        report.add(name, median(samples), "s", target=target, note=f"median of {repeat}")


def settle(pids: Sequence[int], seconds: float) -> tuple[float, float]:
    """Let processes come to rest: when that was, and the CPU seconds that they had used by then."""
    say(f"idle: {QUIET_SECONDS} s to settle, then {seconds:.0f} s")
    time.sleep(QUIET_SECONDS)
    return time.monotonic(), cpu_seconds(pids)


def measure_idle(fleet: Sandbox, report: Report, seconds: float) -> None:
    """Memory and CPU while nobody uses the fleet."""
    found = fleet.processes()
    began, used = settle(list(found), seconds)
    by_kind = {kind: cpu_seconds(_of(found, kind)) for kind in KINDS}
    time.sleep(seconds)
    later, took = fleet.processes(), time.monotonic() - began
    share = 100 * (cpu_seconds(list(later)) - used) / took
    shares = {k: 100 * (cpu_seconds(_of(later, k)) - by_kind[k]) / took for k in KINDS}
    sizes = {kind: memory(_of(later, kind)) / MIB for kind in KINDS}
    counts = Counter(later.values())
    report.samples |= {"processes": counts, "pss_mib": sizes, "idle_percent": shares}
    total, control = sum(sizes.values()), sum(sizes[kind] for kind in CONTROL_PLANE)
    floors = {name: mean(report.samples[f"floor_{name}"]) for name in ("mib", "idle")}
    report.add("memory, all", total, "MiB", floor=floors["mib"], target=2253, note="PSS")
    report.add("memory, control plane", control, "MiB", target=150, note="agent + fork server")
    for kind, size in sizes.items():
        if counts[kind]:
            report.add(f"memory, {kind}", size, "MiB", note=f"{counts[kind]} processes")
    report.add("idle CPU, all", share, "%", floor=floors["idle"], target=12, note="of one core")
    for kind, part in shares.items():
        if counts[kind]:
            report.add(f"idle CPU, {kind}", part, "%")


def _of(found: dict[int, str], wanted: str) -> list[int]:
    return [pid for pid, kind in found.items() if kind == wanted]


def measure_restart(fleet: Sandbox, report: Report, instances: int) -> None:
    """`down`, then `up` with the data that is there."""
    marker = "CREATE TABLE kept AS SELECT 42 AS answer"
    url = fleet.run("url", "production/auth").output.strip()
    _psql(url, marker)
    down = fleet.run("down").seconds
    fleet.expect_silence("down")
    os.sync()
    again = measure_up(fleet, instances)
    if _psql(url, "SELECT answer FROM kept") != "42":
        raise RuntimeError("what was written before `pgherd down` is not there any more")
    samples = report.samples
    report.add("down", down, "s", floor=median(samples["floor_stop"]))
    report.add("up again, data kept", again, "s", floor=median(samples["floor_start"]))


def _psql(url: str, statement: str) -> str:
    done = subprocess.run(
        ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", url, "-c", statement],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--file", type=Path, default=EXAMPLE, help="the fleet file")
    parser.add_argument("--repeat", type=int, default=5, help="runs of the quick commands")
    parser.add_argument("--idle", type=float, default=60, help="seconds to watch an idle fleet")
    parser.add_argument(
        "--settle",
        type=float,
        default=330,
        help="seconds to wait at first: ext4 is slow to make files after many were deleted",
    )
    options = parser.parse_args()
    counts = sizes(load(options.file, sections()))
    report = Report("up")
    say(f"{len(counts)} databases, {sum(counts)} instances")
    time.sleep(options.settle)
    with folder() as place, sandbox(options.file, options.logs, has_autopilot=True) as fleet:
        floors = [measure_floor(place / "before", counts, report, options.idle)]
        up = measure_up(fleet, sum(counts))
        measure_commands(fleet, report, options.repeat)
        measure_idle(fleet, report, options.idle)
        measure_restart(fleet, report, sum(counts))
        fleet.run("down")
        floors.append(measure_floor(place / "after", counts, report))
        first = Measurement(
            "up from nothing", up, "s", floor=mean(floors), target=1.3, target_is_ratio=True
        )
        report.measurements.insert(0, first)
        report.add("destroy", fleet.destroy().seconds, "s")
        fleet.expect_silence("destroy")
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
