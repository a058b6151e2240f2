"""What is seen of one database, part by part: frozen values. What is unknown is None."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from pgherd.engines.local.postgres import ClusterState
from pgherd.engines.local.processes import Identity

LAG_LIMIT = 64 * 1024 * 1024
"""Bytes of WAL by which a replica may be behind and still be read from."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The leader key: who holds it, and the revision of etcd that it was written with."""

    name: str
    revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Replication:
    """What the primary says of one replica."""

    state: str
    lag_bytes: int | None = None
    replied: datetime | None = None
    """When it last sent a word, by its own clock."""
    silent: float = 0.0
    """For how many seconds it has been seen to send none."""

    @property
    def streams(self) -> bool:
        """It receives WAL as it is written."""
        return self.state == "streaming"

    def after(self, before: Replication | None, seconds: float) -> Replication:
        """It, where it was so that many seconds ago."""
        if before is None or self.replied is None or before.replied != self.replied:
            return self
        return replace(self, silent=before.silent + seconds)

    @property
    def is_fresh(self) -> bool:
        """It may be read from."""
        return self.streams and (self.lag_bytes or 0) <= LAG_LIMIT


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance, as the kernel and its own files show it.

    `postmaster` runs in its data directory; `ended` did, and nothing has been done about its end
    yet. `control` is what pg_control said then, None where it could not be read. `idle_since` is
    when it was first seen without one, `stopped_since` when its server was first seen stopped,
    `patroni_since` when its Patroni began. From `fenced_since` on neither Patroni nor anything in
    its data directory runs, until it is hastened.
    """

    postmaster: Identity | None = None
    ended: Identity | None = None
    control: ClusterState | None = None
    idle_since: float = 0.0
    stopped_since: float | None = None
    patroni: Identity | None = None
    patroni_since: float = 0.0
    fenced_since: float | None = None
    is_damaged: bool = False
    """No server can start from its data."""
    astray_since: float | None = None
    """Since when its server runs and receives no WAL, though another one leads."""
    moved_at: float = 0.0
    """When it was last seen to get on: a program of its Patroni's runs, or it replays WAL."""
    unreachable_since: float | None = None
    """Since when its server runs and nobody can open it: its Unix socket is gone."""
    unheard_since: float | None = None
    """Since when its Patroni runs and etcd, which answers, has no word of it."""
    copied_at: float | None = None
    """When its data was last taken away, to be copied from the leader again."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a pooler sends its clients: a primary, and the replicas that may be read from."""

    primary: str
    replicas: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pooler:
    """The database's pooler. What it was told ends with its process."""

    process: Identity | None = None
    loaded: Target | None = None
    """Where it sends its clients, None where that is unknown."""
    held_since: float | None = None
    """Since when it makes them wait."""
    is_paused: bool = False
    """No transaction of the pooled names is open any more."""
    unreachable_since: float | None = None
    """Since when it runs and nobody can tell it anything: its Unix socket is gone."""
    unanswered_since: float | None = None
    """Since when it answers neither a client nor its operator."""
    is_settled: bool = False
    """And none of the service's sessions that was open when it was paused."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Another instance is wanted to lead: `target`, in place of who holds the key `revision`.

    One that is `forced` asks nobody but Patroni.
    """

    target: str
    revision: int | None
    begun_at: float
    forced: bool = False
    is_checkpointed: bool = False
    held_at: float | None = None
    asked_at: float | None = None
