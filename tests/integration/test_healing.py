"""What is frozen, gone or damaged while the fleet runs, and comes back though nobody does anything.

auth has a replica, order has none. Each test leaves all of it running.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tiny_place import Place, answers, eventually, new_place

from pgherd.engines.local import patroni, processes
from pgherd.engines.local.agent.core import UNHEARD_SECONDS

pytestmark = pytest.mark.integration

LEASE = patroni.TTL
ALL_WELL = ["running", "streaming"]


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    with new_place() as place:
        place.up()
        yield place


def is_well(place: Place) -> bool:
    return place.instances("auth") == ALL_WELL and place.instances("order") == ["running"]


def primary(place: Place) -> str:
    """The number of auth's primary."""
    instances = place.databases()["auth"]["instances"]
    return next(i["name"] for i in instances if i["role"] == "primary").removeprefix("auth-")


def replica(place: Place) -> str:
    instances = place.databases()["auth"]["instances"]
    return next(i["name"] for i in instances if i["role"] == "replica").removeprefix("auth-")


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """They stand still, and go on in the end if they are still there."""
    births = {pid: processes.start_time(pid) for pid in pids}
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid, birth in births.items():
            if processes.start_time(pid) == birth:
                os.kill(pid, signal.SIGCONT)


FROZEN: dict[str, Callable[[Place], int]] = {
    "pooler": lambda place: place.program("databases/lab/auth/pooler"),
    "etcd": lambda place: place.program("environments/lab/etcd"),
    "Patroni": lambda place: place.program(f"databases/lab/auth/{primary(place)}"),
    "primary": lambda place: place.program(f"instances/lab/auth/{primary(place)}/data"),
    "replica": lambda place: place.program(f"instances/lab/auth/{replica(place)}/data"),
    "agent": Place.agent,
    "keeper": Place.keeper,
    "fork server": Place.forkserver,
}


@pytest.mark.parametrize("thing", FROZEN)
def test_what_is_frozen_is_ended_and_begun_again(tiny: Place, thing: str) -> None:
    pid = FROZEN[thing](tiny)
    birth = processes.start_time(pid)
    with frozen(pid):
        eventually(lambda: processes.start_time(pid) != birth, 10)
        eventually(lambda: answers(tiny, "auth") and answers(tiny, "order"), 10)
    eventually(lambda: is_well(tiny), 30)


def test_a_database_with_one_instance_comes_back_from_a_frozen_server(tiny: Place) -> None:
    with frozen(tiny.program("instances/lab/order/1/data")):
        # Its pooler has connections that are served on; a new one needs the postmaster.
        eventually(lambda: answers(tiny, "order"), 15)
    eventually(lambda: is_well(tiny), 30)


def test_status_says_soon_that_the_agent_hangs(tiny: Place) -> None:
    watchers = (tiny.keeper(), tiny.forkserver())
    agent = tiny.agent()
    with frozen(agent, *watchers):
        began = time.monotonic()
        _, output = tiny.outcome("status")
        assert time.monotonic() - began < 8
        assert f"(process {agent}) has not answered" in output
    eventually(lambda: is_well(tiny), 30)


def test_up_replaces_an_agent_that_hangs_with_all_who_watch_over_it(tiny: Place) -> None:
    agent, keeper, server = tiny.agent(), tiny.keeper(), tiny.forkserver()
    with frozen(agent, keeper, server):
        tiny.up()
        assert tiny.agent() != agent
        assert is_well(tiny)
    eventually(lambda: len(tiny.agents()) == 3, 20)


@pytest.mark.parametrize(
    "lost",
    [
        (Place.agent, Place.keeper),
        (Place.agent, Place.forkserver),
        (Place.keeper, Place.forkserver),
        (Place.keeper,),
    ],
    ids=["agent, keeper", "agent, fork server", "keeper, fork server", "keeper"],
)
def test_those_who_watch_over_one_another_come_back(
    tiny: Place, lost: tuple[Callable[[Place], int], ...]
) -> None:
    before = tiny.leaders()
    pids = [which(tiny) for which in lost]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(set(tiny.agents()) - set(pids)) == 3, 10)
    assert tiny.leaders() == before
    postmaster = tiny.program(f"instances/lab/auth/{primary(tiny)}/data")
    os.kill(postmaster, signal.SIGKILL)
    eventually(lambda: answers(tiny, "auth"), 5)
    eventually(lambda: is_well(tiny), 30)


