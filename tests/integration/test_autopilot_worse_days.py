"""Worse days of the autopilot: other hands at work, an etcd that is gone, clocks that jump.

`lab/auth` has a replica and may be restarted at any time; `shop/auth` is alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from test_autopilot import autopilot_of, events, needs_quotas, state
from tiny_place import Place, eventually, new_place

pytestmark = pytest.mark.integration

SHOP = """\
  shop:
    engine: local
    network: 10.1.0.0/16
    availability_domains: 1
    ocpus: 1..4
    storage: 1TB
    replicas: 0
"""
ALWAYS = '[{from: "00:00", to: "12:00"}, {from: "12:00", to: "00:00"}]'
BUSY = "SELECT sum(sqrt(i)) FROM generate_series(1, 400000) AS i"


def want(place: Place, ocpus: str) -> None:
    """`lab/auth` may have so many OCPUs."""
    lab = f"{{ocpus: {ocpus}, replicas: 1..2, maintenance: {ALWAYS}}}"
    place.want(services="auth", more=SHOP, overrides=f"overrides:\n  lab/auth: {lab}")


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    with new_place(has_autopilot=True) as place:
        want(place, "1..4")
        place.up()
        yield place


def database(place: Place, environment: str) -> dict[str, Any]:
    _, output = place.outcome("status", "--json")
    found, _ = json.JSONDecoder().raw_decode(output)
    (one,) = (d for d in found["databases"] if d["environment"] == environment)
    return dict(one)


def is_well(place: Place) -> bool:
    states = [sorted(i["state"] for i in database(place, e)["instances"]) for e in ("lab", "shop")]
    return states == [["running", "streaming"], ["running"]]


def rounds(place: Place, count: int = 4) -> None:
    """So many ended, whatever the clock says meanwhile."""
    for _ in range(count):
        last = state(place).last_round_at
        eventually(lambda last=last: state(place).last_round_at != last, 30)  # type: ignore[misc]


@contextmanager
def busy(place: Place, name: str) -> Iterator[None]:
    """One client asks for more than there is, on one connection, and loses it never."""
    url = place.run("url", name).strip()
    failures: list[Exception] = []
    is_over = threading.Event()

    def work() -> None:
        try:
            with psycopg.connect(url, autocommit=True) as client:
                while not is_over.is_set():
                    client.execute(BUSY)
        except psycopg.Error as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        is_over.set()
        worker.join()
    assert not failures


@contextmanager
def writing(place: Place) -> Iterator[list[int]]:
    """Rows that were acknowledged; who loses the connection comes again with the same row."""
    url = place.run("url", "lab/auth", "--transaction").strip()
    written: list[int] = []
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            with suppress(psycopg.Error), psycopg.connect(url, autocommit=True) as client:
                while not is_over.is_set():
                    number = len(written)
                    client.execute("INSERT INTO kept VALUES (%s) ON CONFLICT DO NOTHING", (number,))
                    written.append(number)

    with place.connect("auth") as client:
        client.execute("CREATE TABLE IF NOT EXISTS kept (n int PRIMARY KEY)")
    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield written
    finally:
        is_over.set()
        worker.join()


# Other hands


def test_up_with_another_file_in_the_middle_of_a_rolling_restart(tiny: Place) -> None:
    before = {i["name"]: i["role"] for i in database(tiny, "lab")["instances"]}
    servers = {name: postmaster(tiny, name) for name in before}
    (replica,) = (name for name, role in before.items() if role == "replica")
    with writing(tiny) as written:
        for name in before:
            alter(tiny, name, "max_files_per_process = 900")
        eventually(lambda: postmaster(tiny, replica) not in (None, servers[replica]), 150)
        want(tiny, "2..4")
        said = tiny.up()
        assert "given up" not in said
        assert database(tiny, "lab")["ocpus"] == 2
        count = len(written)
        eventually(lambda: len(written) > count + 20, 30)
    eventually(lambda: is_well(tiny), 60)
    eventually(lambda: all(shown(tiny, name) == "900" for name in before), 150)
    for name in before:
        assert postmaster(tiny, name) not in (None, servers[name])
    with tiny.connect("auth") as client:
        assert client.execute("SELECT count(*) FROM kept").fetchone() == (len(written),)
    settled = {name: postmaster(tiny, name) for name in before}
    rounds(tiny, 32)  # it looks twice before it does anything
    assert {name: postmaster(tiny, name) for name in before} == settled, "it goes on restarting"
    assert not [e for e in events(tiny, "lab/auth") if e["kind"].endswith("-failed")]


def postmaster(place: Place, instance: str) -> int | None:
    with suppress(OSError, ValueError):
        number = instance.removeprefix("auth-")
        return int((place.kept("auth", number) / "data/postmaster.pid").read_text().split()[0])
    return None


def asked(place: Place, instance: str, *statements: str) -> str:
    """The last answer of one instance, asked as its superuser."""
    folder = place.root / f"run/lab.auth.{instance.removeprefix('auth-')}"
    with psycopg.connect(
        host=str(folder), port=5432, dbname="postgres", user="postgres", autocommit=True
    ) as server:
        for statement in statements[:-1]:
            server.execute(statement.encode())
        return str((server.execute(statements[-1].encode()).fetchone() or ("",))[0])


def alter(place: Place, instance: str, setting: str) -> None:
    """It waits for a restart from now on, and its Patroni knows."""
    asked(place, instance, f"ALTER SYSTEM SET {setting}", "SELECT pg_reload_conf()")
    number = instance.removeprefix("auth-")
    os.kill(place.program(f"databases/lab/auth/{number}"), signal.SIGHUP)


def shown(place: Place, instance: str) -> str:
    with suppress(psycopg.Error):
        return asked(place, instance, "SHOW max_files_per_process")
    return ""


@needs_quotas
def test_a_smaller_bound_is_applied_while_it_grows(tiny: Place) -> None:
    want(tiny, "1..8")
    tiny.up()
    with busy(tiny, "lab/auth"):
        eventually(lambda: database(tiny, "lab")["ocpus"] == 4, 120)
        want(tiny, "1..2")
        tiny.up()
        assert database(tiny, "lab")["ocpus"] == 2
        rounds(tiny, 15)
        assert database(tiny, "lab")["ocpus"] == 2
    eventually(lambda: is_well(tiny), 30)
    scaled = [e["ocpus"]["to"] for e in events(tiny, "lab/auth") if e["kind"] == "scale"]
    assert scaled[0] == 4, "nothing was made larger after the bound was applied"


# Clocks


def test_clocks_that_jump_change_nothing(tiny: Place) -> None:
    place = autopilot_of(tiny)
    shift = tiny.folder / "shift"
    shift.write_text("0")
    before = [database(tiny, name) for name in ("lab", "shop")]
    servers = [postmaster(tiny, name) for name in ("auth-1", "auth-2")]
    tiny.run("run", "--stop")
    said = (place.history / "controller.log").stat().st_size
    program = Path(__file__).parents[1] / "shifted_autopilot.py"
    with subprocess.Popen(
        [sys.executable, "-P", "-s", program, place.applied, shift],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as helper:
        eventually(lambda: running(tiny) == helper.pid, 20)
        for seconds in (0, 3600, -3600, 26 * 3600, 0):
            shift.write_text(str(seconds))
            rounds(tiny, 2)
            last = state(tiny).last_round_at
            assert last
            assert abs(last - seconds - time.time()) < 60
            rounds(tiny, 5)
            assert state(tiny).alerts == 0
            for command in ("why", "events"):
                tiny.run(command, "shop/auth")
            tiny.run("top", "--once")
        after = [database(tiny, name) for name in ("lab", "shop")]
        assert [d["ocpus"] for d in after] == [d["ocpus"] for d in before]
        assert [postmaster(tiny, name) for name in ("auth-1", "auth-2")] == servers
        shift.write_text("-3600")
        grows(tiny)
        assert "Traceback" not in (place.history / "controller.log").read_text()[said:]
        tiny.run("run", "--stop")
    tiny.up()
    rounds(tiny, 2)


def running(place: Place) -> int | None:
    with suppress(AssertionError):
        return state(place).pid
    return None


def grows(place: Place) -> None:
    """`shop/auth` gets more where it needs more."""
    size = database(place, "shop")["ocpus"]
    with busy(place, "shop/auth"):
        eventually(lambda: database(place, "shop")["ocpus"] == 2 * size, 90)


# etcd


@needs_quotas
def test_one_environments_etcd_is_gone_and_the_other_is_sized(tiny: Place) -> None:
    servers = [postmaster(tiny, name) for name in ("auth-1", "auth-2")]
    size = database(tiny, "lab")["ocpus"]
    with gone(tiny, "environments/lab/etcd"):
        eventually(lambda: "lab/auth" in alerts(tiny), 60)
        grows(tiny)
        assert "shop/auth" not in alerts(tiny)
        rounds(tiny, 10)
        with tiny.connect("auth") as client:
            assert client.execute("SELECT 1").fetchone() == (1,)
    eventually(lambda: is_well(tiny), 60)
    eventually(lambda: not alerts(tiny), 60)
    assert [postmaster(tiny, name) for name in ("auth-1", "auth-2")] == servers
    assert database(tiny, "lab")["ocpus"] == size


@contextmanager
def gone(place: Place, *folder: str) -> Iterator[None]:
    """A program that is killed whenever it is there."""
    is_over = threading.Event()

    def kill() -> None:
        while not is_over.wait(0.1):
            with suppress(ValueError, OSError):
                os.kill(place.program(*folder), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        is_over.set()
        killer.join()


def alerts(place: Place) -> set[str]:
    return {a["database"] for a in json.loads(place.run("alerts", "--json"))["alerts"]}
