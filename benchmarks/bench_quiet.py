"""Does anything happen that need not? Stalls and load for half an hour, and nobody should stir.

One synchronous database with two replicas, its autopilot and writers. Every few seconds something
stands still for less than the time after which it counts as dead: the agent, the pooler, servers,
Patroni, etcd, the autopilot, the whole machine; or others use up the CPU or the disk. What is
counted is what pgherd did about it, which should be nothing, and by how much its own processes
have grown.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_faults import DATABASE, Subject, prepare, until_well
from bench_storm import Things
from measure import Report, arguments, say
from sandbox import FailedError, Sandbox, memory, sandbox, started_at, working_in
from writers import Written, longest_gap, writing

from pgherd.engines.local import postgres
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout

FLEET = """\
fleet: quiet
services: [order]
environments:
  production:
    engine: local
    local: {core_per_ocpu: 64}
    network: 10.0.0.0/16
    availability_domains: 3
    ocpus: 2
    storage: 100GB
    replicas: 2
    durability: synchronous
    backup: {retention: 30d}
"""
LONGEST = {
    "agent": 2.0,
    "keeper": 2.0,
    "fork server": 2.0,
    "autopilot": 2.0,
    "pooler": 2.0,
    "postmaster": 2.0,
    "instance": 2.0,
    "replica": 2.0,
    "patroni": 2.0,
    "etcd": 2.0,
    "machine": 8.0,
    "cpu": 8.0,
    "disk": 8.0,
}
"""What stands still, or is used up, and for how many seconds at most. Who is stopped for three
looks, a second apart, counts as frozen: pgherd ends it, and should."""
BUSY = {
    "cpu": "while True: pass",
    "disk": """
import os, tempfile
with tempfile.TemporaryFile(buffering=0) as file:
    while True:
        file.seek(0)
        file.write(bytes(32 * 2**20))
        os.fsync(file)
""",
}
"""Programs that use something up."""
WRITERS = 4
PAUSE_SECONDS = 0.02
MIB = 2**20
OURS = ("agent", "fork server", "keeper", "autopilot")
SETTLED = 0.2
"""After so much of the time all is loaded that is loaded once."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of pgherd's own processes of one kind, or all: bytes, open descriptors, processes."""

    memory: float
    descriptors: float
    processes: float


class Quiet:
    """The fleet and what is done to it."""

    def __init__(self, fleet: Sandbox, subject: Subject) -> None:
        self.fleet = fleet
        self.subject = subject
        self.things = Things(subject, fleet)

    async def pids(self, thing: str) -> list[int]:
        """What stands still, then."""
        layout = self.subject.layout
        match thing:
            case "machine":
                return list(self.fleet.processes())
            case "autopilot":
                found = self.fleet.processes().items()
                return [pid for pid, kind in found if kind == "autopilot"]
            case "replica":
                primary = (await self.subject.primary_instance()).number
                instances = self.subject.manifest.instances
                other = next(i.number for i in instances if i.number != primary)
                return working_in(layout.data(DATABASE, other))
            case "instance":
                number = (await self.subject.primary_instance()).number
                return working_in(layout.data(DATABASE, number))
            case _:
                return await self.things.pids(thing)

    async def disturb(self, thing: str, seconds: float) -> None:
        """Let it stand still for so long."""
        if thing in BUSY:
            with running(BUSY[thing], 2 * (os.cpu_count() or 1)):
                await asyncio.sleep(seconds)
            return
        pids = await self.pids(thing)
        try:
            _signal(pids, signal.SIGSTOP)
            await asyncio.sleep(seconds)
        finally:
            _signal(pids, signal.SIGCONT)

    def lasting(self) -> dict[str, tuple[int, int]]:
        """Servers and what looks after them now, each by its id and its start."""
        layout, found = self.subject.layout, {}
        for instance in self.subject.manifest.instances:
            if pid := postgres.postmaster_pid(layout.data(DATABASE, instance.number)):
                found[f"PostgreSQL {instance.number}"] = (pid, started_at(pid))
        for pid, kind in self.fleet.processes().items():
            if kind not in ("postgres", "other"):
                found[f"{kind} {pid}"] = (pid, started_at(pid))
        return found

    def size(self, kinds: Sequence[str]) -> Size:
        """Of those of these kinds."""
        pids = [pid for pid, kind in self.fleet.processes().items() if kind in kinds]
        descriptors = 0
        for pid in pids:
            with contextlib.suppress(OSError):
                descriptors += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        return Size(memory(pids), descriptors, len(pids))

    async def sizes(self, samples: int = 15) -> Mapping[str, Size]:
        """The smallest of several looks: some processes come for a moment and go again."""
        found: dict[str, list[Size]] = {kind: [] for kind in OURS}
        for _ in range(samples):
            for kind in OURS:
                found[kind].append(self.size([kind]))
            await asyncio.sleep(1.0)
        return {
            kind: Size(
                min(s.memory for s in sizes),
                min(s.descriptors for s in sizes),
                min(s.processes for s in sizes),
            )
            for kind, sizes in found.items()
        }

    async def events(self) -> Counter[str]:
        """What the history tells of."""
        run = await asyncio.to_thread(self.fleet.run, "events", "--json")
        return Counter(event["kind"] for event in json.loads(run.output)["events"])


