"""What backups cost, how soon they are there and proven, and what a restore takes.

One database of pgbench's: a full backup and a restore beside it by pgherd, and by pgBackRest alone
with the same settings, of a plain server with the same data. Two such databases, one of which
hands its WAL over, under tpcb-like load in turn. Two that do, one of which has its WAL received as
it is written, the same. Then the whole example: how soon the autopilot
has backed all of it up unasked, and proven it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import psycopg
from measure import Report, arguments, median, say
from plain import Server
from sandbox import Sandbox, as_postgres, folder, sandbox
from writers import TABLE, longest_gap, writing

from pgherd.engines.local import postgres, processes
from pgherd.engines.local.backup import pgbackrest

FLEET = """\
fleet: backups
services: [order, cart]
environments:
  production:
    engine: local
    local: {core_per_ocpu: 64}
    network: 10.0.0.0/16
    ocpus: 2
    storage: 100GB
"""
STREAMED = f"{FLEET}overrides:\n  production/order: {{backup: {{stream: true}}}}\n"
EXAMPLE = Path(os.environ.get("PGHERD_EXAMPLE", ""))
TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
DATABASES = 30
"""In the example."""
PREDICTED = re.compile(r"^it takes about ([0-9.]+) s", re.MULTILINE)
ORDER = "production/order"
ROUNDS = 4
PAIRS = 3
WRITES, GAP_SECONDS = 1000, 0.01
RATE = 500
REST_SECONDS = 30
SECONDS = 15
EXCHANGES = 3
LONGEST = 900.0
BY_HAND = """\
[global]
repo1-path={folder}/repository
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=by-hand
repo1-retention-full=2
repo1-bundle=y
archive-copy=y
start-fast=y
compress-type=lz4
lock-path={folder}/lock
spool-path={folder}/lock
log-level-console=off
log-level-file=off

[hand]
pg1-path={folder}/server/data
pg1-socket-path={folder}/server
"""


def pgbench(parameters: Mapping[str, str], *options: str) -> str:
    """Run it; what it prints."""
    _, programs = postgres.choose(None)
    done = subprocess.run(
        [str(programs / "pgbench"), *options],
        env={**os.environ, **parameters},
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return done.stdout


def variables(fleet: Sandbox, service: str) -> dict[str, str]:
    """How to connect as the service, for libpq."""
    lines = fleet.run("url", f"production/{service}", "--variables").output.splitlines()
    words = (line.removeprefix("export ").partition("=") for line in lines if "=" in line)
    return {name: value.strip("'\"") for name, _, value in words}


def tps(fleet: Sandbox, service: str) -> float:
    """Of a tpcb-like load."""
    text = pgbench(variables(fleet, service), "-n", "-c", "8", "-j", "2", "-T", str(SECONDS))
    found = TPS.search(text)
    assert found
    return float(found[1])


def tps_in_turn(fleet: Sandbox) -> dict[str, list[float]]:
    """Of both databases."""
    found: dict[str, list[float]] = {"order": [], "cart": []}
    for number in range(2 * ROUNDS):
        service = ("order", "cart")[(number + number // 2) % 2]
        found[service].append(tps(fleet, service))
        say(f"{service}: {found[service][-1]:.0f} transactions a second")
    return found


def p99(fleet: Sandbox, service: str) -> float:
    """Of such a load at a rate, in milliseconds."""
    with folder() as place:
        logs = ["--log", f"--log-prefix={place / 'log'}", f"--rate={RATE}"]
        pgbench(variables(fleet, service), "-n", "-c", "8", "-j", "2", "-T", str(SECONDS), *logs)
        lines = (line for path in place.iterdir() for line in path.read_text().splitlines())
        # The third word: microseconds, from when it was to begin.
        found = sorted(int(line.split()[2]) for line in lines)
    return found[int(0.99 * len(found))] / 1000


@contextmanager
def backing_up(fleet: Sandbox) -> Iterator[None]:
    """Incremental backups of a database, one after the other."""
    ends = threading.Event()

    def work() -> None:
        while not ends.is_set():
            fleet.run("backup", "now", ORDER)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


@contextmanager
def by_hand(scale: int) -> Iterator[tuple[Path, Path]]:
    """A plain server with pgbench's data that hands its WAL over, and its repository."""
    tool = pgbackrest.program()
    assert tool
    with folder() as place:
        for name in ("repository", "lock", "server"):
            (place / name).mkdir()
        configuration = place / "pgbackrest.conf"
        configuration.write_text(BY_HAND.format(folder=place))
        if os.geteuid() == 0:
            for path in (place, *place.iterdir()):
                shutil.chown(path, "postgres", "postgres")
        server = Server(place / "server")
        push = f"{tool} --config={configuration} --stanza=hand archive-push %p"
        server.make(f"archive_mode = on\narchive_command = '{push}'\narchive_timeout = 60\n")
        try:
            hand(configuration, "stanza-create")
            there = {"PGHOST": str(server.folder), "PGUSER": "postgres", "PGDATABASE": "postgres"}
            pgbench(there, "-i", "-q", "-s", str(scale))
            yield configuration, place
        finally:
            server.kill()


