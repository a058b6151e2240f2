"""What the controller's exporter tells, where, and what it does where it cannot."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from pgherd.autopilot.archive import Archive
from pgherd.autopilot.controller import Controller
from pgherd.autopilot.exporter import AGAIN_SECONDS, STALE_SECONDS, Exporter
from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.metrics_server import MetricsServer
from pgherd.autopilot.requests import Applied
from pgherd.autopilot.telling import Telling
from pgherd.contract.meter import DatabaseCounters
from pgherd.contract.observed import Observation
from pgherd.decide.sizing import Rule, Verdict
from pgherd.fleet.desired import METRICS, DatabaseId, Listen
from pgherd.metrics.picture import OfAutopilot, Picture
from pgherd.store.store import Store
from pgherd.testing.fleets import database, fleet
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
FLEET = fleet(database("auth"))
AUTH = DatabaseId("production", "auth")
OTHER = Listen("127.0.0.1", 9999)


def picture(clients: int = 7, listen: Listen | None = METRICS) -> Picture:
    return Picture(
        replace(FLEET, monitoring=listen),
        OfAutopilot(True, AT.timestamp(), 0),
        {"memory": Observation()},
        {AUTH: DatabaseCounters(clients=clients)},
    )


@dataclass
class Servers:
    """Servers that are only remembered, of which those at some places cannot be."""

    taken: set[Listen] = field(default_factory=set)
    open: list[Listen] = field(default_factory=list)
    tries: int = 0

    async def __call__(self, listen: Listen, text: Callable[[], bytes]) -> Remembered:
        self.tries += 1
        if listen in self.taken:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self.open.append(listen)
        return Remembered(self, listen)


@dataclass
class Remembered:
    servers: Servers
    listen: Listen

    def close(self) -> None:
        self.servers.open.remove(self.listen)


@dataclass
class Setting:
    store: Store
    servers: Servers = field(default_factory=Servers)
    now: float = 1000.0

    def exporter(self) -> Exporter:
        return Exporter(Telling(Archive.of(self.store)), self.servers, lambda: self.now)

    def events(self) -> list[tuple[str, str]]:
        return [(e.kind, e.reason) for e in self.store.events()]


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(Store.open(tmp_path / "history.db")[0])


async def test_it_tells_what_was_seen_last(setting: Setting) -> None:
    exporter = setting.exporter()
    for clients in (7, 8):
        await exporter.show(picture(clients), AT)
        assert f'pgherd_pooler_clients{{environment="production",service="auth"}} {clients}\n' in (
            exporter.text().decode()
        )
    assert setting.servers.open == [METRICS]
    assert setting.events() == []


async def test_one_picture_is_written_once(setting: Setting) -> None:
    exporter = setting.exporter()
    await exporter.show(picture(), AT)
    assert exporter.text() is exporter.text()


async def test_what_is_old_is_not_told_any_more(setting: Setting) -> None:
    exporter = setting.exporter()
    await exporter.show(picture(), AT)
    setting.now += STALE_SECONDS + 1
    found = exporter.text().decode()
    assert "pgherd_pooler_clients" not in found
    assert "pgherd_engine_up" not in found
    assert f"pgherd_autopilot_last_round_timestamp_seconds {AT.timestamp()}\n" in found


async def test_a_port_that_is_taken_is_said_once_and_tried_again(setting: Setting) -> None:
    setting.servers.taken = {METRICS}
    exporter = setting.exporter()
    for _ in range(3):
        await exporter.show(picture(), AT)
    assert setting.servers.tries == 1
    setting.now += AGAIN_SECONDS
    await exporter.show(picture(), AT)
    assert setting.servers.tries == 2
    kind = "metrics-not-served"
    assert setting.events() == [(kind, "127.0.0.1:9468 cannot be used: Address already in use")]
    setting.servers.taken = set()
    setting.now += AGAIN_SECONDS
    await exporter.show(picture(), AT)
    assert setting.servers.open == [METRICS]


async def test_another_place_in_the_fleet_file_is_served_instead(setting: Setting) -> None:
    exporter = setting.exporter()
    await exporter.show(picture(), AT)
    await exporter.show(picture(listen=OTHER), AT)
    assert setting.servers.open == [OTHER]
    await exporter.show(picture(listen=None), AT)
    assert setting.servers.open == []


async def test_resizes_are_counted_over_a_restart(setting: Setting) -> None:
    line = 'pgherd_autopilot_resizes_total{environment="production",service="auth"}'
    for count in (1, 2):
        exporter = setting.exporter()
        await exporter.recall()
        await exporter.resized("production/auth")
        await exporter.show(picture(), AT)
        assert f"{line} {count}\n" in exporter.text().decode()


async def test_a_count_that_cannot_be_read_begins_anew(setting: Setting) -> None:
    setting.store.remember("resizes", b'{"production/auth": -1}')
    exporter = setting.exporter()
    await exporter.recall()
    await exporter.show(picture(), AT)
    assert "pgherd_autopilot_resizes_total" in exporter.text().decode()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/metrics", 200),
        ("GET", "/metrics?name[]=up", 200),
        ("HEAD", "/metrics", 405),
        ("POST", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/metrics/../etc/passwd", 404),
        ("DELETE", "/anything", 404),
    ],
)
async def test_there_is_one_path_and_one_method(method: str, path: str, status: int) -> None:
    server = MetricsServer(lambda: b"pgherd_info 1\n")
    answer = await server.answer(make_mocked_request(method, path))
    assert isinstance(answer, web.Response)
    assert answer.status == status
    assert answer.keep_alive is False
    assert (answer.body == b"pgherd_info 1\n") == (status == 200)
    if status == 200:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


class Helper:
    """One that has one fleet applied, and carries out nothing."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def applied(self, number: int, digest: str) -> Applied:
        return Applied(1, "-", msgspec.Raw(b"{}"), ())

    async def carry_out(self, request: object) -> float:
        self.asked.append(request)
        return 0.25

    def beat(self, at: float, alerts: int) -> None:
        pass


async def test_the_controller_shows_each_round_and_counts_what_it_resized(
    setting: Setting,
) -> None:
    world = World()
    engine = MemoryEngine(world)
    wanted = FLEET.database(AUTH)
    await engine.ensure_environment(wanted.environment)
    await engine.ensure_database(wanted)
    world.counters[AUTH] = DatabaseCounters(clients=11)
    exporter, telling = setting.exporter(), Telling(Archive.of(setting.store))
    controller = Controller(
        cast("HelperLink", Helper()),
        telling,
        lambda _: FLEET,
        lambda _: {"memory": engine},
        exporter,
    )
    await controller.round()
    found = exporter.text().decode()
    labels = '{environment="production",service="auth"}'
    assert f"pgherd_pooler_clients{labels} 11\n" in found
    assert f"pgherd_database_up{labels} 1\n" in found
    assert f"pgherd_autopilot_resizes_total{labels} 0\n" in found
    assert setting.servers.open == [METRICS]
    verdict = Verdict(4, Rule.CPU, "it is busy")
    await controller._resize(wanted, 2, verdict, None)
    world.counters[AUTH] = DatabaseCounters(clients=12)
    controller._due.clear()  # what it tells now and then is due
    await controller.round()
    found = exporter.text().decode()
    assert f"pgherd_pooler_clients{labels} 12\n" in found
    assert f"pgherd_autopilot_resizes_total{labels} 1\n" in found
    for task in list(controller._asking._busy.values()):
        task.cancel()
