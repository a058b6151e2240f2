"""Clients that write without pause and remember every answer, to see what a fault does to them.

Each insert has an id of its own and brings back the timeline of the server that took it, so two
things can be told afterwards: whether an acknowledged id is missing, and whether two servers
took writes at one time. A failed insert is counted and never repeated under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psycopg

RETRY_SECONDS = 0.01
CONNECT_SECONDS = 10

TABLE = "CREATE TABLE written (id bigint PRIMARY KEY, at timestamptz DEFAULT now())"
INSERT = (
    "INSERT INTO written (id) VALUES (%s)"
    " RETURNING substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"
)
PROBE_TABLE = "CREATE TABLE probed (at timestamptz DEFAULT now())"
PROBE = (
    "INSERT INTO probed DEFAULT VALUES"
    " RETURNING substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"
)


@dataclass(frozen=True, slots=True)
class Write:
    """One acknowledged write: when it was sent and answered, and on which timeline."""

    id: int
    began: float
    ended: float
    timeline: int


@dataclass(frozen=True, slots=True)
class Failure:
    """One write, or one attempt to connect, that failed."""

    at: float
    text: str


@dataclass(slots=True)
class Written:
    """What all writers have seen so far; times are `time.monotonic()`."""

    writes: list[Write] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    ids: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def since(self, moment: float) -> list[Write]:
        """The writes that were acknowledged from then on, in order."""
        recent = itertools.takewhile(lambda w: w.ended >= moment, reversed(self.writes))
        return list(recent)[::-1]


@dataclass(frozen=True, slots=True)
class Gap:
    """The longest time without an acknowledged write, and when it began after the fault."""

    seconds: float
    after: float


def longest_gap(writes: Sequence[Write], fault: float) -> Gap:
    """The longest gap that ended after the fault. `writes` begin before it."""
    gaps = [
        Gap(later.ended - earlier.ended, earlier.ended - fault)
        for earlier, later in itertools.pairwise(writes)
        if later.ended > fault
    ]
    return max(gaps, key=lambda gap: gap.seconds, default=Gap(float("nan"), 0.0))


def split_brain(writes: Iterable[Write]) -> list[Write]:
    """The writes sent to an older timeline after a newer one had acknowledged a write."""
    events = sorted(
        itertools.chain.from_iterable(((w.ended, 0, w), (w.began, 1, w)) for w in writes),
        key=lambda event: event[:2],
    )
    newest, found = 0, []
    for _, is_begin, write in events:
        if not is_begin:
            newest = max(newest, write.timeline)
        elif write.timeline < newest:
            found.append(write)
    return found


@asynccontextmanager
async def writing(
    parameters: Mapping[str, str], count: int, pause: float = 0.0
) -> AsyncIterator[Written]:
    """`count` writers are at work; `pause` seconds between two writes of one."""
    written = Written()
    tasks = [asyncio.create_task(_write(parameters, written, pause)) for _ in range(count)]
    try:
        yield written
    finally:
        await _end(tasks)


@asynccontextmanager
async def probing(
    servers: Sequence[Mapping[str, str]], pause: float = 0.05
) -> AsyncIterator[Written]:
    """Write to every server that takes it, past the pooler, whoever leads."""
    written = Written()
    tasks = [asyncio.create_task(_probe(server, written, pause)) for server in servers]
    try:
        yield written
    finally:
        await _end(tasks)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _write(parameters: Mapping[str, str], written: Written, pause: float) -> None:
    ids = iter(written.ids)
    while True:
        with _noting(written):
            async with await _connect(parameters) as connection:
                while not connection.closed:
                    with _noting(written):
                        id = next(ids)
                        began = time.monotonic()
                        cursor = await connection.execute(INSERT, (id,))
                        row = await cursor.fetchone()
                        assert row
                        write = Write(id, began, time.monotonic(), int(row[0], 16))
                        written.writes.append(write)
                    if pause:
                        await asyncio.sleep(pause)
        await asyncio.sleep(RETRY_SECONDS)


async def _probe(server: Mapping[str, str], written: Written, pause: float) -> None:
    while True:
        with _noting(written):
            async with await _connect(server) as connection:
                while not connection.closed:
                    cursor = await connection.execute("SELECT pg_is_in_recovery()")
                    if (row := await cursor.fetchone()) and not row[0]:
                        began = time.monotonic()
                        cursor = await connection.execute(PROBE)
                        row = await cursor.fetchone()
                        assert row
                        write = Write(0, began, time.monotonic(), int(row[0], 16))
                        written.writes.append(write)
                    await asyncio.sleep(pause)
        await asyncio.sleep(pause)


async def _connect(parameters: Mapping[str, str]) -> psycopg.AsyncConnection[tuple[str]]:
    connection: psycopg.AsyncConnection[tuple[str]] = await psycopg.AsyncConnection.connect(
        **parameters,  # type: ignore[arg-type]
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
    )
    return connection


@contextlib.contextmanager
def _noting(written: Written) -> Iterator[None]:
    """Failures are written down, not raised."""
    try:
        yield
    except (psycopg.Error, OSError) as error:
        text = str(error).strip().splitlines()
        written.failures.append(Failure(time.monotonic(), text[0] if text else repr(error)))
