"""Measuring real servers: what they use, and who cannot hide it or be hurt by it."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from running_fleet import AUTH, ORDER, STAGING_AUTH, RunningFleet, connect, eventually

from pgherd.contract.meter import Usage
from pgherd.engines.local import lowered, postgres
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.postgres import MAINTENANCE, MONITOR
from pgherd.fleet.desired import DatabaseId

pytestmark = pytest.mark.integration


async def until_said(engine: LocalEngine, id: DatabaseId, seconds: float = 40) -> Usage:
    """What is known once servers have been asked twice."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = (await engine.meter.usage(timedelta(minutes=1))).get(id)
        if found and found[0].transactions_per_second is not None and found[0].seconds:
            return found[0]
        await asyncio.sleep(6)
    raise AssertionError(f"{id} is not measured in {seconds} s")


def test_a_busy_database_shows_what_it_uses(running: RunningFleet) -> None:
    async def busy() -> Usage:
        engine = running.engine
        with connect(parameters) as client:
            work = asyncio.create_task(
                asyncio.to_thread(
                    client.execute, "SELECT count(*) FROM generate_series(1, 20000000)"
                )
            )
            try:
                return await until_said(engine, ORDER)
            finally:
                client.cancel()
                await asyncio.wait([work])

    parameters = running.through_pooler(ORDER)
    found = running.run(busy())
    primary = running.manifest(ORDER).instance_name(running.leader(ORDER).number)
    assert found.cpu_percent is not None and found.cpu_percent > 20
    assert found.storage_bytes and found.storage_bytes > 1_000_000
    assert found.clients and found.clients >= 1
    assert found.instances[primary].is_primary
    assert found.instances[primary].active
    others = [usage for name, usage in found.instances.items() if name != primary]
    assert [usage.is_primary for usage in others] == [False]
    assert others[0].lag_bytes is not None


def test_sessions_that_hang_delay_nobody_and_are_opened_anew(running: RunningFleet) -> None:
    folder = running.layout.data(STAGING_AUTH, running.leader(STAGING_AUTH).number)

    async def measure() -> list[float]:
        engine, took = running.engine, []
        await until_said(engine, STAGING_AUTH)
        frozen = [p for p in _pids_in(folder) if p != postgres.postmaster_pid(folder)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(6):
                began = time.monotonic()
                found = await engine.meter.usage(timedelta(minutes=1))
                took.append(time.monotonic() - began)
                known = found[AUTH][0].instances.values()
                assert any(usage.connections is not None for usage in known)
                await asyncio.sleep(2)
            await until_said(engine, STAGING_AUTH)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        return took

    assert max(running.run(measure())) < 2
    assert eventually(lambda: _answers(running, STAGING_AUTH), 60)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_pooler_is_asked_in_one_session_until_it_is_another_one(
    running: RunningFleet, how: signal.Signals
) -> None:
    """One that stands still is ended, and meanwhile delays nobody."""
    folder = running.layout.pooler(STAGING_AUTH)

    async def measure() -> float:
        engine, slowest = running.engine, 0.0

        async def clients_are_known(*, known: bool) -> None:
            nonlocal slowest
            for _ in range(40):
                began = time.monotonic()
                found = await engine.meter.usage(timedelta(minutes=1))
                slowest = max(slowest, time.monotonic() - began)
                if (found[STAGING_AUTH][0].clients is not None) is known:
                    return
                await asyncio.sleep(1)
            raise AssertionError(f"clients are known: {not known}")

        await clients_are_known(known=True)
        (console,) = _consoles(running)
        await asyncio.sleep(11)  # two rounds more
        await clients_are_known(known=True)
        assert _consoles(running) == [console]
        (pid,) = _pids_in(folder)
        os.kill(pid, how)
        while pid in _pids_in(folder):
            await asyncio.sleep(0.2)
        await asyncio.sleep(16)  # what the old one said is not told any more
        await clients_are_known(known=True)
        (another,) = _consoles(running)
        assert another != console
        return slowest

    assert running.run(measure()) < 2


def _consoles(running: RunningFleet) -> list[str]:
    """Since when sessions with the pooler's console are open, but for the one that asks."""
    folder = running.layout.pooler_socket_folder(STAGING_AUTH)
    port = running.manifest(STAGING_AUTH).pooler_port
    words = f"host={folder} port={port} dbname=pgbouncer application_name=a_test"
    said = subprocess.run(
        ["psql", "-X", "--csv", "-c", "SHOW CLIENTS", f"{words} user={running.owner.name}"],
        capture_output=True,
        text=True,
        check=True,
        **lowered.options(running.owner, Path("/")),
    ).stdout
    return [
        f"{row['connect_time']} {row['ptr']}"
        for row in csv.DictReader(said.splitlines())
        if row["database"] == "pgbouncer" and row["application_name"] != "a_test"
    ]


def test_the_monitor_sees_statistics_and_no_data(running: RunningFleet) -> None:
    manifest = running.manifest(AUTH)
    parameters = {
        "host": str(running.layout.socket_folder(AUTH, running.leader(AUTH).number)),
        "port": str(manifest.postgresql_port),
        "user": MONITOR,
    }
    with running.operator(AUTH, database=MAINTENANCE) as operator:
        row = operator.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,"
            " rolconnlimit > 0, rolpassword IS NULL FROM pg_authid WHERE rolname = %s",
            (MONITOR,),
        ).fetchone()
    assert row == (False, False, False, False, False, True, True)
    as_owner = {"user": running.owner.uid, "group": running.owner.gid, "extra_groups": []}
    for database in (manifest.service, "template1"):
        refused = _psql(parameters | {"dbname": database}, as_owner)
        assert "pg_hba.conf" in refused
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf|peer|certificate"):
        connect(running.past_pooler(AUTH) | {"user": MONITOR})


def _psql(parameters: dict[str, str], options: dict[str, object]) -> str:
    words = " ".join(f"{name}={value}" for name, value in parameters.items())
    done = subprocess.run(
        ["psql", words, "-c", "SELECT 1"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        **(options if os.geteuid() == 0 else {}),  # type: ignore[call-overload]
    )
    assert done.returncode != 0, done.stdout
    return str(done.stderr)


def _pids_in(folder: os.PathLike[str]) -> list[int]:
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if os.readlink(f"/proc/{entry.name}/cwd") == os.path.realpath(folder):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _answers(running: RunningFleet, id: DatabaseId) -> bool:
    try:
        with connect(running.through_pooler(id), connect_timeout=5) as client:
            return client.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def test_statements_can_be_counted_without_a_restart_and_a_tenant_cannot_begin_it(
    running: RunningFleet,
) -> None:
    with connect(running.through_pooler(ORDER)) as client:
        assert client.execute("SHOW pg_stat_statements.track").fetchone() == ("none",)
        assert client.execute("SHOW compute_query_id").fetchone() == ("off",)
        for attempt in (
            "SET pg_stat_statements.track = 'all'",
            "SET compute_query_id = on",
            "CREATE EXTENSION pg_stat_statements",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                client.execute(attempt)
