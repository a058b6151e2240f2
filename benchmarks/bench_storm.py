"""Two faults within a second, on a production database under load: does all heal by itself?

One synchronous database with two replicas and eight writers. Two things are killed or frozen, a
second apart at most: the primary's postmaster, its whole instance, its Patroni, the pooler, etcd,
the agent, its keeper, its fork server. Nobody runs a command. What is measured is how long nothing
was acknowledged, what of the acknowledged is missing, and whether two servers took writes at one
time.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_faults import DATABASE, FLEET, Subject, lost, prepare, until_well
from measure import Report, arguments, median, say
from sandbox import Sandbox, sandbox, started_at, working_in
from writers import longest_gap, probing, split_brain, writing

from pgherd.engines.local import postgres, processes
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout
from pgherd.errors import TryLater

BEFORE_SECONDS = 1.5
APART_SECONDS = 1.0
AFTER_SECONDS = 1.0
THINGS = (
    "postmaster",
    "instance",
    "patroni",
    "pooler",
    "etcd",
    "agent",
    "keeper",
    "fork server",
)
WAYS = {"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing, and what happens to it."""

    thing: str
    way: str

    def __str__(self) -> str:
        return f"{self.thing} {self.way}"


@dataclass(frozen=True, slots=True)
class Storm:
    """Two blows, and what they did. Seconds are since the first."""

    blows: str
    at: str
    outage: float
    lost: int
    split: int
    acknowledged: int
    errors: int
    well_after: float | None
    left: str
    """What stands still at the end."""


class Things:
    """Where the things of the database are, as the kernel shows them."""

    def __init__(self, subject: Subject, fleet: Sandbox) -> None:
        self._subject = subject
        self._fleet = fleet

    async def pids(self, thing: str) -> list[int]:
        """The processes of one of them now."""
        layout, manifest = self._subject.layout, self._subject.manifest
        match thing:
            case "postmaster" | "instance" | "patroni":
                number = (await self._subject.primary_instance()).number
                data = layout.data(DATABASE, number)
                folder = layout.instance(DATABASE, number)
                if thing == "postmaster":
                    return [pid] if (pid := postgres.postmaster_pid(data)) else []
                if thing == "instance":
                    return working_in(folder, data)
                return _leaders(working_in(folder))
            case "pooler":
                return _leaders(working_in(layout.pooler(DATABASE)))
            case "etcd":
                return _leaders(working_in(layout.etcd(manifest.environment)))
            case _:
                return [pid for pid, kind in self._fleet.processes().items() if kind == thing]

    def frozen(self) -> str:
        """What stands still."""
        found = self._fleet.processes().items()
        return ", ".join(kind for pid, kind in found if processes.is_stopped(pid))


def _leaders(pids: Sequence[int]) -> list[int]:
    return [pid for pid in pids if processes.is_session_leader(pid)]


async def suffer(subject: Subject, things: Things, pair: tuple[Blow, Blow], apart: float) -> Storm:
    """Let both happen while writers are at work, and wait until all is well again."""
    await asyncio.sleep(BEFORE_SECONDS)
    struck = [await things.pids(blow.thing) for blow in pair]
    at, moment = datetime.now(), time.monotonic()
    probes, failures = len(subject.probed.writes), len(subject.written.failures)
    births = {pid: started_at(pid) for pids in struck for pid in pids}
    for number, (blow, pids) in enumerate(zip(pair, struck, strict=True)):
        if number:
            await asyncio.sleep(apart)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, WAYS[blow.way])

    def is_past() -> bool:
        return all(not birth or started_at(pid) != birth for pid, birth in births.items())

    _, durable = await until_well(subject, is_past)
    await asyncio.sleep(AFTER_SECONDS)
    writes = subject.written.since(moment - BEFORE_SECONDS)
    return Storm(
        blows=f"{pair[0]}, {apart:.1f} s later {pair[1]}",
        at=at.isoformat(timespec="milliseconds"),
        outage=longest_gap(writes, moment).seconds,
        lost=await lost(subject, writes),
        split=len(split_brain(writes)) + len(split_brain(subject.probed.writes[probes:])),
        acknowledged=sum(w.ended > moment for w in writes),
        errors=len(subject.written.failures) - failures,
        well_after=durable and durable - moment,
        left=things.frozen(),
    )


