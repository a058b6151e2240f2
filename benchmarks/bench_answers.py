"""Whether every client gets its own answers, whatever the others do, through each way in.

Fifty clients of five kinds send statements that keep something on a server connection (settings,
temporary tables, cursors, prepared statements, locks, channels) and ask for it again. All that they
keep carries their name. An answer is right, refused with a hint, an error, lost (nothing is there
any more), or wrong: it is another client's, and nobody would have known.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).resolve().parent))

import asyncpg
import psycopg
from measure import Report, arguments, say
from psycopg.conninfo import make_conninfo
from sandbox import sandbox

from pgherd.contract.access import Access, AccessRole
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout
from pgherd.fleet.desired import DatabaseId, Pooling

DATABASE = DatabaseId("development", "auth")
FLEET = """\
fleet: answers
services: [auth]
environments:
  development: {engine: local, network: 10.2.0.0/16, ocpus: 2..40, storage: 1TB}
"""
CLIENTS = 50
"""More than there are server connections for transactions, fewer than for sessions."""
NOTHING = (None, "", "0", "false")
"""What is said where nothing is kept."""
REFUSED = (psycopg.errors.FeatureNotSupported, asyncpg.FeatureNotSupportedError)
ERRORS = (psycopg.Error, asyncpg.PostgresError)


class Client(Protocol):
    """A driver in one of its ways."""

    async def ask(self, query: str) -> Any:
        """The first value of the first row, None where there is none."""
        ...


@dataclass(frozen=True)
class Psycopg:
    """psycopg; `in_transactions` puts each statement into one of its own."""

    connection: psycopg.AsyncConnection[Any]
    in_transactions: bool = False

    async def ask(self, query: str) -> Any:
        if self.in_transactions:
            async with self.connection.transaction():
                return await self._ask(query)
        return await self._ask(query)

    async def _ask(self, query: str) -> Any:
        cursor = await self.connection.execute(query.encode())
        row = await cursor.fetchone() if cursor.description else None
        return row[0] if row else None


@dataclass(frozen=True)
class Asyncpg:
    """asyncpg with its cache of statements; `is_simple` keeps by the simple protocol."""

    connection: asyncpg.Connection
    is_simple: bool = False

    async def ask(self, query: str) -> Any:
        if self.is_simple and not query.startswith(("SELECT", "SHOW", "FETCH", "EXECUTE")):
            return await self.connection.execute(query)
        return await self.connection.fetchval(query)


async def opened(kind: int, access: Access, stack: AsyncExitStack) -> Client:
    """A client of one of five kinds."""
    if kind > 2:
        connection = await asyncpg.connect(access.uri())
        stack.push_async_callback(connection.close)
        return Asyncpg(connection, is_simple=kind == 4)
    own = await psycopg.AsyncConnection.connect(
        make_conninfo("", **access.parameters()), autocommit=True
    )
    own.prepare_threshold = (None, 0, 5)[kind]
    return Psycopg(await stack.enter_async_context(own), in_transactions=kind == 2)


def steps(number: int) -> list[tuple[str, str, str]]:
    """What a client keeps, how it asks for it, and what is right."""
    name, timeout = f"c{number}", f"{1001 + number}ms"
    return [
        ("", f"SELECT '{name}'", name),
        (f"SET shop.who = '{name}'", "SELECT current_setting('shop.who', true)", name),
        (f"SET statement_timeout = '{timeout}'", "SHOW statement_timeout", timeout),
        (
            f"CREATE TEMP TABLE IF NOT EXISTS mine AS SELECT '{name}' AS who",
            "SELECT who FROM mine",
            name,
        ),
        (f"DECLARE c CURSOR WITH HOLD FOR SELECT '{name}'", "FETCH c", name),
        (f"PREPARE p AS SELECT '{name}'", "EXECUTE p", name),
        (
            f"SELECT pg_try_advisory_lock({number})",
            f"SELECT pg_advisory_unlock({number})::text",
            "true",
        ),
        (f"LISTEN {name}", "SELECT string_agg(c, ' ') FROM pg_listening_channels() c", name),
    ]


AFTER = {"FETCH c": "CLOSE c", "EXECUTE p": "DEALLOCATE p"}
"""What makes room for the next of its kind."""


async def play(client: Client, number: int, count: int, found: Counter[str]) -> None:
    """`count` statements of one client, in an order of its own."""
    chance = random.Random(number)
    kinds = steps(number)
    sent = 0
    while sent < count:
        keep, question, right = chance.choice(kinds)
        sent += 3
        try:
            if keep:
                await client.ask(keep)
            await client.ask(f"SELECT {number}")
            answer = await client.ask(question)
            if after := AFTER.get(question):
                sent += 1
                await client.ask(after)
        except REFUSED:
            found["refused"] += 1
        except ERRORS:
            found["errors"] += 1
        else:
            answer = answer if answer is None else str(answer)
            if answer == right:
                found["right"] += 1
            else:
                found["lost" if answer in NOTHING else "wrong"] += 1


async def run(access: Access, statements: int) -> Counter[str]:
    """All clients at once."""
    found = Counter[str]()
    async with AsyncExitStack() as stack:
        clients = [await opened(number % 5, access, stack) for number in range(CLIENTS)]
        each = statements // CLIENTS
        await asyncio.gather(*(play(c, n, each, found) for n, c in enumerate(clients)))
    return found


async def ways(layout: Layout, fleet: str) -> dict[Pooling, Access]:
    """How the service connects in each way."""
    engine = LocalEngine(fleet, layout)
    return {p: await engine.access(DATABASE, AccessRole.SERVICE, p) for p in Pooling}


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--statements", type=int, default=200_000, help="for each way in")
    options = parser.parse_args()
    report = Report("answers")
    with sandbox(FLEET, options.logs) as fleet:
        say(f"pgherd up in {fleet.state}")
        fleet.run("up")
        for pooling, access in asyncio.run(ways(Layout(fleet.root), fleet.wanted.name)).items():
            began = time.monotonic()
            found = asyncio.run(run(access, options.statements))
            say(f"{pooling}: {dict(found)} in {time.monotonic() - began:.0f} s")
            report.samples[pooling] = dict(found)
            report.add(f"{pooling}: answers of another client", found["wrong"], target=0)
            report.add(f"{pooling}: lost in silence", found["lost"], target=0)
            target = 0 if pooling is Pooling.SESSION else None
            report.add(f"{pooling}: errors", found["errors"], target=target)
            report.add(f"{pooling}: refused with a hint", found["refused"])
            report.add(f"{pooling}: right", found["right"])
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
