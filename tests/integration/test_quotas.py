"""CPU quotas by the kernel: real PostgreSQL in real control groups.

Skipped where this machine cannot limit CPU, which `pgherd doctor` says.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_fleet import AUTH, ORDER, RunningFleet, connect, eventually

from pgherd.contract.observed import ObservedDatabase
from pgherd.engines.local import control_groups, control_trees, processes
from pgherd.engines.local.control_groups import ControlGroups
from pgherd.fleet.desired import DatabaseId

pytestmark = [
    pytest.mark.integration,
    pytest.mark.alone,  # it measures shares of the CPU
    pytest.mark.skipif(bool(control_trees.lack(None)), reason=control_trees.lack(None) or "-"),
]

BUSY = "SELECT sum(sqrt(i)) FROM generate_series(1, 30000000) AS i"


@pytest.fixture
def groups(running: RunningFleet) -> Iterator[ControlGroups]:
    """The fleet's; `order` has one OCPU before and afterwards."""
    found = control_groups.found(running.layout.root)
    assert found
    yield found
    resize(running, ORDER, 1)


def resize(running: RunningFleet, id: DatabaseId, ocpus: int) -> None:
    running.run(running.engine.ensure_ocpus(running.wanted(id), ocpus))


def servers(running: RunningFleet, id: DatabaseId) -> dict[int, list[int]]:
    """Each instance's postmaster and its children."""
    data = {i.number: running.layout.data(id, i.number) for i in running.manifest(id).instances}
    pids = {n: int((d / "postmaster.pid").read_text().split()[0]) for n, d in data.items()}
    return {number: [pid, *processes.children(pid)] for number, pid in pids.items()}


def all_are_inside(running: RunningFleet, groups: ControlGroups, id: DatabaseId) -> bool:
    try:
        found = servers(running, id)
    except FileNotFoundError:
        return False  # one begins again, as after a switchover
    return all(
        groups.holds(id, number, pid)
        for number, pids in found.items()
        for pid in pids
        if Path(f"/proc/{pid}").exists()
    )


def cores_in_use(groups: ControlGroups, id: DatabaseId, number: int, seconds: float) -> float:
    before, began = groups.used(id, number).cpu_seconds, time.monotonic()
    time.sleep(seconds)
    after, ended = groups.used(id, number).cpu_seconds, time.monotonic()
    assert before is not None and after is not None
    return (after - before) / (ended - began)


def test_every_server_is_in_its_group_and_nothing_else_is(
    running: RunningFleet, groups: ControlGroups
) -> None:
    for id in (AUTH, ORDER):
        assert eventually(lambda id=id: all_are_inside(running, groups, id), 10)
    others = [
        pid
        for folder, pids in processes.by_folder(running.owner.uid).items()
        if folder.startswith(str(running.layout.databases)) or folder.startswith("/etcd")
        for pid in pids
    ]
    assert others, "no Patroni, no pooler and no etcd was looked at"
    numbers = [(i, m.number) for i in (AUTH, ORDER) for m in running.manifest(i).instances]
    assert not [pid for pid in others for i, n in numbers if groups.holds(i, n, pid)]


def test_a_size_is_a_share_of_the_cpu_and_changes_under_a_query_that_runs(
    running: RunningFleet, groups: ControlGroups
) -> None:
    assert eventually(lambda: all_are_inside(running, groups, ORDER), 10)
    number = running.leader(ORDER).number
    shares = {}
    parameters = running.through_pooler(ORDER)

    async def measure() -> None:
        with connect(parameters) as client:
            backend = client.execute("SELECT pg_backend_pid()").fetchone()
            query = asyncio.create_task(asyncio.to_thread(client.execute, BUSY))
            await asyncio.sleep(1)
            for ocpus in (1, 4):
                await running.engine.ensure_ocpus(running.wanted(ORDER), ocpus)
                await asyncio.sleep(0.3)
                shares[ocpus] = await asyncio.to_thread(cores_in_use, groups, ORDER, number, 2)
            await query
            assert client.execute("SELECT pg_backend_pid()").fetchone() == backend

    running.run(measure())
    # A tenth of a core for an OCPU, and up to as much again that was saved up.
    assert 0.05 <= shares[1] <= 0.15, shares
    assert 0.25 <= shares[4] <= 0.5, shares


def test_another_size_within_the_bounds_restarts_nothing(
    running: RunningFleet, groups: ControlGroups
) -> None:
    before = {number: pids[0] for number, pids in servers(running, ORDER).items()}
    for ocpus in (2, 4, 1):
        resize(running, ORDER, ocpus)
        found = running.run(running.engine.observe()).databases[ORDER]
        assert isinstance(found, ObservedDatabase)
        assert (found.ocpus, found.restart_pending) == (ocpus, ())
    assert {number: pids[0] for number, pids in servers(running, ORDER).items()} == before


def test_the_new_primary_is_in_its_group_after_a_switchover(
    running: RunningFleet, groups: ControlGroups
) -> None:
    running.switch_over(ORDER)
    assert eventually(lambda: all_are_inside(running, groups, ORDER), 30)


def test_the_data_planes_user_cannot_raise_its_quota(
    running: RunningFleet, groups: ControlGroups
) -> None:
    """It may move its processes, which it could end as well, and change nothing else."""
    if not running.owner.is_another:
        pytest.skip("the groups are this user's own")
    tree = groups._trees.cpu
    number = running.leader(ORDER).number
    folder = groups._group(tree, ORDER, number)
    writable = [
        path.relative_to(tree)
        for path in [*folder.iterdir(), *folder.parent.iterdir(), *folder.parent.parent.iterdir()]
        if path.is_file() and path.stat().st_uid == running.owner.uid
    ]
    assert {path.name for path in writable} == {"cgroup.procs"}
    assert folder.stat().st_uid == 0 and not folder.stat().st_mode & 0o022
    assert os.geteuid() == 0
