"""How many replicas a database is to have, from who reads: pure, the same wherever it is asked.

Two needs, each in servers that are read from: that of the CPU, and that of clients of the read-only
names; the larger counts (as AlloyDB and Cloud SQL size their read pools). A larger size comes
first, where there is one: a replica costs as much as all of them do, and has to be copied. Adding
is slow and taking away is slower. What is missing never takes a replica away.

Times are seconds of one clock that only goes forward, CPU in shares of what an instance has.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from msgspec import Struct

from pgherd.decide.sizing import GAP_SECONDS, held_since

CLIENT_SHARE = 0.8
"""Of the clients that a server may have who read only: above it another one is needed."""
MORE_SECONDS = 60.0
"""How long one too few has to be there before another one is added ..."""
MORE_COOLDOWN_SECONDS = 180.0
"""... and how long ago the last change must be: what is new has to show what it does."""
FEWER_SECONDS = 1800.0
"""How long one fewer has to be enough before one is taken away ..."""
FEWER_COOLDOWN_SECONDS = 3600.0
"""... and how long ago the last change must be."""
FEWER_SHARE = 0.7
"""One fewer is enough where those that stay would have no more than so much of what they can."""


class Range(Struct, frozen=True):
    """What the fleet file says: `low` to `high` replicas, and the share of CPU to stay below."""

    low: int
    high: int
    cpu_share: float


class Reading(Struct, frozen=True):
    """Who reads, and what that takes, in the `seconds` before `at`; None where it is unknown.

    `replicas` is how many there are; `cpu` that of each, and `primary_cpu` the primary's. `clients`
    are those of the read-only names, `clients_each` as many as one server may have.
    """

    at: float
    seconds: float
    replicas: int
    cpu: Sequence[float | None] = ()
    primary_cpu: float | None = None
    clients: int | None = None
    clients_each: int | None = None
    is_largest: bool = False
    """Its instances have the largest size that they may have."""
    all_stream: bool = False
    """Each replica streams, so that it is read from."""


class Readers(Struct, frozen=True):
    """What is remembered from one sample to the next; it does not grow.

    `..._since` say since when something has been so without a break, None where it is not. `need`
    is in servers, and `of_clients` says which of the two it is.
    """

    at: float
    replicas: int
    changed_at: float
    need: float | None = None
    of_clients: bool = False
    more_since: float | None = None
    fewer_since: float | None = None


class Count(Struct, frozen=True):
    """How many replicas it is to have. `why` is for people, with the numbers."""

    replicas: int
    why: str


def follow(readers: Readers | None, seen: Reading, range: Range) -> Readers:
    """The same with one more sample."""
    began = seen.at - seen.seconds
    if readers is None:
        readers = Readers(began, seen.replicas, began - FEWER_COOLDOWN_SECONDS)
    is_anew = seen.replicas != readers.replicas or began - readers.at > GAP_SECONDS
    more, fewer = (None, None) if is_anew else (readers.more_since, readers.fewer_since)
    by_cpu, by_clients = _cpu_need(seen, range), _client_need(seen)
    known = [need for need in (by_cpu, by_clients) if need is not None]
    need = max(known, default=None)
    # A larger size takes care of the CPU, as long as there is one.
    urgent = by_clients if not seen.is_largest else need
    is_short = urgent is not None and urgent > max(1, seen.replicas)
    is_roomy = len(known) == 2 and _is_enough(seen, need or 0.0, range)
    return Readers(
        at=seen.at if known else readers.at,
        replicas=seen.replicas,
        changed_at=readers.changed_at if seen.replicas == readers.replicas else seen.at,
        need=need,
        of_clients=by_clients is not None and by_clients == need,
        more_since=held_since(more, began, holds=is_short and seen.all_stream),
        fewer_since=held_since(fewer, began, holds=is_roomy),
    )


def judge(readers: Readers | None, range: Range, now: float) -> Count | None:
    """How many it is to have now; None where nothing says that it is to be another number."""
    if readers is None or now - readers.at > GAP_SECONDS:
        return None
    count, since_change = readers.replicas, now - readers.changed_at
    if (
        readers.more_since is not None
        and count < range.high
        and now - readers.more_since >= MORE_SECONDS
        and since_change >= MORE_COOLDOWN_SECONDS
    ):
        return Count(count + 1, _why(readers, f"for {now - readers.more_since:.0f} s"))
    if (
        readers.fewer_since is not None
        and count > range.low
        and now - readers.fewer_since >= FEWER_SECONDS
        and since_change >= FEWER_COOLDOWN_SECONDS
    ):
        return Count(count - 1, _why(readers, f"for {(now - readers.fewer_since) / 60:.0f} min"))
    return None


def _why(readers: Readers, how_long: str) -> str:
    what = "clients that read" if readers.of_clients else "the CPU of those that are read from"
    servers = max(1, ceil(readers.need or 0.0))
    return f"{what} need {servers} of {max(1, readers.replicas)} servers {how_long}"


def _cpu_need(seen: Reading, range: Range) -> float | None:
    """Servers that keep the CPU below its share; without a replica, reads are the primary's."""
    if not seen.replicas:
        if seen.primary_cpu is None or seen.clients is None:
            return None
        return seen.primary_cpu / range.cpu_share if seen.clients else 0.0
    known = [cpu for cpu in seen.cpu if cpu is not None]
    if len(known) < seen.replicas:
        return None
    return sum(known) / range.cpu_share


def _client_need(seen: Reading) -> float | None:
    if seen.clients is None or not seen.clients_each:
        return None
    return seen.clients / (CLIENT_SHARE * seen.clients_each)


def _is_enough(seen: Reading, need: float, range: Range) -> bool:
    """Whether one fewer would do; the primary takes the reads of the last one."""
    if seen.replicas > 1:
        return need <= FEWER_SHARE * (seen.replicas - 1)
    if seen.primary_cpu is None:
        return False
    return need + seen.primary_cpu / range.cpu_share <= FEWER_SHARE