def test_a_keeper_that_thaws_late_starts_no_second_agent(tiny: Place) -> None:
    keeper, agent = tiny.keeper(), tiny.agent()
    with frozen(keeper):
        os.kill(agent, signal.SIGKILL)
        eventually(lambda: tiny.agent() != agent, 15)
    eventually(lambda: len(tiny.agents()) == 3, 10)
    assert is_well(tiny)


def test_who_watched_over_an_earlier_agent_and_stands_still_is_ended(tiny: Place) -> None:
    keeper, agent = tiny.keeper(), tiny.agent()
    birth = processes.start_time(keeper)
    with frozen(keeper):
        os.kill(agent, signal.SIGKILL)  # the fork server sees to another
        eventually(lambda: processes.start_time(keeper) != birth, 20)
    eventually(lambda: len(tiny.agents()) == 3, 10)
    assert is_well(tiny)


def held_by(pid: int) -> list[str]:
    """The files that a process has open."""
    return [os.path.realpath(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]


@contextlib.contextmanager
def standing_still_inside(patroni: int, folder: Path) -> Iterator[None]:
    """It waits for ever for who would write its certificate, which it reads anew.

    To the kernel it sleeps, as whoever waits for work.
    """
    certificate = Path(json.loads((folder / "patroni.yml").read_text())["restapi"]["certfile"])
    kept = certificate.with_name("kept")
    certificate.rename(kept)
    try:
        os.mkfifo(certificate, 0o644)
        os.kill(patroni, signal.SIGHUP)
        writer = eventually(lambda: _opened(certificate), 20)
    finally:
        kept.rename(certificate)
    with os.fdopen(writer, "wb"):
        eventually(lambda: f"{certificate} (deleted)" in held_by(patroni), 10)
        yield


def _opened(pipe: Path) -> int | None:
    """The end to write to, once somebody reads."""
    with contextlib.suppress(OSError):
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    return None


def test_a_patroni_that_stands_still_inside_is_ended_and_begun_again(tiny: Place) -> None:
    number = replica(tiny)
    patroni = tiny.program(f"databases/lab/auth/{number}")
    postmaster = tiny.program(f"instances/lab/auth/{number}/data")
    birth = processes.start_time(patroni)
    with standing_still_inside(patroni, tiny.path("auth", number)):
        time.sleep(10)
        assert processes.start_time(patroni) == birth
        assert not processes.is_stopped(patroni)
        eventually(lambda: processes.start_time(patroni) != birth, LEASE + UNHEARD_SECONDS + 30)
    eventually(lambda: is_well(tiny), 30)
    assert tiny.program(f"instances/lab/auth/{number}/data") == postmaster
    said = (tiny.root / "log/agent.log").read_text()
    assert said.count(f"etcd does not hear of Patroni of auth-{number}") == 1


# etcd


def test_etcd_loses_its_data_while_all_runs(tiny: Place) -> None:
    shutil.rmtree(tiny.root / "etcd/lab")
    os.kill(tiny.program("environments/lab/etcd"), signal.SIGKILL)
    eventually(lambda: is_well(tiny), 40)
    os.kill(tiny.program(f"instances/lab/auth/{primary(tiny)}/data"), signal.SIGKILL)
    eventually(lambda: answers(tiny, "auth"), 5)
    eventually(lambda: is_well(tiny), 30)


def test_a_damaged_etcd_is_put_aside_and_begun_anew(tiny: Place) -> None:
    os.kill(tiny.program("environments/lab/etcd"), signal.SIGSTOP)
    for path in (tiny.root / "etcd/lab/member").rglob("*.wal"):
        path.write_bytes(b"\xff" * 64)
    os.kill(tiny.program("environments/lab/etcd"), signal.SIGKILL)
    eventually(lambda: is_well(tiny), 60)
    assert (tiny.root / "etcd/lab.damaged/member").is_dir()


def test_who_has_the_newest_data_leads_where_etcd_has_forgotten_who_did(tiny: Place) -> None:
    was_primary = primary(tiny)
    with tiny.connect("auth") as client:
        client.execute("CREATE TABLE kept AS SELECT 42 AS n")
    tiny.kill_all()
    shutil.rmtree(tiny.root / "etcd/lab")
    tiny.up()
    assert primary(tiny) == was_primary
    with tiny.connect("auth") as client:
        assert client.execute("SELECT n FROM kept").fetchone() == (42,)
        client.execute("DROP TABLE kept")


# A replica that does not come back by itself


def cut_off_control(place: Place, number: str) -> None:
    (place.kept("auth", number) / "data/global/pg_control").write_bytes(b"short")


def lose_version(place: Place, number: str) -> None:
    (place.kept("auth", number) / "data/PG_VERSION").unlink()


def open_to_all(place: Place, number: str) -> None:
    (place.kept("auth", number) / "data").chmod(0o777)


@pytest.mark.parametrize("damage", [cut_off_control, lose_version, open_to_all])
def test_a_damaged_replica_is_copied_again(
    tiny: Place, damage: Callable[[Place, str], None]
) -> None:
    number = replica(tiny)
    damage(tiny, number)
    os.kill(tiny.program(f"instances/lab/auth/{number}/data"), signal.SIGKILL)
    eventually(lambda: not is_well(tiny), 5)
    eventually(lambda: is_well(tiny), 60)
    shutil.rmtree(tiny.kept("auth", number) / "data.damaged", ignore_errors=True)


def test_a_replica_that_fetches_no_wal_costs_the_primary_no_more_than_its_limit(
    tiny: Place,
) -> None:
    """What it misses is thrown away, and it is copied again.

    PostgreSQL alone hangs here: the checkpoint that throws it away ends the sender first, and
    that waits until what is frozen has read that it was ended.
    """
    follower = replica(tiny)
    postmaster = tiny.program(f"instances/lab/auth/{follower}/data")
    receiver = next(
        pid for pid in processes.children(postmaster) if "walreceiver" in processes.title(pid)
    )

    def status_of_slot(client: psycopg.Connection[Any]) -> str:
        slots = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s"
        (status,) = client.execute(slots, (f"auth_{follower}",)).fetchone() or ("",)
        return str(status)

    with tiny.superuser("auth") as client, ThreadPoolExecutor(1) as threads:
        client.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '48MB'")
        client.execute("SELECT pg_reload_conf()")
        try:
            with frozen(receiver), tiny.superuser("auth") as other:
                for _ in range(16):  # `wal_keep_size` is 128 MB
                    client.execute(
                        "SELECT pg_switch_wal(),"
                        " pg_logical_emit_message(false, 'x', repeat('x', 8000000))"
                    )
                checkpoint = threads.submit(other.execute, "CHECKPOINT")
                with pytest.raises(TimeoutError):
                    checkpoint.result(3)
                checkpoint.result(90)
            assert status_of_slot(client) == "lost"
            eventually(lambda: tiny.instances("auth") == ALL_WELL, 120)
            assert status_of_slot(client) == "reserved"
        finally:
            client.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
            client.execute("SELECT pg_reload_conf()")
    assert answers(tiny, "auth")


# What nobody reaches


def test_run_is_emptied_while_all_runs(tiny: Place) -> None:
    agent = tiny.agent()
    for path in (tiny.root / "run").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    eventually((tiny.root / "run/agent.sock").exists, 5)
    assert tiny.agent() == agent
    sockets = [
        *(f"run/lab.{name}/.s.PGSQL.6432" for name in ("auth.p", "order.p")),
        *(f"run/lab.{name}/.s.PGSQL.5432" for name in ("auth.1", "auth.2", "order.1")),
    ]
    eventually(lambda: all((tiny.root / socket).exists() for socket in sockets), 40)
    eventually(lambda: is_well(tiny) and answers(tiny, "auth"), 60)
    with tiny.superuser("auth") as operator:
        assert operator.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    assert tiny.agent() == agent


def test_status_says_what_clients_find(tiny: Place) -> None:
    """All of the pool is taken: an operator reaches the database, its service does not."""
    taken = []
    url = tiny.run("url", "lab/order", "--transaction").strip()
    try:
        for _ in range(10):
            client = psycopg.connect(url)
            client.execute("SELECT 1")
            taken.append(client)
        eventually(lambda: tiny.databases()["order"]["state"] == "unavailable", 15)
        detail = tiny.databases()["order"]["detail"]
        assert "clients wait for one of 10 connections that are busy" in detail
    finally:
        for client in taken:
            client.close()
    eventually(lambda: is_well(tiny), 15)
