"""What engines did by themselves becomes history: each thing once, whoever was restarted meanwhile.

How far each engine's are told is kept in the store, in one transaction with them. What is told
again and again within a minute is one event with a count.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pgherd.autopilot.telling import Telling
from pgherd.contract.happenings import Happening, HappeningKind, Happenings
from pgherd.fleet.desired import Fleet
from pgherd.store.values import Event, NewEvent

log = logging.getLogger(__name__)

KEY = "happenings"
MOST_A_MINUTE = 200
"""Of all engines together: whoever tells more is believed no more of it."""
MINUTE_SECONDS = 60.0
TOGETHER = timedelta(seconds=60)
OFTEN = frozenset({HappeningKind.HOLD, HappeningKind.RESTART})
"""Kinds of which several within a minute are one event."""
OLDEST = timedelta(days=1)
"""What was told by a clock that is more wrong than that happened then."""


class Mark(Struct, frozen=True):
    """So far one engine's are told."""

    source: str
    number: int


@dataclass(frozen=True, slots=True)
class Told:
    """An event, how often it happened, and the one that it comes to, where there is one."""

    event: NewEvent
    times: int
    known: tuple[Event, int] | None


class Happened:
    """Tells the store."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._heard: dict[str, Happenings] = {}
        self._told: dict[str, Mark] = {}
        self._minute = (float("-inf"), 0)
        self._recent: dict[Hashable, tuple[Event, int]] = {}

    def hear(self, engine: str, happenings: Happenings | None) -> None:
        """An engine says so."""
        if happenings is not None:
            self._heard[engine] = happenings

    async def tell(self, fleet: Fleet, at: datetime, now: float) -> None:
        """Tell what is new of databases of the fleet."""
        marks = {name: _mark(heard) for name, heard in self._heard.items()}
        heard = {n: h for n, h in self._heard.items() if marks[n] != self._told.get(n)}
        self._heard = {}
        if not heard:
            return
        ids = {d.id for d in fleet.databases}
        room = self._room(now)
        found: list[Told] = []

        def news(known: bytes | None) -> tuple[Sequence[NewEvent], bytes]:
            before = decode(known)
            fresh = [
                event_of(name, one, at)
                for name, told in heard.items()
                for one in fresh_of(told, before.get(name))
                if one.database in ids
            ]
            if len(fresh) > room:
                log.warning("%d things that happened are not told", len(fresh) - room)
            found[:] = [
                Told(event, count, self._known(event)) for event, count in gathered(fresh[:room])
            ]
            added = [counted(told.event, told.times) for told in found if not told.known]
            return added, encode({**before, **{name: marks[name] for name in heard}})

        added = await self._telling.news(KEY, news)
        if added is None:
            return
        self._told |= {name: marks[name] for name in heard}
        self._minute = (self._minute[0], self._minute[1] + len(found))
        await self._remember(found, added)

    def _room(self, now: float) -> int:
        if now - self._minute[0] >= MINUTE_SECONDS:
            self._minute = (now, 0)
        return max(0, MOST_A_MINUTE - self._minute[1])

    def _known(self, event: NewEvent) -> tuple[Event, int] | None:
        """The event that it comes to, and how often that was counted."""
        known = self._recent.get(alike(event))
        if known is None or event.kind not in OFTEN:
            return None
        return known if abs(event.at - known[0].at) < TOGETHER else None

    async def _remember(self, found: Sequence[Told], added: Sequence[Event]) -> None:
        kept = iter(added)
        for told in found:
            event, count = told.known or (next(kept), 0)
            count += told.times
            if told.known:
                await self._telling.amend(event, {"count": count})
            self._recent[alike(told.event)] = event, count
        if added:
            newest = max(event.at for event in added)
            self._recent = {k: v for k, v in self._recent.items() if newest - v[0].at < TOGETHER}


def fresh_of(heard: Happenings, mark: Mark | None) -> list[Happening]:
    """Those that are not told yet; all of another source. Pure."""
    since = mark.number if mark and mark.source == heard.source else 0
    return [one for one in heard.found if one.number > since]


def event_of(engine: str, one: Happening, now: datetime) -> NewEvent:
    """As the history has it. Pure."""
    details: dict[str, Any] = {"engine": engine}
    if one.before is not None and one.after is not None:
        details |= {"from": one.before, "to": one.after}
    for name in ("instance", "program"):
        if (value := getattr(one, name)) is not None:
            details[name] = value
    details["phases"] = dict(one.phases)
    at = min(max(one.at, now - OLDEST), now)
    return NewEvent(at, one.kind.value, one.reason, None, str(one.database), details)


def gathered(events: Iterable[NewEvent]) -> list[tuple[NewEvent, int]]:
    """What happened several times within a minute, once, with how often. Pure."""
    found: list[tuple[NewEvent, int]] = []
    last: dict[Hashable, int] = {}
    for event in events:
        place = last.get(alike(event))
        if place is not None and event.kind in OFTEN:
            first, count = found[place]
            if event.at - first.at < TOGETHER:
                found[place] = first, count + 1
                continue
        last[alike(event)] = len(found)
        found.append((event, 1))
    return found


def alike(event: NewEvent) -> Hashable:
    """What events have in common that are told as one."""
    said = (event.details.get(name) for name in ("instance", "program"))
    return (event.kind, event.database, event.reason, *said)


def counted(event: NewEvent, count: int) -> NewEvent:
    """It, with how often it happened where that is more than once."""
    if count == 1:
        return event
    return replace(event, details={**event.details, "count": count})


def encode(marks: Mapping[str, Mark]) -> bytes:
    """For the store."""
    return msgspec.json.encode(dict(marks))


def decode(content: bytes | None) -> dict[str, Mark]:
    """What `encode` made; nothing where that cannot be read."""
    if content is None:
        return {}
    try:
        return msgspec.json.decode(content, type=dict[str, Mark])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}


def _mark(heard: Happenings) -> Mark:
    return Mark(heard.source, max((one.number for one in heard.found), default=0))
