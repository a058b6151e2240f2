"""What a command may ask of the agent, and what it is answered: all of it, typed.

A request is sent by its name and its members, as JSON. Whoever changes one here changes the digest
that is the version of both sides (`rpc.version`), so they never misunderstand each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar, get_args

from msgspec import Meta

from pgherd.engines.local.agent.condition import Condition
from pgherd.engines.local.measured import Measured

Answer = TypeVar("Answer")

LOOK_SECONDS = 5.0
"""How long an agent may take to say what it knows."""
MOST_SECONDS = 1e9
"""Of anything; what a date can still be reckoned from."""
WORK_SECONDS = 300.0
"""For an answer: a database is stopped in that time, whatever its replicas do."""


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """Which agent answers."""

    pid: int
    version: str


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """One instance. `replication` is what the primary says of it, None where it says nothing."""

    has_process: bool
    has_failed: bool
    waits_for_restart: bool
    replication: str | None
    lag_bytes: int | None

    @property
    def streams(self) -> bool:
        """It receives WAL as it is written."""
        return self.replication == "streaming"


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """What a client of the service found `age` seconds ago; `trouble` is empty if all was well."""

    age: Annotated[float, Meta(ge=0, le=MOST_SECONDS)]
    trouble: str


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """One database. `serving` is the primary that clients are sent to.

    `client` is None where nobody has tried since.
    """

    leader: str | None
    serving: str | None
    schema_revision: str | None
    synchronous: tuple[str, ...]
    has_pooler: bool
    instances: Mapping[str, InstanceStatus]
    client: ClientStatus | None = None


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """All that the agent sees. Of `environments` it says whether it is in touch with their etcd."""

    environments: Mapping[str, bool]
    databases: Mapping[str, DatabaseStatus]
    due: Mapping[str, str]
    """What there is to do for the certificates of environments, where there is something."""


class Request(Generic[Answer]):
    """Something to ask."""

    __slots__ = ()

    @property
    def patience(self) -> float:
        """Seconds until whoever asked gives up."""
        return WORK_SECONDS


class Look(Request[Answer]):
    """Something that the agent knows, or finds out at once."""

    __slots__ = ()

    @property
    def patience(self) -> float:
        """Seconds until whoever asked gives up."""
        return LOOK_SECONDS


@dataclass(frozen=True, slots=True)
class Ping(Look[AgentInfo]):
    """Which agent is this?"""


@dataclass(frozen=True, slots=True)
class Observe(Look[FleetStatus]):
    """How is everything?"""


@dataclass(frozen=True, slots=True)
class Measure(Look[Measured]):
    """What does everything use?

    And what has the agent done since what it counted as `after`? `source` says which agent did.
    """

    source: str = ""
    after: int = 0


@dataclass(frozen=True, slots=True)
class LookAt(Look[None]):
    """Ask a database's primary at once what it has committed."""

    database: str


@dataclass(frozen=True, slots=True)
class CommittedUntil(Look[float | None]):
    """Until when lies all that was committed in a database before that position of its WAL?

    In seconds since the machine was started; None where nobody has looked then.
    """

    database: str
    position: int


@dataclass(frozen=True, slots=True)
class Leave(Look[None]):
    """End; everything runs on."""


@dataclass(frozen=True, slots=True)
class ConvergeEnvironment(Request[None]):
    """Run, or stop, an environment's etcd as its manifest wants."""

    environment: str


@dataclass(frozen=True, slots=True)
class MendEnvironment(Request[None]):
    """Begin an etcd anew that will not run by itself; NeedsHuman where that does not help."""

    environment: str


@dataclass(frozen=True, slots=True)
class ConvergeDatabase(Request[None]):
    """Run, or stop, a database's pooler and instances as its manifest wants."""

    database: str


@dataclass(frozen=True, slots=True)
class Forget(Request[None]):
    """Nothing is known any more of a database that does not run: its data is about to be another.

    Who led, and how far it had come, would keep the next one from leading.
    """

    database: str


@dataclass(frozen=True, slots=True)
class Exchange(Request[bool]):
    """Stop a database, and let an instance have what lies whole beside its data, the others none.

    That is what was restored, or what is to be undone; whether what it had is kept there now.
    Clients of one that ran wait in the pooler for it to be converged, and not for ever.
    """

    database: str
    number: int
    is_undo: bool


@dataclass(frozen=True, slots=True)
class Configure(Request[None]):
    """Let all instances of a database share what its manifest says (in Patroni's words)."""

    database: str


@dataclass(frozen=True, slots=True)
class Restart(Request[None]):
    """Restart PostgreSQL of one instance, if its settings wait for that."""

    database: str
    instance: str


@dataclass(frozen=True, slots=True)
class SwitchOver(Request[str]):
    """Let another instance lead, the best replica without a `target`. Its name."""

    database: str
    target: str | None = None
    forced: bool = False


class Awaiting(Request[bool]):
    """Something that is waited for, for so many seconds; whether it came true."""

    __slots__ = ()
    seconds: float

    @property
    def patience(self) -> float:
        """Seconds until whoever asked gives up."""
        return self.seconds + 6 * LOOK_SECONDS


@dataclass(frozen=True, slots=True)
class AwaitEnvironment(Awaiting):
    """Wait until an environment's etcd is watched."""

    environment: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AwaitDatabase(Awaiting):
    """Wait until a database is so; NeedsHuman as soon as waiting is in vain."""

    database: str
    condition: Condition
    seconds: float


@dataclass(frozen=True, slots=True)
class Reload(Awaiting):
    """Let a database's programs read their configuration; whether all have."""

    database: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ServeCertificates(Awaiting):
    """Let a database's programs serve the certificates that lie on disk; whether all do."""

    database: str
    seconds: float


def wire_name(request: type[Request[Answer]]) -> str:
    """What a kind of request is called on its way: `ConvergeDatabase` is `converge_database`."""
    return re.sub(r"(?<=.)([A-Z])", r"_\1", request.__name__).lower()


def answer_type(request: type[Request[Answer]]) -> type[Answer]:
    """The type of the answer to that kind of request."""
    for kind in request.__mro__:
        for base in getattr(kind, "__orig_bases__", ()):
            if (found := get_args(base)) and not isinstance(found[0], TypeVar):
                answer: type[Answer] = found[0]
                return answer
    raise TypeError(f"{request.__name__} does not say what its answer is")
