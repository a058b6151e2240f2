"""A database for the agent's core to look after: small, without a clock, and not always kind.

What is true (`Truth`, `World`) and what the agent knows of it (`Seen`) are two things here: the
agent hears late, out of order, or not at all. It makes its moves as the real one does, looking once
more first. Each law of the core is checked when a move is made; `Broken` says which was broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pgherd.engines.local.agent import core
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
from pgherd.engines.local.agent.parts import Instance, Leader, Replication, Switch
from pgherd.engines.local.agent.seen import Seen
from pgherd.engines.local.postgres import ClusterState
from pgherd.engines.local.processes import Identity

Core = Callable[[Seen, float], frozenset[Move]]
LEASE = 30.0


class Broken(AssertionError):
    """A law of the core."""


@dataclass
class Truth:
    """One instance as it is. `strays` are backends without a postmaster, which could commit."""

    postmaster: Identity | None = None
    control: ClusterState | None = ClusterState.SHUT_DOWN_IN_RECOVERY
    writes: bool = False
    strays: bool = False
    stopped_at: float | None = None
    patroni: Identity | None = None
    patroni_began: float = 0.0
    is_kept_out: bool = False
    is_hung: bool = False
    """Its Patroni runs and does nothing."""
    heard_until: float = 0.0
    """Its Patroni's key in etcd is good for so long."""
    has_socket: bool = True


