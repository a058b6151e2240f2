"""Plays customers of the shop on its databases, and reports what they met.

Reads one JSON document from standard input:

    {"targets": [{"environment": "production", "service": "auth",
                  "read_write": {libpq parameters}, "read_only": {libpq parameters}}, ...],
     "seconds": 10, "clients": 4, "seed": 1, "progress": false}

and prints one with the results. `clients` play in each environment, with the databases of that
environment only; any subset of the ten services will do. `read_only` may be left out. With
`progress`, a JSON line a second goes to standard error. Ends by itself; SIGINT and SIGTERM end
it early, with the results so far.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import checks
import journey
from door import Door, Limit, Refused, TimeOver
from meter import Meter, report
from visit import (
    SEEDED_CUSTOMERS,
    Customer,
    Desk,
    Ledger,
    Visit,
    made_up_items,
    new_customer,
    seeded_customer,
)

CLOCK = time.perf_counter
GRACE_SECONDS = 2.0
CHECK_SECONDS = 30.0
NEWCOMERS = 0.3
REGULARS = 200
EXAMPLES_OF_LOST = 10


@dataclass(frozen=True, slots=True)
class Target:
    """One database of the document, and what is measured on it."""

    environment: str
    service: str
    read_write: dict[str, str]
    read_only: dict[str, str] | None
    writes: Meter
    reads: Meter
    ledger: Ledger

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> Target:
        if entry["service"] not in checks.FOUND:
            raise ValueError(f"{entry['service']!r} is not a service of this shop")
        return cls(
            environment=entry["environment"],
            service=entry["service"],
            read_write=dict(entry["read_write"]),
            read_only=dict(entry["read_only"]) if entry.get("read_only") else None,
            writes=Meter(CLOCK),
            reads=Meter(CLOCK),
            ledger=Ledger(),
        )

    @property
    def meters(self) -> tuple[Meter, ...]:
        return (self.writes, self.reads) if self.read_only else (self.writes,)


class Client:
    """Plays one customer after the other, with connections of its own."""

    def __init__(self, targets: Iterable[Target], limit: Limit, number: int, clients: int) -> None:
        self.limit = limit
        self.rng = random.Random()
        # No two clients of a run are the same customer at the same time.
        self.regulars = [
            seeded_customer(n) for n in range(1 + number, SEEDED_CUSTOMERS + 1, clients)
        ]
        self.doors: list[Door] = []
        self.desks = {target.service: self._desk(target) for target in targets}

    def _desk(self, target: Target) -> Desk:
        read_write = read_only = Door(target.read_write, target.writes, self.limit, self.rng)
        self.doors.append(read_write)
        if target.read_only:
            read_only = Door(target.read_only, target.reads, self.limit, self.rng)
            self.doors.append(read_only)
        return Desk(read_write, read_only, target.ledger, self.rng)

    async def play(self) -> None:
        """Visit after visit until the time is over."""
        while not self.limit.is_over:
            customer, is_new = self._customer()
            visit = Visit(customer, is_new, made_up_items(self.rng))
            try:
                await journey.play(visit, self.desks, self.rng)
            except TimeOver:
                break
            except Refused:
                await asyncio.sleep(0.05)  # the meter has it; the next customer may have more luck
        for door in self.doors:
            await door.close()

    def _customer(self) -> tuple[Customer, bool]:
        if self.regulars and self.rng.random() >= NEWCOMERS:
            return self.rng.choice(self.regulars), False
        customer = new_customer()
        self.regulars = [*self.regulars[-REGULARS:], customer]
        return customer, True


@dataclass(frozen=True, slots=True)
class Wish:
    """What the document says."""

    targets: list[Target]
    seconds: float
    clients: int
    seed: int
    progress: bool

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Wish:
        wish = cls(
            targets=[Target.parse(entry) for entry in document["targets"]],
            seconds=float(document["seconds"]),
            clients=int(document["clients"]),
            seed=int(document.get("seed", 0)),
            progress=bool(document.get("progress", False)),
        )
        if not wish.targets or wish.seconds <= 0 or wish.clients < 1:
            raise ValueError("it takes a target, a client and some time at least")
        return wish


async def run(wish: Wish) -> dict[str, Any]:
    """Play the customers; the results."""
    targets, count, seed = wish.targets, wish.clients, wish.seed
    limit = Limit(CLOCK, wish.seconds)
    loop = asyncio.get_running_loop()
    for stop in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop, limit.stop)

    clients = []
    for environment in dict.fromkeys(target.environment for target in targets):
        its = [target for target in targets if target.environment == environment]
        for number in range(count):
            client = Client(its, limit, number, count)
            client.rng.seed(f"{seed} {environment} {number}")
            clients.append(client)

    began = CLOCK()
    async with asyncio.TaskGroup() as tasks:
        playing = [tasks.create_task(client.play()) for client in clients]
        tasks.create_task(end(playing, clients, limit))
        if wish.progress:
            tasks.create_task(show_progress(targets, playing))
    lasted = min(CLOCK(), limit.end) - began
    checked = await asyncio.gather(*(check(target) for target in targets))
    return results(targets, checked, lasted, count, seed)


async def end(
    playing: Sequence[asyncio.Task[None]], clients: Iterable[Client], limit: Limit
) -> None:
    """See to it that nobody waits for an answer long after the end."""
    while not all(task.done() for task in playing):
        if CLOCK() > limit.end + GRACE_SECONDS:
            for client in clients:
                for door in client.doors:
                    door.hang_up()
        await asyncio.sleep(0.05)


async def show_progress(targets: Sequence[Target], playing: Sequence[asyncio.Task[None]]) -> None:
    """A line a second: how many transactions and errors so far, and how many in the last."""
    before, second = 0, 0
    while True:
        await asyncio.sleep(1)
        if all(task.done() for task in playing):
            return
        second += 1
        meters = [meter for target in targets for meter in target.meters]
        done = sum(meter.transactions for meter in meters)
        errors = sum(meter.errors.total() for meter in meters)
        line = {"second": second, "transactions": done, "tps": done - before, "errors": errors}
        print(json.dumps(line), file=sys.stderr, flush=True)
        before = done


async def check(target: Target) -> dict[str, Any]:
    """Whether what was acknowledged is there and the invariants hold, or that it is unknown."""
    limit = Limit(CLOCK, CHECK_SECONDS)
    door = Door(target.read_write, Meter(CLOCK), limit, random.Random(0))
    try:
        lost = await checks.lost(target.service, target.ledger.entries, door)
        invariants = await checks.invariants(target.service, door)
    except (TimeOver, Refused) as error:
        reason = str(error) or "the database did not answer"
        return {"verified": False, "reason": reason, "lost": None, "invariants": []}
    finally:
        await door.close()
    return {
        "verified": True,
        "lost": sum(map(len, lost.values())),
        "lost_ids": {kind: ids[:EXAMPLES_OF_LOST] for kind, ids in lost.items()},
        "invariants": invariants,
    }


def results(
    targets: Sequence[Target],
    checked: Sequence[Mapping[str, Any]],
    seconds: float,
    clients: int,
    seed: int,
) -> dict[str, Any]:
    """The document that is printed. `ok` is: all was verified, nothing lost, all invariants hold.

    Errors do not make it false: a failover has some, and what failed was tried again.
    """
    databases = [
        {
            "environment": target.environment,
            "service": target.service,
            **report(target.meters, seconds),
            "read_write": report([target.writes], seconds),
            "read_only": report([target.reads], seconds) if target.read_only else None,
            "acknowledged": {kind: len(ids) for kind, ids in target.ledger.entries.items()},
            **check,
        }
        for target, check in zip(targets, checked, strict=True)
    ]
    return {
        "seconds": round(seconds, 3),
        "clients": clients,
        "seed": seed,
        "ok": all(
            c["verified"] and not c["lost"] and not any(i["violations"] for i in c["invariants"])
            for c in checked
        ),
        "totals": report([meter for target in targets for meter in target.meters], seconds),
        "databases": databases,
    }


def main() -> int:
    """Read the document, play, print the results."""
    try:
        wish = Wish.parse(json.load(sys.stdin))
    except (ValueError, KeyError, TypeError) as error:
        print(f"the document does not say what to do: {error}", file=sys.stderr)
        return 2
    json.dump(asyncio.run(run(wish)), sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