def hand(configuration: Path, *words: str) -> float:
    """A command of pgBackRest; the seconds it took."""
    began = time.monotonic()
    tool = str(pgbackrest.program())
    subprocess.run(
        [tool, f"--config={configuration}", "--stanza=hand", *words],
        check=True,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        **as_postgres(),
    )
    return time.monotonic() - began


def floor(scale: int) -> tuple[float, float]:
    """By hand: a full backup, and a restore until its server takes connections."""
    with by_hand(scale) as (configuration, place):
        backup = hand(configuration, "--type=full", "backup")
        copy = Server(place / "copy")
        copy.folder.mkdir()
        copy.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(copy.folder, "postgres", "postgres")
            shutil.chown(copy.data, "postgres", "postgres")
        began = time.monotonic()
        hand(configuration, f"--pg1-path={copy.data}", "--archive-mode=off", "restore")
        settings = copy.data / "postgresql.auto.conf"
        with settings.open("a") as file:
            file.write(f"unix_socket_directories = '{copy.folder}'\n")
        copy.start()
        while copy.is_in_recovery():
            time.sleep(0.05)
        restore = time.monotonic() - began
        copy.kill()
        return backup, restore


async def exchanged(fleet: Sandbox) -> tuple[float, int]:
    """Restored in its place under four writers: how long no write was answered; how many failed."""
    url = fleet.run("url", ORDER, "--transaction").output.strip()
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("DROP TABLE IF EXISTS written")
        await connection.execute(TABLE)
    fleet.run("backup", "now", ORDER)
    await asyncio.sleep(2.0)  # its end is known to the second
    then = datetime.now(UTC).isoformat()
    restore = ("restore", ORDER, "--to", then, "--yes-overwrite", ORDER)
    async with writing({"conninfo": url}, 4, 0.01) as written:
        await asyncio.sleep(2.0)
        began = time.monotonic()
        await asyncio.to_thread(fleet.run, *restore)
        await asyncio.sleep(2.0)
    return longest_gap(written.writes, began).seconds, len(written.failures)


def one_database(report: Report, scale: int) -> None:
    """A backup, a restore, and what handing WAL over costs."""
    backup_floor, restore_floor = floor(scale)
    say(f"by hand: backup {backup_floor:.1f} s, restore {restore_floor:.1f} s")
    with sandbox(FLEET) as fleet:
        fleet.run("up")
        for service in ("order", "cart"):
            pgbench(variables(fleet, service), "-i", "-q", "-s", str(scale))
        backup = fleet.run("backup", "now", ORDER).seconds
        time.sleep(2.0)  # its end is known to the second
        now = datetime.now(UTC).isoformat(timespec="seconds")
        # As by hand: without WAL that is to be played.
        restore = fleet.run("restore", ORDER, "--to", now, "--as", "order-copy").seconds
        again = fleet.run("restore", ORDER, "--to", now, "--as", "order-again")
        predicted = PREDICTED.search(again.output)
        assert predicted
        drill = json.loads(fleet.run("drill", "restore", ORDER, "--json").output)
        found = tps_in_turn(fleet)
        calm = [p99(fleet, "order") for _ in range(PAIRS)]
        with backing_up(fleet):
            busy = [p99(fleet, "order") for _ in range(PAIRS)]
        exchanges = [asyncio.run(exchanged(fleet)) for _ in range(EXCHANGES)]
    report.add(
        "restore, the second",
        again.seconds,
        "s",
        floor=float(predicted[1]),
        target=1.25,
        target_is_ratio=True,
    )
    report.samples["exchanges"] = exchanges
    waits = [seconds for seconds, _ in exchanges]
    report.add("restored in its place: clients wait, longest", max(waits), "s", target=1.0)
    report.add("writes that failed then", sum(failed for _, failed in exchanges), target=0)
    report.samples["tps"] = found
    report.samples["p99"] = [calm, busy]
    report.add(
        f"p99 of {RATE} tpcb-like a second while backups are taken",
        median(busy),
        "ms",
        floor=median(calm),
    )
    for name, ours, theirs in (
        ("full backup", backup, backup_floor),
        ("restore beside it, until it serves", restore, restore_floor),
    ):
        report.add(
            f"{name}, {scale * 15} MB", ours, "s", floor=theirs, target=1.11, target_is_ratio=True
        )
    report.add("drill, until the copy serves", drill["rto_seconds"], "s", floor=restore_floor)
    report.add(
        "tpcb-like while WAL is handed over",
        median(found["order"]),
        "tps",
        floor=median(found["cart"]),
        target=0.95,
        target_is_ratio=True,
        at_least=True,
    )