@contextmanager
def running(program: str, count: int) -> Iterator[None]:
    """So many processes of it."""
    started = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(count)]
    try:
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def measure(quiet: Quiet, report: Report, minutes: float, chance: random.Random) -> None:
    """Disturb it for so long, and report."""
    async with writing(await quiet.subject.service(), WRITERS, PAUSE_SECONDS) as written:
        quiet.subject.written = written
        before = quiet.lasting()
        await asyncio.sleep(10.0)  # some work only for a moment
        before = {n: process for n, process in quiet.lasting().items() if n in before}
        timeline, known = _timeline(written), await quiet.events()
        began = time.monotonic()
        settled: Mapping[str, Size] | None = None
        done: Counter[str] = Counter()
        while (passed := time.monotonic() - began) < 60 * minutes:
            if settled is None and passed > 60 * minutes * SETTLED:
                settled = await quiet.sizes()
            thing = chance.choice(list(LONGEST))
            seconds = chance.uniform(0.2, 1.0) * LONGEST[thing]
            await quiet.disturb(thing, seconds)
            done[thing] += 1
            await asyncio.sleep(chance.uniform(2.0, 8.0))
            if (count := done.total()) % 20 == 0:
                say(f"{passed / 60:.0f} min, {count} stalls, {await quiet.events() - known}")
        await asyncio.sleep(5.0)
        after, grown = quiet.lasting(), await quiet.sizes()
        gap = longest_gap(written.writes, began).seconds
        told = await quiet.events() - known
        gone = [name for name, process in before.items() if after.get(name) != process]
        report.samples |= {
            "stalls": done,
            "events": told,
            "gone": gone,
            "failures": [f.text for f in written.failures],
            "sizes": {k: [astuple(settled[k]), astuple(grown[k])] for k in OURS} if settled else {},
        }
        report.add("stalls", done.total())
        report.add("failovers", _timeline(written) - timeline, target=0)
        report.add("processes begun anew", len(gone), target=0, note=", ".join(gone))
        note = ", ".join(f"{n} {kind}" for kind, n in told.items())
        report.add("events in the history", told.total(), target=0, note=note)
        report.add("writes", len(written.writes))
        report.add("of them failed", len(written.failures), target=0)
        report.add("longest time without one", gap, "s")
        for what, unit, most in (
            ("memory", "MiB", 1.0),
            ("descriptors", "", 0.0),
            ("processes", "", 0.0),
        ):
            scale = MIB if what == "memory" else 1
            first, last = (
                sum(getattr(one, what) for one in sizes.values()) / scale
                for sizes in (settled or grown, grown)
            )
            report.add(f"{what} at the end", last, unit, floor=first)
            report.add(f"{what} grown after the first fifth", last - first, unit, target=most)


def _timeline(written: Written) -> int:
    return written.writes[-1].timeline


async def run(fleet: Sandbox, report: Report, minutes: float, seed: int) -> None:
    """All of it."""
    layout = Layout(fleet.root)
    quiet = Quiet(fleet, Subject(layout, LocalEngine(fleet.wanted.name, layout)))
    await prepare(quiet.subject)
    if (await until_well(quiet.subject, lambda: True))[1] is None:
        raise FailedError("its replicas do not stream")
    async with asyncio.timeout(180):
        while "backup" not in await quiet.events():
            await asyncio.sleep(5.0)
    await measure(quiet, report, minutes, random.Random(seed))


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--minutes", type=float, default=30, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="of what stands still, and when")
    options = parser.parse_args()
    report = Report("quiet")
    with sandbox(FLEET, options.logs, has_autopilot=True) as fleet:
        fleet.run("up")
        asyncio.run(run(fleet, report, options.minutes, options.seed))
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
