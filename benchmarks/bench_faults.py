"""What faults cost the clients of a production database: outage, errors, lost commits.

One synchronous database with two replicas, eight writers through its pooler, and one fault after
another: the primary's postmaster killed, all processes of its instance killed, its Patroni
frozen, a planned switchover. The floor is a plain pair of servers under the same writers, whose
standby is promoted in the very moment in which its primary is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import psycopg
from measure import Report, arguments, median, say
from plain import Server, program
from sandbox import folder, sandbox, started_at, working_in
from writers import (
    PROBE_TABLE,
    TABLE,
    Gap,
    Write,
    Written,
    longest_gap,
    probing,
    split_brain,
    writing,
)

from pgherd.contract.access import AccessRole
from pgherd.contract.observed import DatabaseState, ObservedDatabase
from pgherd.engines.local import postgres, processes
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest, InstanceManifest, read_database
from pgherd.errors import PgherdError, TryLater
from pgherd.fleet.desired import DatabaseId, Pooling

DATABASE = DatabaseId("production", "order")
FLEET = """\
fleet: faults
services: [order]
environments:
  production:
    engine: local
    local: {core_per_ocpu: 64}
    network: 10.0.0.0/16
    availability_domains: 3
    ocpus: 2..128
    storage: 2TB..unlimited
    replicas: 2..5
    durability: synchronous
    backup: {retention: 30d}
"""
COUNTING = (
    "SELECT count(*) FROM pg_stat_replication"
    " WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')"
)
BEFORE_SECONDS = 1.5
AFTER_SECONDS = 2.0
RECOVERY_SECONDS = 120.0
THAW_SECONDS = 60.0
FLOOR_FAULTS = 5
FEW_KINDS = 4


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and what it did."""

    kind: str
    at: str
    outage: float
    outage_after: float
    longest_write: float
    errors: dict[str, int]
    lost: int
    split: int
    acknowledged: int
    streaming_after: float | None
    durable_after: float | None
    before: str | None
    after: str | None
    detail: str = ""

    @property
    def failed_queries(self) -> int:
        """How many writes, or attempts to connect, failed."""
        return sum(self.errors.values())


@dataclass(slots=True)
class Subject:
    """The database that the faults happen to."""

    layout: Layout
    engine: LocalEngine
    written: Written = field(default_factory=Written)
    probed: Written = field(default_factory=Written)

    @property
    def manifest(self) -> DatabaseManifest:
        """What it consists of."""
        manifest = read_database(self.layout, DATABASE)
        assert manifest
        return manifest

    async def look(self) -> ObservedDatabase | None:
        """What the engine sees of it."""
        try:
            found = (await self.engine.observe()).databases.get(DATABASE)
        except TryLater:
            return None
        return found if isinstance(found, ObservedDatabase) else None

    async def counting(self) -> int:
        """How many replicas count for synchronous commits, as the primary itself says."""
        try:
            async with await _connect(await self.operator()) as connection:
                cursor = await connection.execute(COUNTING)
                row = await cursor.fetchone()
        except (PgherdError, psycopg.Error):
            return 0
        return int(row[0]) if row else 0

    async def primary(self) -> str | None:
        """The name of the instance that takes writes."""
        seen = await self.look()
        return seen.primary.name if seen and seen.primary else None

    async def primary_instance(self) -> InstanceManifest:
        """The instance that takes writes."""
        instance = self.manifest.numbered(await self.primary() or "")
        if instance is None:
            raise TryLater(f"{DATABASE} has no primary")
        return instance

    async def operator(self) -> dict[str, str]:
        """How to connect to the primary past the pooler."""
        return (await self.engine.access(DATABASE, AccessRole.OPERATOR)).parameters()

    async def service(self) -> dict[str, str]:
        """How the service connects, a transaction at a time."""
        access = await self.engine.access(DATABASE, AccessRole.SERVICE, Pooling.TRANSACTION)
        return access.parameters()

    def servers(self) -> list[dict[str, str]]:
        """How to connect to each instance past the pooler, whatever its role."""
        return [
            {
                "host": str(self.layout.socket_folder(DATABASE, instance.number)),
                "port": str(self.manifest.postgresql_port),
                "dbname": DATABASE.service,
                "user": "postgres",
            }
            for instance in self.manifest.instances
        ]


