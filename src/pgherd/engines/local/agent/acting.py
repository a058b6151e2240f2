"""Making the moves that `core` decides for one database.

After each change it is decided anew. What is to be done begins, and goes on beside the rest; what
is only waited for ends when it is not wanted any more. A move that fails is made again after a
moment, as long as it is wanted. Each looks once more before it does what cannot be undone.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import psycopg

from pgherd.engines.local import listeners, pooler, programs, whole
from pgherd.engines.local.agent.cluster import Cluster
from pgherd.engines.local.agent.core import next_moves
from pgherd.engines.local.agent.moves import (
    Ask,
    Checkpoint,
    CopyAgain,
    EndServer,
    Fence,
    GiveBack,
    GiveUp,
    Hasten,
    Hold,
    Look,
    Move,
    Release,
    ReplacePatroni,
    RestartPatroni,
    RestartPooler,
    RestartServer,
    Route,
    Settle,
    Wait,
    Wake,
)
from pgherd.engines.local.agent.parts import Leader, Target
from pgherd.engines.local.agent.room import make_room
from pgherd.engines.local.agent.supervisor import Supervisor
from pgherd.engines.local.agent.witness import PATRONI, PGBOUNCER, POSTGRESQL
from pgherd.engines.local.etcd_client import EtcdClient
from pgherd.engines.local.processes import Identity
from pgherd.errors import PgherdError, TryLater

log = logging.getLogger(__name__)

AGAIN_SECONDS = 0.1
"""A move that failed, or changed nothing, is not made again before."""
WAKE_SECONDS = 1.0
"""Nor is one woken again before."""
UNEXPECTED_SECONDS = 1.0
"""Nor one that failed in a way that nobody expected."""


class Acting:
    """Acts for one database, from the moment when it is wanted until it is not."""

    def __init__(self, cluster: Cluster, supervisor: Supervisor, etcd: EtcdClient) -> None:
        self._cluster = cluster
        self._supervisor = supervisor
        self._etcd = etcd
        self._making: dict[Move, asyncio.Task[None]] = {}
        self._not_before: dict[Move, float] = {}

    async def run(self) -> None:
        """Decide and act, again after each change, for ever."""
        cluster = self._cluster
        try:
            while True:
                cluster.changed.clear()
                until = self._step()
                try:
                    async with asyncio.timeout_at(until):
                        await cluster.changed.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._making.values():
                task.cancel()

    def _step(self) -> float | None:
        """Begin what is to be done and is not under way, end what is not wanted any more.

        Until when nothing changes by itself.
        """
        cluster = self._cluster
        now = asyncio.get_running_loop().time()
        cluster.look_at_programs(now)
        cluster.end_switch()
        cluster.confinement.follow(cluster.manifest, cluster.seen)
        moves = next_moves(cluster.seen, now)
        self._not_before = {m: t for m, t in self._not_before.items() if m in moves}
        for move, task in self._making.items():
            if move not in moves and isinstance(move, Look | Settle | Checkpoint):
                task.cancel()
        due = [move.until for move in moves if isinstance(move, Wait)]
        for move in moves - self._making.keys():
            if isinstance(move, Wait) or (isinstance(move, Hold) and Release() in self._making):
                continue
            if (soonest := self._not_before.get(move, now)) > now:
                due.append(soonest)
                continue
            self._making[move] = asyncio.create_task(self._attempt(move))
        return min((moment for moment in due if moment > now), default=None)

    async def _attempt(self, move: Move) -> None:
        cluster = self._cluster
        pause = WAKE_SECONDS if isinstance(move, Wake) else AGAIN_SECONDS
        try:
            await self._make(move)
        except (psycopg.Error, OSError, PgherdError) as error:
            log.debug("%s: %s: %s", cluster.id, move, error)
        except Exception:
            log.exception("%s: %s failed", cluster.id, move)
            pause = UNEXPECTED_SECONDS
        finally:
            self._not_before[move] = asyncio.get_running_loop().time() + pause
            self._making.pop(move, None)
            cluster.touch()

    async def _make(self, move: Move) -> None:
        cluster = self._cluster
        match move:
            case Hold():
                await self._hold()
            case Release():
                await self._release()
            case Look(leader):
                await self._look_until_writable(leader)
            case Route(leader, target):
                await self._route(leader, target)
            case Fence(name, postmaster):
                await self._fence(name, postmaster)
            case GiveBack(leader):
                await self._give_back(leader)
            case Wake(name):
                log.info("%s: nobody leads: %s is woken", cluster.id, name)
                await cluster.patronis.wake(name)
            case Hasten(name):
                self._supervisor.hasten(cluster.patroni_program(name))
            case EndServer(name, postmaster):
                await self._end_server(name, postmaster)
            case CopyAgain(name):
                await self._copy_again(name)
            case RestartPatroni(name, process):
                log.warning(
                    "%s: Patroni of %s is silent: killed, to be started again", cluster.id, name
                )
                cluster.seen = replace(cluster.seen, lease_left=None)
                cluster.record.because(name, PATRONI, "it was silent")
                self._supervisor.kill(cluster.patroni_program(name), process)
            case ReplacePatroni(name, process):
                await self._replace_patroni(name, process)
            case RestartPooler(process):
                await self._restart_pooler(process)
            case RestartServer(name, postmaster):
                await self._restart_server(name, postmaster)
            case Checkpoint():
                await cluster.looks.checkpoint(cluster.primary)
                cluster.change_switch(is_checkpointed=True)
            case Settle():
                await cluster.looks.until_settled(cluster.primary)
                cluster.seen = cluster.seen.settled()
                log.info("%s: transactions are at rest", cluster.id)
            case Ask(target, leader):
                await self._ask(target, leader)
            case GiveUp(message, hint):
                cluster.fail_switch(TryLater(f"{cluster.id}: {message}", hint))
            case Wait():
                pass

    async def _hold(self) -> None:
        """Paused when those of the name for transactions are at rest; the others wait beside."""
        cluster = self._cluster
        process = cluster.seen.pooler.process
        if process is None:
            return
        cluster.seen = cluster.seen.holding(asyncio.get_running_loop().time())
        log.info("%s: clients wait", cluster.id)
        cluster.console.note_hold(process)
        try:
            await cluster.console.pause_transactions()
        except Exception:
            cluster.seen = cluster.seen.released()
            raise
        cluster.seen = cluster.seen.paused()
        cluster.touch()
        await cluster.console.pause_others()

    async def _release(self) -> None:
        cluster = self._cluster
        if hold := self._making.get(Hold()):
            hold.cancel()
            await asyncio.wait([hold])  # no PAUSE is on its way any more when RESUME follows
        await cluster.console.resume()
        cluster.seen = cluster.seen.released()

    async def _look_until_writable(self, leader: Leader) -> None:
        """And see to it that nobody is let in to a cluster that was not made to its end."""
        cluster = self._cluster
        instance = cluster.instance(leader.name)
        is_complete = await cluster.looks.until_writable(instance)
        if cluster.seen.leader != leader:
            return
        kept = cluster.layout.kept_by(cluster.id, instance.number)
        if not (is_complete or cluster.manifest.made or whole.is_made(kept.parent)):
            cluster.seen = replace(cluster.seen, is_half_made=True)
            return
        if not whole.is_whole(kept):
            whole.mark(kept)
        cluster.look_at(instance.number)
        cluster.seen = cluster.seen.taking_writes(leader)
        log.info("%s: %s takes writes", cluster.id, leader.name)

    async def _route(self, leader: Leader, target: Target) -> None:
        cluster = self._cluster
        if cluster.seen.leader != leader:
            return
        process = cluster.seen.pooler.process
        addresses = {
            cluster.manifest.instance_name(i.number): i.address for i in cluster.manifest.instances
        }
        replicas = tuple(a for name, a in addresses.items() if name in target.replicas)
        route = pooler.Route(addresses[target.primary], replicas)
        await cluster.console.send_to(route, cluster.manifest)
        if cluster.seen.pooler.process == process:
            was_serving = cluster.seen.serving
            cluster.seen = cluster.seen.routed(target)
            if cluster.seen.serving and not was_serving:
                log.info("%s: pooler follows %s", cluster.id, target.primary)

    async def _fence(self, name: str, postmaster: Identity | None) -> None:
        """First nobody can start another server; then there is none."""
        cluster = self._cluster
        number = cluster.instance(name).number
        if self._has_begun_anew(number, postmaster):
            return
        log.warning("%s: PostgreSQL of %s is dead: fencing it", cluster.id, name)
        cluster.seen = cluster.seen.losing(name, asyncio.get_running_loop().time())
        cluster.touch()
        await self._supervisor.keep_out(cluster.patroni_program(name))
        if self._has_begun_anew(number, postmaster):
            self._supervisor.hasten(cluster.patroni_program(name))
            return
        cluster.servers.forget(number)
        await cluster.servers.end_all(number)
        cluster.seen = cluster.seen.fenced(name, asyncio.get_running_loop().time())
        log.info("%s: %s is fenced", cluster.id, name)

    def _has_begun_anew(self, number: int, postmaster: Identity | None) -> bool:
        """Whether a server works there that is not dead."""
        cluster = self._cluster
        known = cluster.servers.look(number)
        is_dead = known is None or (known == postmaster and cluster.servers.is_stopped(number))
        if not is_dead:
            cluster.look_at(number)
        return not is_dead

    async def _copy_again(self, name: str) -> None:
        """Its data is kept beside, for a person to look at, unless there is no room for both."""
        cluster = self._cluster
        number = cluster.instance(name).number
        taken = listeners.taken_by(cluster.instance(name).address, cluster.manifest.postgresql_port)
        if taken and cluster.servers.look(number) is None:
            raise TryLater(f"{name} cannot start: {taken}")
        log.warning("%s: %s does not come back by itself: copied again", cluster.id, name)
        await self._supervisor.keep_out(cluster.patroni_program(name))
        try:
            # Its Patroni is gone, so what etcd says of it stays true.
            leader = await self._leader()
            if leader in (None, name) or leader != cluster.seen.serving:
                raise TryLater(f"{name} may be about to lead")
            cluster.servers.forget(number)
            await cluster.servers.end_all(number)
            kept = cluster.layout.kept_by(cluster.id, number)
            primary = cluster.layout.data(cluster.id, cluster.instance(leader).number)
            await asyncio.to_thread(whole.put_aside, kept, primary)
        finally:
            self._supervisor.hasten(cluster.patroni_program(name))
        cluster.seen = cluster.seen.taken_away(name, asyncio.get_running_loop().time())

    async def _leader(self) -> str | None:
        """Who holds the leader key by now, which news may be late to tell."""
        key = self._cluster.keys.leader_key
        _, found = await self._etcd.range(key)
        return next((one.value for one in found if one.key == key), None)

    async def _replace_patroni(self, name: str, process: Identity) -> None:
        cluster = self._cluster
        key = cluster.keys.member_key(name)
        _, found = await self._etcd.range(key)
        if any(one.key == key for one in found):
            return
        log.warning("%s: etcd does not hear of Patroni of %s: it is killed", cluster.id, name)
        cluster.record.because(name, PATRONI, "etcd did not hear of it")
        self._supervisor.kill(cluster.patroni_program(name), process)

    async def _restart_pooler(self, process: Identity) -> None:
        cluster = self._cluster
        log.warning("%s: its pooler does not answer: it is started again", cluster.id)
        cluster.record.because(None, PGBOUNCER, "it did not answer")
        make_room(cluster.layout, cluster.manifest)
        self._supervisor.kill(programs.pooler_name(cluster.id), process)

    async def _restart_server(self, name: str, postmaster: Identity) -> None:
        cluster = self._cluster
        number = cluster.instance(name).number
        if cluster.servers.look(number) != postmaster:
            cluster.look_at(number)
            return
        log.warning("%s: the socket of %s is gone: it is restarted", cluster.id, name)
        cluster.record.because(name, POSTGRESQL, "its socket was gone")
        make_room(cluster.layout, cluster.manifest)
        await cluster.patronis.ask(name, "POST", "restart", {})

    async def _give_back(self, leader: Leader) -> None:
        cluster = self._cluster
        if await self._etcd.delete_unchanged(cluster.keys.leader_key, leader.revision):
            log.warning("%s: leader key of %s given back", cluster.id, leader.name)

    async def _end_server(self, name: str, postmaster: Identity) -> None:
        cluster = self._cluster
        number = cluster.instance(name).number
        if cluster.servers.look(number) != postmaster or await self._leader() == name:
            cluster.look_at(number)
            return
        log.warning("%s: PostgreSQL of %s is frozen: ended, to be started again", cluster.id, name)
        cluster.record.because(name, POSTGRESQL, "it was frozen")
        await cluster.servers.end_all(number)
        await cluster.patronis.wake(name)

    async def _ask(self, target: str, leader: Leader | None) -> None:
        """Patroni answers when the old primary is down; the leader key tells it sooner."""
        cluster = self._cluster
        cluster.change_switch(asked_at=asyncio.get_running_loop().time())
        try:
            if leader is None:
                await cluster.patronis.ask(target, "POST", "failover", {"candidate": target})
            else:
                body = {"leader": leader.name, "candidate": target}
                await cluster.patronis.ask(leader.name, "POST", "switchover", body)
        except PgherdError as error:
            if cluster.seen.leader is None or cluster.seen.leader.name != target:
                cluster.fail_switch(error)
