"""Another instance becomes the primary: because it is wanted, or because it must be."""

from __future__ import annotations

import asyncio

import psycopg

from pgherd.engines.local.cluster import HOLD_SECONDS, Cluster
from pgherd.engines.local.patroni_api import ask
from pgherd.errors import InputError, TryLater

READY_SECONDS = 30.0
"""How long a replica that was just started is waited for."""
PAUSE_SECONDS = 5.0
"""How long open transactions are waited for, while new ones wait for them."""


async def switch(cluster: Cluster, target: str | None, *, forced: bool) -> str:
    """Let another instance lead: `target`, or the replica that is the least behind. Its name.

    InputError when there is none such, TryLater when it cannot lead now.
    """
    database = cluster.manifest.id
    leader = cluster.leader
    if leader is None and not forced:
        raise TryLater(f"{database} has no primary", "run `pgherd failover` to force one")
    await cluster.examine() if not forced else None
    candidate = target or _best(cluster, leader)
    if candidate is None:
        raise InputError(f"{database} has no replica that streams", "see `pgherd status`")
    if cluster.manifest.numbered(candidate) is None:
        known = ", ".join(sorted({*cluster.replicas, *filter(None, [leader])}))
        raise InputError(f"{candidate} is not an instance of {database}", f"write one of {known}")
    if candidate == leader:
        return candidate
    if forced:
        await _forced(cluster, candidate)
    else:
        await _planned(cluster, str(leader), candidate)
    if not await cluster.until(lambda: cluster.routed == candidate, HOLD_SECONDS):
        raise TryLater(f"{database}: {candidate} is not the primary yet", "see `pgherd status`")
    return candidate


async def _forced(cluster: Cluster, candidate: str) -> None:
    """Let Patroni make a replica the primary, even one that is behind."""
    if not await cluster.until(lambda: _runs(cluster, candidate), READY_SECONDS):
        raise TryLater(f"{candidate} does not run", "see `pgherd status`")
    await ask(cluster, candidate, "POST", "failover", {"candidate": candidate})


async def _planned(cluster: Cluster, leader: str, candidate: str) -> None:
    """Hold the clients, let Patroni switch over, and let them go to the new primary.

    A synchronous replica is one that Patroni lists: a new one is not yet.
    """
    if not await cluster.until(lambda: _may_lead(cluster, candidate), READY_SECONDS):
        raise TryLater(f"{candidate} cannot lead yet", "see `pgherd status`")
    await cluster.checkpoint()
    try:
        async with asyncio.timeout(PAUSE_SECONDS):
            await cluster.hold()
            await cluster.sessions_settled()
    except psycopg.Error as problem:
        await cluster.release()
        raise TryLater(f"{cluster.manifest.id}: {problem}".strip()) from problem
    except TimeoutError:
        await cluster.end_session()  # it may have been in the middle of a question
        await cluster.release()
        raise TryLater(
            f"{cluster.manifest.id}: a transaction has been open for more than 5 s",
            "try again when it has ended",
        ) from None
    body = {"leader": leader, "candidate": candidate}
    # Patroni answers when the old primary is down; the leader key tells it sooner.
    request = asyncio.create_task(ask(cluster, leader, "POST", "switchover", body))
    moved = asyncio.create_task(cluster.until(lambda: cluster.routed == candidate, HOLD_SECONDS))
    try:
        done, _ = await asyncio.wait({request, moved}, return_when=asyncio.FIRST_COMPLETED)
        if request in done and (error := request.exception()):
            raise error
        await moved
    finally:
        if cluster.routed != candidate:
            await cluster.release()
        for task in (request, moved):
            task.cancel()


def _may_lead(cluster: Cluster, name: str) -> bool:
    """Whether Patroni would take it: it says that it runs, and has every commit if it must."""
    is_behind = cluster.manifest.is_synchronous and name not in cluster.synchronous_replicas
    return not is_behind and _runs(cluster, name)


def _runs(cluster: Cluster, name: str) -> bool:
    return cluster.member(name).get("state") == "running"


def _best(cluster: Cluster, leader: str | None) -> str | None:
    """The replica that is the least behind."""
    candidates = {
        name: seen.lag_bytes or 0
        for name, seen in cluster.replication.items()
        if seen.state == "streaming" and name != leader and cluster.manifest.numbered(name)
    }
    return min(candidates, key=lambda name: (candidates[name], name), default=None)