# The faults


@dataclass(frozen=True, slots=True)
class Blow:
    """A fault that is ready to happen.

    `strike` returns a remark on what it saw, mostly none. `is_past` says whether its traces are
    gone; the agent may not have noticed it yet, so what that says is no proof by itself.
    """

    strike: Callable[[], Awaitable[str]]
    is_past: Callable[[], bool]


async def postmaster_killed(subject: Subject) -> Blow:
    """The primary's postmaster is killed; its backends live on as orphans."""
    instance = await subject.primary_instance()
    data = subject.layout.data(DATABASE, instance.number)
    pid = postgres.postmaster_pid(data)
    if pid is None:
        raise TryLater(f"{data} has no postmaster")

    async def strike() -> str:
        os.kill(pid, signal.SIGKILL)
        return ""

    return Blow(strike, lambda: _has_other_postmaster(data, pid))


async def instance_killed(subject: Subject) -> Blow:
    """Every process of the primary's instance is killed, as when its host dies."""
    number = (await subject.primary_instance()).number
    data = subject.layout.data(DATABASE, number)
    folders = subject.layout.instance(DATABASE, number), data
    pid = postgres.postmaster_pid(data)
    if pid is None:
        raise TryLater(f"{data} has no postmaster")
    found = working_in(*folders)

    async def strike() -> str:
        _kill(found)
        # Those that were forked meanwhile. A Patroni that is there again already is a new one.
        _kill([late for late in working_in(data) if late not in found])
        return ""

    return Blow(strike, lambda: _has_other_postmaster(data, pid))


async def patroni_frozen(subject: Subject) -> Blow:
    """The primary's Patroni is stopped for good; it has to be killed and started again."""
    number = (await subject.primary_instance()).number
    there = working_in(subject.layout.instance(DATABASE, number))
    pid = next((pid for pid in there if processes.is_session_leader(pid)), None)
    if pid is None:
        raise TryLater(f"instance {number} has no Patroni")
    birth = started_at(pid)

    async def strike() -> str:
        began = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        while started_at(pid) == birth:
            if time.monotonic() - began > THAW_SECONDS:
                os.kill(pid, signal.SIGCONT)
                return f"still frozen after {THAW_SECONDS:.0f} s"
            await asyncio.sleep(0.1)
        return f"killed after {time.monotonic() - began:.1f} s"

    return Blow(strike, lambda: started_at(pid) != birth)


async def switchover(subject: Subject) -> Blow:
    """A planned switchover to the best replica."""

    async def strike() -> str:
        try:
            await subject.engine.switchover(DATABASE)
        except PgherdError as error:
            return f"refused: {error}"
        return ""

    return Blow(strike, lambda: True)


KINDS: Mapping[str, Callable[[Subject], Awaitable[Blow]]] = {
    "postmaster": postmaster_killed,
    "instance": instance_killed,
    "freeze": patroni_frozen,
    "switchover": switchover,
}


