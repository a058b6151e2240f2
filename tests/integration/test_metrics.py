"""Metrics over real HTTP, and of real databases: they parse, they grow, and nobody blocks them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from exposition_parser import Parsed, parse
from running_fleet import ORDER, RunningFleet, connect

from pgherd.autopilot import metrics_server
from pgherd.autopilot.archive import Archive
from pgherd.autopilot.exporter import Exporter
from pgherd.autopilot.metrics_server import MetricsServer
from pgherd.autopilot.telling import Telling
from pgherd.control.lookout import Lookout
from pgherd.engines.local.engine import LocalEngine
from pgherd.fleet.desired import Fleet, Listen
from pgherd.metrics.picture import OfAutopilot, Picture
from pgherd.store.store import Store
from pgherd.testing.fleets import database, fleet

pytestmark = pytest.mark.integration
OF_ORDER = (("environment", "production"), ("service", "order"))
GET = b"GET /metrics HTTP/1.1\r\nHost: anybody\r\n\r\n"


def free_place() -> Listen:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return Listen("127.0.0.1", int(one.getsockname()[1]))


async def asked(listen: Listen, request: bytes) -> bytes:
    """All that is answered; nothing where the connection is refused or ended."""
    reader, writer = await asyncio.open_connection(listen.address, listen.port)
    try:
        writer.write(request)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def scraped(listen: Listen) -> dict[str, Parsed]:
    head, _, body = (await asked(listen, GET)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"text/plain; version=0.0.4" in head
    return parse(body.decode())


@asynccontextmanager
async def served(listen: Listen) -> AsyncIterator[None]:
    """A server with something to tell."""
    server = await MetricsServer.open(listen, lambda: b"# HELP a A.\n# TYPE a gauge\na 1\n")
    try:
        yield
    finally:
        server.close()


async def test_what_is_no_scrape_is_refused() -> None:
    listen = free_place()
    async with served(listen):
        assert (await scraped(listen))["a"].samples == {(): 1}
        for request, status in (
            (GET.replace(b"/metrics", b"/"), b"404"),
            (GET.replace(b"GET", b"POST"), b"405"),
            (GET.replace(b"Host", b"Content-Length: 9999999\r\nHost"), b"200"),
            (GET.replace(b"anybody", b"a" * 5000), b"400"),
            (GET.replace(b"Host", b"X: 1\r\n" * 100 + b"Host"), b"400"),
            (b"\x16\x03\x01\x00nonsense\r\n\r\n", b"400"),
        ):
            answer = await asked(listen, request)
            assert answer.split(b" ")[1] == status, (request[:40], answer[:100])
            assert answer.count(b"HTTP/1.1") <= 1


async def test_those_who_say_nothing_are_ended_and_others_are_answered_again() -> None:
    listen = free_place()
    async with served(listen):
        silent = [
            await asyncio.open_connection(listen.address, listen.port)
            for _ in range(metrics_server.MOST_CONNECTIONS)
        ]
        await asyncio.sleep(0.2)
        assert await asked(listen, GET) == b""
        ended = asyncio.gather(*(reader.read() for reader, _ in silent), return_exceptions=True)
        await asyncio.wait_for(ended, metrics_server.LONGEST_SECONDS + 3)
        for _, writer in silent:
            writer.close()
        assert await scraped(listen)


async def test_a_second_fleet_goes_on_without_the_port_of_the_first(tmp_path: Path) -> None:
    listen = free_place()
    wanted = replace(fleet(database("auth")), monitoring=listen)
    picture = Picture(wanted, OfAutopilot(is_up=True))
    stores = [Store.open(tmp_path / name)[0] for name in ("first.db", "second.db")]
    first, second = (Exporter(Telling(Archive.of(store))) for store in stores)
    for exporter in (first, second, second):
        await exporter.show(picture, datetime.now(UTC))
    assert "pgherd_info" in await scraped(listen)
    told = [[(e.kind, e.reason) for e in store.events()] for store in stores]
    assert told[0] == []
    assert [kind for kind, _ in told[1]] == ["metrics-not-served"]
    assert f"{listen} cannot be used: " in told[1][0][1]
    assert "in use" in told[1][0][1]
    await first.show(replace(picture, fleet=replace(wanted, monitoring=None)), datetime.now(UTC))


def of_primary(found: dict[str, Parsed], name: str) -> float | None:
    for labels, value in found[name].samples.items() if name in found else ():
        if labels[:2] == OF_ORDER and ("role", "primary") in labels:
            return value
    return None


async def look(wanted: Fleet, engine: LocalEngine) -> Picture:
    await engine.meter.usage(timedelta(minutes=1))
    return Picture(
        wanted,
        OfAutopilot(True, time.time(), 0),
        await Lookout({"local": engine}, roles=False).look_everywhere(),
        engine.meter.counters(),
    )


def test_counters_of_a_real_database_parse_and_grow(running: RunningFleet, tmp_path: Path) -> None:
    listen = free_place()
    wanted = replace(running.fleet, monitoring=listen)
    parameters = running.through_pooler(ORDER)

    async def story() -> tuple[dict[str, Parsed], dict[str, Parsed]]:
        exporter = Exporter(Telling(Archive.of(Store.open(tmp_path / "history.db")[0])))
        engine = running.engine
        before = await until(exporter, engine, 0)
        transactions = of_primary(before, "pgherd_instance_transactions_total") or 0
        with connect(parameters) as client:
            for _ in range(50):
                client.execute("SELECT sum(i) FROM generate_series(1, 100000) AS i")
            after = await until(exporter, engine, transactions + 50)
        nowhere = replace(wanted, monitoring=None)
        await exporter.show(await look(nowhere, engine), datetime.now(UTC))
        return before, after

    async def until(
        exporter: Exporter, engine: LocalEngine, transactions: float
    ) -> dict[str, Parsed]:
        """The first document that tells of so many."""
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            await exporter.show(await look(wanted, engine), datetime.now(UTC))
            found = await scraped(listen)
            told = of_primary(found, "pgherd_instance_transactions_total")
            if told is not None and told >= transactions:
                return found
            await asyncio.sleep(3)
        raise AssertionError(f"{transactions} transactions are not told")

    before, after = running.run(story())
    old, new = (of_primary(f, "pgherd_instance_cpu_seconds_total") for f in (before, after))
    assert old is not None and new is not None and new > old
    assert after["pgherd_database_up"].samples[OF_ORDER] == 1
    assert after["pgherd_database_max_ocpus"].samples[OF_ORDER] == 4
    assert of_primary(after, "pgherd_instance_up") == 1
    assert of_primary(after, "pgherd_instance_wal_bytes_total")
    assert len(after["pgherd_instance_up"].samples) == 6