@dataclass
class World:
    """One database, and its agent. `etcd` is up; `key` is the leader key."""

    names: tuple[str, ...] = ("order-1", "order-2", "order-3")
    decide: Core = core.next_moves
    now: float = 100.0
    pids: int = 0
    revision: int = 0
    etcd: bool = True
    key: Leader | None = None
    key_until: float = 0.0
    handed_to: str | None = None
    truths: dict[str, Truth] = field(default_factory=dict)
    pooler: Identity | None = None
    loaded: str | None = None
    paused_at: float | None = None
    stamp: tuple[Identity, float] | None = None
    transaction_open: bool = False
    has_pooler_socket: bool = True
    astray: set[str] = field(default_factory=set)
    """Replicas that receive no WAL, whatever happens to their server."""
    mute: set[str] = field(default_factory=set)
    """Replicas that are listed as streaming, and say nothing."""
    seen: Seen = field(default_factory=lambda: Seen({}))
    lives: bool = True
    writable_under: set[int] = field(default_factory=set)
    made: list[Move] = field(default_factory=list)
    given_up: list[GiveUp] = field(default_factory=list)

    # What happens in the world

    def begin(self) -> None:
        """All run, the first one leads, and the agent has just begun."""
        self.pooler = self.process()
        for name in self.names:
            self.truths[name] = Truth()
            self.start_patroni(name)
            self.start_server(name)
        self.promote(self.names[0])
        self.new_agent()

    def process(self) -> Identity:
        self.pids += 1
        return Identity(self.pids, self.pids)

    def start_patroni(self, name: str) -> None:
        truth = self.truths[name]
        truth.patroni, truth.patroni_began = self.process(), self.now
        truth.is_kept_out = truth.is_hung = False
        if self.etcd:
            truth.heard_until = self.now + LEASE

    def start_server(self, name: str) -> None:
        truth = self.truths[name]
        truth.postmaster, truth.writes, truth.strays = self.process(), False, False
        truth.control, truth.stopped_at = ClusterState.IN_ARCHIVE_RECOVERY, None

    def promote(self, name: str) -> None:
        self.revision += 1
        self.key = Leader(name, self.revision)
        self.key_until = self.now + LEASE
        truth = self.truths[name]
        truth.writes, truth.control = True, ClusterState.IN_PRODUCTION
        self.handed_to = None

    def kill_server(self, name: str) -> None:
        """The postmaster alone: its backends live on."""
        truth = self.truths[name]
        if truth.postmaster:
            truth.postmaster, truth.strays = None, True

    def freeze_server(self, name: str) -> None:
        truth = self.truths[name]
        if truth.postmaster and truth.stopped_at is None:
            truth.stopped_at = self.now

    def kill_patroni(self, name: str) -> None:
        self.truths[name].patroni = None

    def hang_patroni(self, name: str) -> None:
        """Its process is there, and no more."""
        self.truths[name].is_hung = self.truths[name].patroni is not None

    def hears_of(self, name: str) -> bool:
        """Whether etcd has a word of an instance's Patroni."""
        return self.now <= self.truths[name].heard_until

    def restart_pooler(self) -> None:
        self.pooler, self.paused_at, self.loaded = self.process(), None, None

    def stop_server(self, name: str) -> None:
        """An orderly end, as a switchover begins with."""
        truth = self.truths[name]
        if truth.postmaster:
            truth.postmaster, truth.writes, truth.strays = None, False, False
            truth.control = ClusterState.SHUT_DOWN

    def patroni(self, name: str) -> None:
        """One round of an instance's Patroni, as far as the agent depends on it."""
        truth = self.truths[name]
        if truth.patroni is None:
            if not truth.is_kept_out:
                self.start_patroni(name)
            return
        if not self.etcd or truth.is_hung:
            return
        truth.heard_until = self.now + LEASE
        if self.key and self.now > self.key_until:
            self.key = None
        leads = self.key is not None and self.key.name == name
        if leads and self.handed_to and truth.stopped_at is None:
            self.stop_server(name)
            self.key = None
        elif leads and truth.postmaster is None:
            self.start_server(name)  # it holds the key still: it goes on as the primary
            truth.writes, truth.control = True, ClusterState.IN_PRODUCTION
            self.key_until = self.now + LEASE
        elif leads and truth.stopped_at is None:
            self.key_until = self.now + LEASE
        elif truth.postmaster is None:
            self.start_server(name)
        elif truth.writes and not leads and truth.stopped_at is None:
            self.kill_server(name)  # demoted at once: it held the key and lost it
            truth.strays = truth.writes = False
        elif self.key is None and truth.stopped_at is None and self.handed_to in (None, name):
            self.promote(name)

    def tick(self, seconds: float) -> None:
        self.now += seconds

    # What the agent hears, and does

    def new_agent(self) -> None:
        """One that knows nothing but what lies on the disk, and starts what should run."""
        self.lives = True
        for truth in self.truths.values():
            truth.is_kept_out = False
        self.seen = Seen({name: Instance() for name in self.names})
        self.hear_pooler()
        if self.stamp and self.stamp[0] == self.pooler:
            self.seen = self.seen.found_held(self.stamp[1])

    def hear_etcd(self) -> None:
        if not self.lives:
            return
        if not self.etcd:
            self.seen = replace(self.seen, is_current=False)
            return
        running = frozenset(n for n, t in self.truths.items() if t.postmaster and t.patroni)
        if self.key and self.now > self.key_until:
            self.key = None
        self.seen = replace(
            self.seen.led_by(self.key),
            is_current=True,
            is_handed_over=self.handed_to is not None,
            running=running,
            synchronous=running,
            lease_left=self.key_until - self.now if self.key else None,
        )

    def hear_pooler(self) -> None:
        if self.lives:
            seen = self.seen.pooled_by(self.pooler)
            self.seen = seen.pooler_reached(self.now, is_reachable=self.has_pooler_socket)

    def look_at(self, name: str) -> None:
        if not self.lives:
            return
        truth = self.truths[name]
        if truth.postmaster:
            self.seen = self.seen.serves(name, truth.postmaster)
        else:
            self.seen = self.seen.without_server(name, truth.control, self.now)
        self.seen = self.seen.standing_still(
            name, self.now, is_stopped=truth.stopped_at is not None
        )
        self.seen = self.seen.looked_after_by(name, truth.patroni, truth.patroni_began)
        self.seen = self.seen.reached(name, self.now, is_reachable=truth.has_socket)
        self.seen = self.seen.heard(name, self.now, is_heard=self.hears_of(name))

    def hear_everything(self) -> None:
        self.hear_etcd()
        self.hear_pooler()
        for name in self.names:
            self.look_at(name)
        self.examine()

    def examine(self) -> None:
        """Ask the leader who streams."""
        leader = self.seen.leader
        if not self.lives or leader is None or not self.truths[leader.name].writes:
            return
        streaming = {n for n, t in self.truths.items() if t.postmaster and n not in self.astray}
        moment = datetime.fromtimestamp(self.now, UTC)
        seen = {
            n: Replication("streaming", 0, datetime.min if n in self.mute else moment)
            for n in streaming - {leader.name}
        }
        self.seen = self.seen.replicating(seen, self.now)
        for name in self.names:
            self.seen = self.seen.astray(name, self.now)

    def want(self, target: str, *, forced: bool = False) -> None:
        """Somebody asks for a switchover."""
        if self.lives and self.seen.switch is None:
            revision = self.seen.leader.revision if self.seen.leader else None
            switch = Switch(target, revision, self.now, forced)
            self.seen = replace(self.seen, switch=switch)

    def moves(self) -> list[Move]:
        """What the agent would do now, in an order that is always the same."""
        if not self.lives:
            return []
        if self.seen.switch and self.seen.serving == self.seen.switch.target:
            self.seen = replace(self.seen, switch=None)
        return sorted(self.decide(self.seen, self.now), key=repr)

    def run(self, moves: Iterable[Move]) -> None:
        """Make these, as far as they are wanted still."""
        for move in moves:
            if move in self.moves():
                self.make(move)
        if self.lives and self.paused_at is not None:
            limit = core.HOLD_SECONDS + 2.0
            if self.now - self.paused_at > limit and Release() not in self.moves():
                raise Broken(f"clients are held for {self.now - self.paused_at:.0f} s")

    def settle(self, seconds: float = 0.0) -> None:
        """The agent hears everything and acts until it would do nothing more."""
        for _ in range(50):
            self.hear_everything()
            acts = [m for m in self.moves() if not isinstance(m, Wait) and self._would_help(m)]
            if not acts:
                break
            self.run(acts)
        else:
            raise Broken(f"it never rests: {self.made[-5:]}")
        self.tick(seconds)

    def _would_help(self, move: Move) -> bool:
        """Whether it can come to its end now: some wait for the world."""
        match move:
            case Look(leader):
                truth = self.truths[leader.name]
                return truth.writes and truth.postmaster is not None and truth.stopped_at is None
            case Settle():
                return not self.transaction_open
            case GiveBack():
                return self.etcd
            case Wake():
                return False
            case _:
                return True

    def make(self, move: Move) -> None:
        """Make one move as `Cluster` does."""
        self.made.append(move)
        seen = self.seen
        match move:
            case Hold():
                if self.pooler != seen.pooler.process:
                    return
                self.seen = seen.holding(self.now)
                if self.stamp is None or self.stamp[0] != self.pooler:
                    self.stamp = (self.pooler, self.now) if self.pooler else None
                self.paused_at = self.now if self.paused_at is None else self.paused_at
                if not self.transaction_open:
                    self.seen = self.seen.paused()
            case Release():
                if self.pooler != seen.pooler.process:
                    return
                self.paused_at = self.stamp = None
                self.seen = seen.released()
            case Look(leader):
                if leader != seen.leader:
                    return
                truth = self.truths[leader.name]
                if truth.writes and truth.postmaster and truth.stopped_at is None:
                    self.seen = seen.serves(leader.name, truth.postmaster).taking_writes(leader)
                    self.writable_under.add(leader.revision)
            case Route(leader, target):
                if leader != seen.leader:
                    raise Broken(f"a route under an old leader key: {move}")
                if leader.revision not in self.writable_under or target.primary != leader.name:
                    raise Broken(f"a route to who was not seen to take writes: {move}")
                if self.pooler == seen.pooler.process:
                    self.loaded = target.primary
                    self.seen = seen.routed(target)
            case Fence(name, postmaster):
                self._fence(name, postmaster)
            case GiveBack(leader):
                truth = self.truths[leader.name]
                if self.etcd and self.key and self.key.revision == leader.revision:
                    if truth.postmaster or truth.strays:
                        raise Broken("the key is given back of one whose processes live")
                    self.key = None
            case Hasten(name):
                self.start_patroni(name)
                self.look_at(name)
            case EndServer(name, postmaster):
                truth = self.truths[name]
                is_leader = self.key is not None and self.key.name == name
                if truth.postmaster == postmaster and not is_leader:
                    self.mute.discard(name)
                    truth.postmaster = truth.stopped_at = None
                    truth.strays = truth.writes = False
            case CopyAgain(name):
                truth = self.truths[name]
                if name == (self.key and self.key.name):
                    raise Broken("the data of the leader is taken away")
                truth.postmaster, truth.stopped_at = None, None
                self.astray.discard(name)
                self.start_patroni(name)
                self.seen = self.seen.taken_away(name, self.now)
            case RestartPatroni(name, patroni):
                if self.truths[name].patroni == patroni:
                    self.start_patroni(name)
                self.seen = replace(seen, lease_left=None)
            case ReplacePatroni(name, patroni):
                if not self.etcd or self.hears_of(name):
                    return  # the look before it says so
                truth = self.truths[name]
                if truth.patroni == patroni:
                    if self.now < truth.patroni_began + core.UNHEARD_SECONDS:
                        raise Broken(f"Patroni of {name} has hardly begun, and is ended")
                    self.start_patroni(name)
            case RestartPooler(process):
                if self.pooler == process:
                    self.restart_pooler()
                    self.has_pooler_socket = True
            case RestartServer(name, postmaster):
                if self.truths[name].postmaster == postmaster:
                    was_writing = self.truths[name].writes
                    self.start_server(name)
                    self.truths[name].writes = was_writing
                    self.truths[name].has_socket = True
            case Checkpoint() if seen.switch:
                self.seen = replace(seen, switch=replace(seen.switch, is_checkpointed=True))
            case Settle():
                if not self.transaction_open:
                    self.seen = seen.settled()
            case Ask(target, leader) if seen.switch:
                self.handed_to = target
                if leader is None:
                    self.key = None
                self.seen = replace(seen, switch=replace(seen.switch, asked_at=self.now))
            case GiveUp():
                self.given_up.append(move)
                self.seen = replace(seen, switch=None)
            case _:
                pass

    def _fence(self, name: str, postmaster: Identity | None) -> None:
        truth, known = self.truths[name], self.seen.instances[name]
        if known.postmaster and known.stopped_since is None:
            raise Broken(f"{name} is fenced, and its server is seen to run")
        if truth.postmaster and (truth.postmaster != postmaster or truth.stopped_at is None):
            self.look_at(name)
            return
        self.seen = self.seen.losing(name, self.now)
        truth.patroni, truth.is_kept_out = None, True
        truth.postmaster, truth.strays, truth.stopped_at = None, False, None
        truth.writes = False
        self.seen = self.seen.fenced(name, self.now)

    def check_health(self) -> None:
        """Where everything is kind again, clients reach the one that leads."""
        self.etcd, self.transaction_open = True, False
        hung = any(truth.is_hung for truth in self.truths.values())
        for _ in range(90 + hung * int(LEASE + core.UNHEARD_SECONDS)):
            if not self.lives:
                self.new_agent()
            self.settle()
            for name in self.names:
                self.patroni(name)
            self.tick(1.0)
            self.run(self.moves())
        self.settle()
        if self.paused_at is not None:
            raise Broken("clients are held for ever")
        if self.key is None or self.loaded != self.key.name:
            raise Broken(f"{self.key} leads, and clients go to {self.loaded}")
        if gone := [name for name, truth in self.truths.items() if truth.postmaster is None]:
            raise Broken(f"{gone} did not come back")
        if self.seen.serving != self.key.name:
            raise Broken(f"{self.key.name} leads, and the agent sees {self.seen.serving}")