def _kill(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _has_other_postmaster(data: Path, pid: int) -> bool:
    now = postgres.postmaster_pid(data)
    return now is not None and now != pid and started_at(now) > 0


# One fault


async def suffer(subject: Subject, kind: str) -> Fault:
    """Let one fault happen while writers are at work, and wait until all is well again."""
    await asyncio.sleep(BEFORE_SECONDS)
    before = await subject.primary()
    blow = await KINDS[kind](subject)
    at, moment = datetime.now(), time.monotonic()
    probes, failures = len(subject.probed.writes), len(subject.written.failures)
    detail = await blow.strike()
    streaming, durable = await until_well(subject, blow.is_past)
    await asyncio.sleep(AFTER_SECONDS)
    writes = subject.written.since(moment - BEFORE_SECONDS)
    around = [w for w in writes if w.ended > moment]
    gap = longest_gap(writes, moment)
    return Fault(
        kind=kind,
        at=at.isoformat(timespec="milliseconds"),
        outage=gap.seconds,
        outage_after=gap.after,
        longest_write=max((w.ended - w.began for w in around), default=float("nan")),
        errors=_counted(f.text for f in subject.written.failures[failures:]),
        lost=await lost(subject, writes),
        split=len(split_brain(writes)) + len(split_brain(subject.probed.writes[probes:])),
        acknowledged=len(around),
        streaming_after=streaming and streaming - moment,
        durable_after=durable and durable - moment,
        before=before,
        after=await subject.primary(),
        detail=detail,
    )


async def until_well(
    subject: Subject, is_past: Callable[[], bool]
) -> tuple[float | None, float | None]:
    """When every instance served again, and when every replica counted for commits again."""
    streaming = None
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        seen = await subject.look() if is_past() else None
        if seen and seen.state is DatabaseState.RUNNING:
            streaming = streaming or time.monotonic()
            if await subject.counting() == len(seen.instances) - 1:
                return streaming, time.monotonic()
        await asyncio.sleep(0.1)
    return streaming, None


def _counted(texts: Iterable[str]) -> dict[str, int]:
    return dict(Counter(texts).most_common())


async def lost(subject: Subject, writes: Sequence[Write]) -> int:
    """How many acknowledged writes the primary does not have."""
    if not writes:
        return 0
    wanted = {w.id for w in writes}
    async with await _connect(await subject.service()) as connection:
        cursor = await connection.execute(
            "SELECT id FROM written WHERE id BETWEEN %s AND %s", (min(wanted), max(wanted))
        )
        there = {row[0] for row in await cursor.fetchall()}
    return len(wanted - there)


async def _connect(parameters: Mapping[str, str]) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(
        **parameters,  # type: ignore[arg-type]
        autocommit=True,
        connect_timeout=5,
    )


# All faults


async def prepare(subject: Subject) -> dict[str, str]:
    """The tables; how the service connects."""
    parameters = await subject.service()
    async with await _connect(parameters) as connection:
        await connection.execute(TABLE)
        await connection.execute(PROBE_TABLE)
    _, durable = await until_well(subject, lambda: True)
    if durable is None:
        raise TryLater(f"{DATABASE} is not synchronous after {RECOVERY_SECONDS:.0f} s")
    return parameters


async def measure(
    subject: Subject, faults: Mapping[str, int], clients: int, pause: float
) -> tuple[list[Fault], dict[str, float]]:
    """All faults, one after another; and what the writers do without any."""
    parameters = await prepare(subject)
    found: list[Fault] = []
    async with (
        writing(parameters, clients, pause) as subject.written,
        probing(subject.servers()) as subject.probed,
    ):
        await asyncio.sleep(2)
        quiet = await _quiet(subject.written)
        say(
            f"without a fault: {quiet['writes_per_second']:.0f} writes/s, "
            f"longest gap {quiet['longest_gap'] * 1000:.0f} ms"
        )
        for kind, count in faults.items():
            for number in range(1, count + 1):
                fault = await suffer(subject, kind)
                found.append(fault)
                say(_line(fault, number, count))
                if fault.durable_after is None:
                    say(f"not well after {RECOVERY_SECONDS:.0f} s: no more faults")
                    return found, quiet
    quiet["lost_in_all"] = await lost(subject, subject.written.writes)
    quiet["written_in_all"] = len(subject.written.writes)
    return found, quiet


async def _quiet(written: Written, seconds: float = 10.0) -> dict[str, float]:
    began = time.monotonic()
    await asyncio.sleep(seconds)
    writes = written.since(began)
    return {
        "writes_per_second": len(writes) / seconds,
        "longest_gap": longest_gap(writes, began).seconds,
        "longest_write": max(w.ended - w.began for w in writes),
    }


def _line(fault: Fault, number: int, count: int) -> str:
    streaming, durable = (
        "never" if seconds is None else f"{seconds:.1f} s"
        for seconds in (fault.streaming_after, fault.durable_after)
    )
    return (
        f"{fault.at[11:23]} {fault.kind} {number}/{count}: outage {fault.outage:.2f} s "
        f"(from {fault.outage_after:+.2f} s), longest write {fault.longest_write:.2f} s, "
        f"errors {fault.failed_queries}, lost {fault.lost}, split {fault.split}, "
        f"all stream after {streaming}, count after {durable}, "
        f"{fault.before} -> {fault.after} {fault.detail}"
    ).rstrip()


# The floor


async def floor(clients: int, pause: float, faults: int) -> list[Gap]:
    """What a pair of plain servers needs, when somebody promotes the standby at once."""
    gaps = []
    with folder() as place:
        for number in range(faults):
            pair = Server(place / f"{number}.1"), Server(place / f"{number}.2")
            try:
                gaps.append(await _floor_fault(*pair, clients, pause))
            finally:
                for server in pair:
                    server.kill()
    return gaps


async def _floor_fault(primary: Server, standby: Server, clients: int, pause: float) -> Gap:
    await asyncio.to_thread(primary.make, "synchronous_standby_names = '*'\n")
    await asyncio.to_thread(standby.copy, primary, "synchronous_standby_names = ''\n")
    with psycopg.connect(**primary.parameters, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute(TABLE)
    either = {
        **primary.parameters,
        "host": f"{primary.folder},{standby.folder}",
        "target_session_attrs": "read-write",
    }
    async with writing(either, clients, pause) as written:
        await asyncio.sleep(BEFORE_SECONDS + 1)
        moment = time.monotonic()
        primary.kill()
        await asyncio.to_thread(program, "pg_ctl", "-w", "-D", standby.data, "promote")
        await asyncio.sleep(AFTER_SECONDS)
        return longest_gap(written.since(moment - BEFORE_SECONDS), moment)


# Where the time goes


PHASES = {
    "postmaster": ("ended", "is fenced", "given back", "is chosen", "takes writes", "is routed"),
    "instance": ("ended", "is fenced", "given back", "is chosen", "takes writes", "is routed"),
    "switchover": ("clients wait", "at rest", "is chosen", "takes writes", "is routed"),
}
"""What the agent says of each kind of fault, in this order; a write is acknowledged after it."""
MARKS = {
    "ended": r"PostgreSQL of \S+ ended",
    "is fenced": r"\S+ is fenced",
    "given back": r"leader key of \S+ given back",
    "clients wait": r"clients wait",
    "at rest": r"transactions are at rest",
    "is chosen": r"leader (\S+) -> (?!None|\1)\S+",
    "takes writes": r"\S+ takes writes",
    "is routed": r"pooler follows \S+",
}
LINE = re.compile(rf"(\S+ \S+) \w+ {re.escape(str(DATABASE))}: (.*)")


def phases(log: str, fault: Fault) -> dict[str, float] | None:
    """Seconds from each event of a fault to the next; None where one of them was not logged."""
    at = datetime.fromisoformat(fault.at)
    events = [
        ((datetime.strptime(m[1], "%Y-%m-%d %H:%M:%S,%f") - at).total_seconds(), m[2])
        for line in log.splitlines()
        if (m := LINE.match(line))
    ]
    last, found = 0.0, {}
    for name in PHASES[fault.kind]:
        matching = (s for s, said in events if s >= last and re.match(MARKS[name], said))
        seconds = next(matching, None)
        if seconds is None or seconds > fault.outage_after + fault.outage + 1:
            return None
        found[name], last = seconds - last, seconds
    found["first write"] = max(0.0, fault.outage_after + fault.outage - last)
    return found


def explain(report: Report, found: Sequence[Fault], log: str) -> None:
    """Where the time of each kind of fault goes, in the median."""
    for kind in PHASES:
        known = [p for fault in found if fault.kind == kind and (p := phases(log, fault))]
        report.samples[f"phases of {kind}"] = known
        for name in known[0] if known else ():
            value = 1000 * median([p[name] for p in known])
            report.add(f"{kind}: until {name}, median", value, "ms", note=f"of {len(known)}")


# Results


def judge(report: Report, found: Sequence[Fault], floor_seconds: float) -> None:
    """From single faults to measurements."""
    targets = {"postmaster": 0.25, "instance": 0.25, "switchover": 0.4}
    longest = {"postmaster": 0.6, "instance": 0.6}
    titles = {
        "postmaster": "postmaster killed",
        "instance": "instance killed",
        "freeze": "Patroni frozen",
        "switchover": "switchover",
    }
    for kind, title in titles.items():
        these = [f for f in found if f.kind == kind]
        if not these:
            continue
        stalls = [f.longest_write if kind == "switchover" else f.outage for f in these]
        what = "longest write" if kind == "switchover" else "outage"
        errors = [float(f.failed_queries) for f in these]
        again = [f.streaming_after for f in these if f.streaming_after is not None]
        whole = [f.durable_after for f in these if f.durable_after is not None]
        report.add(
            f"{title}: {what}, median",
            median(stalls),
            "s",
            floor=floor_seconds,
            target=targets.get(kind),
            note=f"of {len(these)}",
        )
        if kind == "switchover":
            late = sorted(stalls)[min(len(stalls) - 1, int(0.95 * len(stalls)))]
            report.add(f"{title}: {what}, 95 of 100", late, "s", floor=floor_seconds, target=0.5)
        report.add(
            f"{title}: {what}, longest",
            max(stalls),
            "s",
            floor=floor_seconds,
            target=longest.get(kind),
        )
        is_planned = kind == "switchover"
        report.add(
            f"{title}: failed queries",
            sum(errors) if is_planned else median(errors),
            target=0 if is_planned else None,
            note="in all" if is_planned else "each, median",
        )
        report.add(f"{title}: lost commits", sum(f.lost for f in these), target=0)
        report.add(f"{title}: writes of two primaries", sum(f.split for f in these), target=0)
        report.add(f"{title}: all stream again, median", median(again), "s")
        report.add(f"{title}: all stream again, longest", max(again, default=0), "s")
        report.add(f"{title}: all count for commits again, median", median(whole), "s")
        report.add(f"{title}: not repaired", len(these) - len(whole), target=0)
        if is_planned:
            refused = sum(f.detail.startswith("refused") for f in these)
            report.add(f"{title}: refused", refused, target=0)


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--faults", type=int, default=20, help="faults of each kind")
    parser.add_argument(
        "--freezes", type=int, default=None, help="frozen Patronis; a quarter as many by default"
    )
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--clients", type=int, default=8, help="writers")
    parser.add_argument(
        "--pause", type=float, default=0.0, help="seconds between two writes of one writer"
    )
    options = parser.parse_args()
    freezes = options.freezes
    if freezes is None:
        freezes = -(-options.faults // FEW_KINDS)
    counts = {k: freezes if k == "freeze" else options.faults for k in options.kinds}
    report = Report("faults")

    say("floor: a plain standby, promoted when its primary is killed")
    gaps = asyncio.run(floor(options.clients, options.pause, min(FLOOR_FAULTS, options.faults)))
    say("  " + ", ".join(f"{gap.seconds:.2f} s" for gap in gaps))
    with sandbox(FLEET, options.logs) as fleet:
        say(f"pgherd up in {fleet.state}")
        fleet.run("up")
        layout = Layout(fleet.root)
        subject = Subject(layout, LocalEngine(fleet.wanted.name, layout))
        found, quiet = asyncio.run(measure(subject, counts, options.clients, options.pause))
        log = (layout.log / "agent.log").read_text()
    report.samples = {
        "floor": [asdict(gap) for gap in gaps],
        "quiet": quiet,
        "faults": [asdict(fault) for fault in found],
    }
    judge(report, found, median([gap.seconds for gap in gaps]))
    explain(report, found, log)
    report.add("commits lost in all", quiet.get("lost_in_all", float("nan")), target=0)
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