def pairs(count: int, seed: int, only: str | None) -> list[tuple[Blow, Blow]]:
    """So many different pairs, drawn at random; with `only`, those that have it in them."""
    blows = [Blow(thing, way) for thing in THINGS for way in WAYS]
    every = [pair for pair in itertools.permutations(blows, 2) if pair[0].thing != pair[1].thing]
    if only:
        every = [pair for pair in every if only in map(str, pair)]
        if not every:
            raise SystemExit(
                f"no pair has {only!r} in it: write one of {', '.join(map(str, blows))}"
            )
    random.Random(seed).shuffle(every)
    return (every * (1 + count // len(every)))[:count]


def alone() -> list[tuple[Blow, Blow]]:
    """Each thing frozen, and nothing else: the second blow is the same, to who is gone by then."""
    return [(blow, blow) for blow in (Blow(thing, "frozen") for thing in THINGS)]


async def measure(
    subject: Subject, things: Things, storms: Sequence[tuple[Blow, Blow]], seed: int
) -> list[Storm]:
    """All of them, one after another, until one does not heal."""
    parameters = await prepare(subject)
    found: list[Storm] = []
    dice = random.Random(seed)
    async with (
        writing(parameters, 8) as subject.written,
        probing(subject.servers()) as subject.probed,
    ):
        await asyncio.sleep(2)
        for number, pair in enumerate(storms, 1):
            apart = dice.uniform(0, APART_SECONDS) if pair[0] != pair[1] else 0.0
            try:
                storm = await suffer(subject, things, pair, apart)
            except TryLater as error:
                say(f"{number}/{len(storms)} {pair[0]}, {pair[1]}: not begun: {error}")
                await until_well(subject, lambda: True)
                continue
            found.append(storm)
            well = "NEVER" if storm.well_after is None else f"after {storm.well_after:.1f} s"
            say(
                f"{number}/{len(storms)} {storm.at[11:23]} {storm.blows}: outage"
                f" {storm.outage:.2f} s, errors {storm.errors}, lost {storm.lost}, split"
                f" {storm.split}, well {well} {storm.left}".rstrip()
            )
            if storm.well_after is None:
                say("not healed: no more storms")
                break
    return found


def judge(report: Report, found: Sequence[Storm]) -> None:
    """From single storms to measurements."""
    outages = sorted(storm.outage for storm in found)
    p95 = outages[min(len(outages) - 1, int(0.95 * len(outages)))]
    report.add("outage, median", median(outages), "s", note=f"of {len(found)}")
    report.add("outage, 95 of 100", p95, "s", target=15)
    report.add("outage, longest", outages[-1], "s", target=40)
    report.add("acknowledged commits", sum(storm.acknowledged for storm in found))
    report.add("lost commits", sum(storm.lost for storm in found), target=0)
    report.add("writes of two primaries", sum(storm.split for storm in found), target=0)
    report.add("not healed", sum(storm.well_after is None for storm in found), target=0)


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--storms", type=int, default=200, help="pairs of faults")
    parser.add_argument("--seed", type=int, default=1, help="which pairs, and how far apart")
    parser.add_argument("--only", help="pairs with this in them, as in 'agent killed'")
    parser.add_argument("--alone", action="store_true", help="each thing frozen, one at a time")
    options = parser.parse_args()
    storms = alone() if options.alone else pairs(options.storms, options.seed, options.only)
    report = Report("storm")
    with sandbox(FLEET, options.logs) as fleet:
        say(f"pgherd up in {fleet.state}")
        fleet.run("up")
        layout = Layout(fleet.root)
        subject = Subject(layout, LocalEngine(fleet.wanted.name, layout))
        found = asyncio.run(measure(subject, Things(subject, fleet), storms, options.seed))
    report.samples = {"storms": [asdict(storm) for storm in found]}
    judge(report, found)
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
