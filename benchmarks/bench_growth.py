"""What a fleet of three times the size costs: 90 databases (180 instances) against 30 (60).

Both are brought up from nothing, one after the other, the small one first; each is asked for its
status, left alone for a while, and loses the primary of one database, whose clients write. Nothing
is deleted in between. The floor of each number is that of the small fleet.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_faults import DATABASE, Fault, Subject, prepare, suffer
from measure import Measurement, Report, arguments, median, say
from sandbox import Sandbox, cpu_seconds, memory, sandbox
from writers import probing, writing

from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout

FLEET = """\
fleet: {name}
services: [{services}]
environments:
  production:
    engine: local
    local: {core_per_ocpu: 64}
    network: 10.0.0.0/16
    availability_domains: 3
    ocpus: 2..128
    storage: 2TB
    replicas: 2..5
    durability: synchronous
  staging:
    engine: local
    local: {core_per_ocpu: 64}
    network: 10.1.0.0/16
    availability_domains: 3
    ocpus: 2..16
    storage: 1TB
    replicas: 1..2
  development:
    engine: local
    local: {core_per_ocpu: 64}
    network: 10.2.0.0/16
    availability_domains: 1
    ocpus: 2..4
    storage: 1TB
    replicas: 0
"""
MIB = 2**20
QUIET_SECONDS = 20
WRITERS = 4


def fleet_file(name: str, services: int) -> str:
    """Of that many services, each with a database in three environments."""
    names = [DATABASE.service, *(f"service{number}" for number in range(2, services + 1))]
    return FLEET.format(name=name, services=", ".join(names))


def measure(fleet: Sandbox, repeat: int, idle: float, faults: int) -> dict[str, float]:
    """One fleet: seconds of its commands, what it uses while idle, how long a failover takes."""
    os.sync()
    found = {"up from nothing": fleet.run("up").seconds}
    say(f"pgherd up: {found['up from nothing']:.1f} s")
    wanted = sum(1 + database.replicas.min for database in fleet.wanted.databases)
    if (serving := fleet.serving()) != wanted:
        raise RuntimeError(f"only {serving} of {wanted} instances serve after `pgherd up`")
    for name, command in (("second up", "up"), ("status", "status")):
        found[name] = median([fleet.run(command).seconds for _ in range(repeat)])
    say(f"idle: {QUIET_SECONDS} s to settle, then {idle:.0f} s")
    time.sleep(QUIET_SECONDS)
    used, began = cpu_seconds(list(fleet.processes())), time.monotonic()
    time.sleep(idle)
    later, took = list(fleet.processes()), time.monotonic() - began
    found["idle CPU"] = 100 * (cpu_seconds(later) - used) / took
    found["memory"] = memory(later) / MIB
    outages = [fault.outage for fault in asyncio.run(fail_over(fleet, faults))]
    found["failover, median"] = median(outages)
    found["failover, longest"] = max(outages)
    return found


async def fail_over(fleet: Sandbox, count: int) -> list[Fault]:
    """Kill the primary of one database again and again, while clients write."""
    layout = Layout(fleet.root)
    subject = Subject(layout, LocalEngine(fleet.wanted.name, layout))
    parameters = await prepare(subject)
    found = []
    async with (
        writing(parameters, WRITERS) as subject.written,
        probing(subject.servers()) as subject.probed,
    ):
        for number in range(1, count + 1):
            fault = await suffer(subject, "postmaster")
            say(f"failover {number}/{count}: {fault.outage:.2f} s, lost {fault.lost}")
            if fault.lost or fault.split or fault.durable_after is None:
                raise RuntimeError(f"a failover went wrong: {fault}")
            found.append(fault)
    return found


UNITS = {"idle CPU": "% of one core", "memory": "MiB"}
RATIOS = {"up from nothing": 1.8, "idle CPU": 2.5}
LIMITS = {"status": 0.5}


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--repeat", type=int, default=5, help="runs of the quick commands")
    parser.add_argument("--idle", type=float, default=60, help="seconds to watch an idle fleet")
    parser.add_argument("--faults", type=int, default=10, help="failovers of each fleet")
    parser.add_argument("--services", type=int, default=10, help="of the small fleet")
    options = parser.parse_args()
    report = Report("growth")
    small_file = fleet_file("small", options.services)
    large_file = fleet_file("large", 3 * options.services)
    with sandbox(small_file, options.logs) as small, sandbox(large_file, options.logs) as large:
        before = measure(small, options.repeat, options.idle, options.faults)
        small.run("down")
        after = measure(large, options.repeat, options.idle, options.faults)
        large.run("down")
    report.samples = {"small": before, "large": after}
    for name, value in after.items():
        report.measurements.append(
            Measurement(
                name,
                value,
                UNITS.get(name, "s"),
                floor=before[name],
                target=RATIOS.get(name) or LIMITS.get(name),
                target_is_ratio=name in RATIOS,
            )
        )
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
