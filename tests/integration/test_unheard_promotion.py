"""Two instances that take the same number for timelines that differ."""

from __future__ import annotations

import os
import signal

import psycopg
import pytest
from running_fleet import AUTH, RunningFleet, connect, eventually

from pgherd.control.up import converge
from pgherd.engines.local import postgres, processes
from pgherd.engines.local.manifest import InstanceManifest

pytestmark = pytest.mark.integration


def signal_patroni(running: RunningFleet, instance: InstanceManifest, number: int) -> None:
    folder = running.layout.instance(AUTH, instance.number)
    pids = processes.by_folder(running.owner.uid)
    # The agent may have ended one that stands still, and not have begun the next one yet.
    for pid in pids.get(os.path.realpath(folder), []):
        os.kill(pid, number)


def kill_postgresql(running: RunningFleet, instance: InstanceManifest) -> None:
    pid = postgres.postmaster_pid(running.layout.data(AUTH, instance.number))
    assert pid
    os.kill(pid, signal.SIGKILL)


def rows(running: RunningFleet, instance: InstanceManifest) -> list[int]:
    try:
        with running.operator(AUTH, instance) as operator:
            return [n for (n,) in operator.execute("SELECT n FROM told ORDER BY n").fetchall()]
    except psycopg.Error:
        return []


@pytest.mark.parametrize("later", [False, True], ids=["at once", "after another promotion"])
def test_one_that_was_promoted_unheard_is_made_anew(running: RunningFleet, later: bool) -> None:
    """As when a primary dies just after it was promoted, before anybody has heard of it."""
    auth = running.through_pooler(AUTH)
    first = running.leader(AUTH)
    unheard, another = running.replicas(AUTH)
    with connect(auth) as connection:
        connection.execute(
            "DROP TABLE IF EXISTS told; CREATE TABLE told (n int); INSERT INTO told VALUES (1)"
        )
    eventually(lambda: rows(running, unheard) == [1], 10)
    signal_patroni(running, unheard, signal.SIGSTOP)
    with running.operator(AUTH, unheard) as operator:
        assert operator.execute("SELECT pg_promote()").fetchone() == (True,)
        operator.execute("SET synchronous_commit = local; INSERT INTO told VALUES (666)")
        operator.execute("SELECT pg_switch_wal()")
        operator.execute("SET synchronous_commit = local; INSERT INTO told VALUES (667)")
    # The others go on, and take the same number.
    running.run(running.engine.switchover(AUTH, f"auth-{another.number}"))
    eventually(lambda: takes_a_row(running, 2), 30)
    if later:
        running.run(running.engine.switchover(AUTH, f"auth-{first.number}"))
        eventually(lambda: takes_a_row(running, 3), 30)
    kill_postgresql(running, unheard)
    signal_patroni(running, unheard, signal.SIGCONT)
    outcome = running.run(converge(running.fleet, {"local": running.engine}))
    assert not outcome.troubles
    wanted = [1, 2, 3] if later else [1, 2]
    for instance in running.manifest(AUTH).instances:
        eventually(lambda there=instance: rows(running, there) == wanted, 60)
    with connect(running.through_pooler(AUTH)) as connection:
        connection.execute("DROP TABLE told")


def takes_a_row(running: RunningFleet, n: int) -> bool:
    try:
        with connect(running.through_pooler(AUTH), connect_timeout=5) as connection:
            connection.execute("DELETE FROM told WHERE n = %s", (n,))
            connection.execute("INSERT INTO told VALUES (%s)", (n,))
    except psycopg.Error:
        return False
    return True
