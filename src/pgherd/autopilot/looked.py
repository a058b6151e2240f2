"""What the helper sees of an engine that the controller may not sign in to, on its way there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from msgspec import Struct

from pgherd.contract.engine import Engine
from pgherd.contract.meter import DatabaseCounters, Usage
from pgherd.contract.observed import Observation, ObservedDatabase, Unknown
from pgherd.errors import PgherdError
from pgherd.fleet.desired import DatabaseId

SINCE = timedelta(minutes=10)
"""What is measured in a place of its own comes some minutes late."""


class Looked(Struct, frozen=True):
    """An observation and the newest measurements, by the names of databases.

    `unknown` are those that gave no answer, and why.
    """

    environments: frozenset[str] = frozenset()
    databases: Mapping[str, ObservedDatabase] = {}
    unknown: Mapping[str, str] = {}
    impaired: Mapping[str, str] = {}
    stopped: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    usages: Mapping[str, Usage] = {}
    counters: Mapping[str, DatabaseCounters] = {}

    @property
    def observation(self) -> Observation:
        """As the engine saw it."""
        seen: dict[DatabaseId, ObservedDatabase | Unknown] = {
            DatabaseId.parse(name): Unknown(why) for name, why in self.unknown.items()
        }
        seen |= {found.id: found for found in self.databases.values()}
        return Observation(self.environments, seen, self.impaired, self.stopped, self.notes)


async def look(engine: Engine) -> Looked:
    """Look at it once. The errors of `observe`; what cannot be measured is left out."""
    seen = await engine.observe(roles=False)
    meter = engine.meter
    usages: Mapping[DatabaseId, Sequence[Usage]] = {}
    if meter:
        with suppress(PgherdError):
            usages = await meter.usage(SINCE)
    found = seen.databases.items()
    return Looked(
        environments=seen.environments,
        databases={str(id): d for id, d in found if isinstance(d, ObservedDatabase)},
        unknown={str(id): d.reason for id, d in found if isinstance(d, Unknown)},
        impaired=seen.impaired,
        stopped=seen.stopped,
        notes=seen.notes,
        usages={str(id): newest(of) for id, of in usages.items() if of},
        counters={str(id): c for id, c in meter.counters().items()} if meter else {},
    )


def newest(usages: Sequence[Usage]) -> Usage:
    """The last of which CPU and memory are known, where there is one: they may come one by one."""
    whole = [u for u in usages if u.cpu_percent is not None and u.memory_percent is not None]
    return (whole or usages)[-1]
