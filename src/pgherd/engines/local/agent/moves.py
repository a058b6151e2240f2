"""What the agent may do for one database. Each move says what it is meant for, and may be repeated.

By the time that a move is made the world may be another: so it names a process by its identity, a
leader key by its revision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pgherd.engines.local.agent.parts import Leader, Target
from pgherd.engines.local.processes import Identity


@dataclass(frozen=True, slots=True)
class Hold:
    """Make clients wait in the pooler; those whose transactions are open go on."""


@dataclass(frozen=True, slots=True)
class Release:
    """Let them go on."""


@dataclass(frozen=True, slots=True)
class Look:
    """Ask the holder of a leader key until it takes writes."""

    leader: Leader


@dataclass(frozen=True, slots=True)
class Route:
    """Let the pooler send its clients there, as long as `leader` is the newest leader key."""

    leader: Leader
    target: Target


@dataclass(frozen=True, slots=True)
class Fence:
    """End an instance's Patroni and all that works in its data directory.

    Not where another server than `postmaster`, or any where that is None, has begun meanwhile.
    """

    instance: str
    postmaster: Identity | None = None


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Delete a leader key, if it is the newest still."""

    leader: Leader


@dataclass(frozen=True, slots=True)
class Wake:
    """Let an instance's Patroni look now: nobody leads, and it may have missed that."""

    instance: str


@dataclass(frozen=True, slots=True)
class Hasten:
    """Start the Patroni of a fenced instance now."""

    instance: str


@dataclass(frozen=True, slots=True)
class EndServer:
    """End a replica's server: it, or what receives WAL in it, is frozen.

    Its Patroni starts another.
    """

    instance: str
    postmaster: Identity


@dataclass(frozen=True, slots=True)
class CopyAgain:
    """Put a replica's data aside, and let its Patroni copy the leader's."""

    instance: str


@dataclass(frozen=True, slots=True)
class RestartPatroni:
    """End a Patroni, to be started again; its server runs on."""

    instance: str
    patroni: Identity


@dataclass(frozen=True, slots=True)
class ReplacePatroni:
    """End a Patroni that etcd does not hear of, to be started again; its server runs on.

    Not where etcd has a word of it by now.
    """

    instance: str
    patroni: Identity


@dataclass(frozen=True, slots=True)
class RestartPooler:
    """End a pooler that nobody can tell anything, to be started again."""

    process: Identity


@dataclass(frozen=True, slots=True)
class RestartServer:
    """Have Patroni restart a server that nobody can open over its Unix socket."""

    instance: str
    postmaster: Identity


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Write a checkpoint on the primary, so that its last one is short."""


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait until the transactions have ended that the service's sessions have open now."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask Patroni to let another instance lead."""

    target: str
    leader: Leader | None
    """Who leads now; None to make the target lead whatever becomes of who leads."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The switch that is wanted does not come to pass."""

    message: str
    hint: str = "see `pgherd status`"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing changes by itself before that moment."""

    until: float


Move: TypeAlias = (
    Hold
    | Release
    | Look
    | Route
    | Fence
    | GiveBack
    | Wake
    | Hasten
    | EndServer
    | CopyAgain
    | RestartPatroni
    | ReplacePatroni
    | RestartPooler
    | RestartServer
    | Checkpoint
    | Settle
    | Ask
    | GiveUp
    | Wait
)