def streamed(report: Report, scale: int) -> None:
    """Both databases hand their WAL over; that of one is received as it is written, too."""
    with sandbox(STREAMED) as fleet:
        fleet.run("up")
        for service in ("order", "cart"):
            pgbench(variables(fleet, service), "-i", "-q", "-s", str(scale))
            fleet.run("backup", "now", f"production/{service}")
        found = tps_in_turn(fleet)
        receivers = working_below(fleet.root.with_name(f"{fleet.root.name}.backups"), "stream")
        before = sum(processes.cpu_seconds(pid) or 0.0 for pid in receivers)
        time.sleep(REST_SECONDS)
        used = sum(processes.cpu_seconds(pid) or 0.0 for pid in receivers) - before
        memory = sum(resident(pid) for pid in receivers)
    report.samples["tps, streamed"] = found
    report.add(
        "tpcb-like while WAL is received",
        median(found["order"]),
        "tps",
        floor=median(found["cart"]),
        target=0.9,
        target_is_ratio=True,
        at_least=True,
    )
    report.add("CPU of keeper and receiver at rest", 100 * used / REST_SECONDS, "%", target=1)
    report.add("their memory", memory / 2**20, "MiB")


def moments(report: Report, count: int) -> None:
    """Restored to moments at random: each has the rows that were committed by then, and no more."""
    chosen, reached, times = random.Random(12), 0, []
    with sandbox(FLEET) as fleet:
        fleet.run("up")
        fleet.run("backup", "now", ORDER)
        time.sleep(1.1)
        gaps = written_gaps(fleet, WRITES)
        fleet.run("backup", "now", ORDER)
        for number, (rows, begin, end) in enumerate(chosen.sample(gaps, count)):
            moment = begin + (end - begin) * chosen.random()
            name = f"moment-{number}"
            call = ("restore", ORDER, "--to", moment.isoformat(), "--as", name)
            times.append(fleet.run(*call).seconds)
            with psycopg.connect(url(fleet, name)) as connection:
                (found,) = connection.execute("SELECT max(id) FROM gaps").fetchone() or (None,)
            reached += found == rows
            if found != rows:
                say(f"{moment}: {found}, not {rows}")
            fleet.run("destroy", "--yes-destroy", f"production/{name}", f"production/{name}")
    report.samples["restores to moments"] = times
    report.add(
        f"of {count} moments at random, reached exactly", reached, target=count, at_least=True
    )
    report.add("a restore to one of them", median(times), "s")


def written_gaps(fleet: Sandbox, count: int) -> list[tuple[int, datetime, datetime]]:
    """So many rows are committed; how many there were, from when until when."""
    found, after = [], None
    with psycopg.connect(url(fleet, "order"), autocommit=True) as connection:
        connection.execute("CREATE TABLE gaps (id int)")
        for number in range(count):
            before = datetime.now(UTC)
            if after is not None:
                found.append((number - 1, after, before))
            connection.execute("INSERT INTO gaps VALUES (%s)", (number,))
            after = datetime.now(UTC)
            time.sleep(GAP_SECONDS)
    return found


def url(fleet: Sandbox, service: str) -> str:
    """How to connect as the service, for psycopg."""
    return fleet.run("url", f"production/{service}").output.strip()


def working_below(folder: Path, part: str) -> list[int]:
    """The processes that work in a folder of that name below another one, or below that."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                cwd = (entry / "cwd").readlink()
                if cwd.is_relative_to(folder) and part in cwd.parts:
                    found.append(int(entry.name))
    return found


def resident(pid: int) -> int:
    """Bytes that are its own, and its share of what others have too."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def whole_example(report: Report) -> None:
    """How soon all is backed up and proven, unasked."""
    with sandbox(EXAMPLE, has_autopilot=True) as fleet:
        fleet.run("up")
        began = time.monotonic()
        full = said = proven = None
        backups = fleet.root.with_name(f"{fleet.root.name}.backups")
        while proven is None and time.monotonic() - began < LONGEST:
            time.sleep(0.5)
            # Commands that look would take a part of the CPU.
            passed = time.monotonic() - began
            backed_up = len(list(backups.glob("*/repository/backup/*/2*/backup.manifest")))
            good = len(list(backups.glob("*/proofs/*.json")))
            if said != (said := (backed_up, good)):
                say(f"{passed:.0f} s: {backed_up} backed up, {good} proven, of {DATABASES}")
            if full is None and backed_up >= DATABASES:
                full = passed
            if good >= DATABASES:
                proven = passed
        found = json.loads(fleet.run("report", "--json").output)["databases"]
        proofs = sum(one["last_proof_at"] is not None for one in found)
        protected = sum(one["protected"] for one in found)
    assert len(found) == DATABASES
    report.add(f"{DATABASES} full backups, unasked", full or float("nan"), "s", target=60.0)
    report.add(f"{proofs} drills beside them", proven or float("nan"), "s", target=300.0)
    report.add("protected then", protected)


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--scale", type=int, default=60, help="of pgbench: 15 MB each")
    parser.add_argument(
        "--only", choices=("one", "stream", "moments", "example"), help="a part of it"
    )
    parser.add_argument("--moments", type=int, default=100, help="to restore to")
    options = parser.parse_args()
    report = Report("backups")
    if options.only in (None, "one"):
        one_database(report, options.scale)
    if options.only in (None, "stream"):
        streamed(report, options.scale)
    if options.only in (None, "moments"):
        moments(report, options.moments)
    if options.only in (None, "example"):
        whole_example(report)
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
