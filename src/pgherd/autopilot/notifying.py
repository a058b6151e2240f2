"""The controller's part in notifications: what is due is asked of the helper, and remembered.

It knows the names of receivers, and not how they are told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.notices import KEY, decode, encode
from pgherd.autopilot.requests import LONGEST_SENTENCE, Notify, ToldAlert
from pgherd.autopilot.telling import Telling
from pgherd.contract.observed import DatabaseState, Observation, Observations, Unknown
from pgherd.decide.alerts import Alert
from pgherd.decide.notifications import (
    MOST_IN_ONE,
    Known,
    Listener,
    Message,
    Notices,
    OpenAlert,
    due,
    not_taken,
    noted,
    taken,
)
from pgherd.errors import PgherdError
from pgherd.fleet.desired import Fleet
from pgherd.store.values import Event


class Notifying:
    """That of one controller."""

    def __init__(self, helper: HelperLink, telling: Telling) -> None:
        self._helper = helper
        self._telling = telling
        self._notices = Notices()
        self._saved = b""
        self._is_recalled = False
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def recall(self) -> None:
        """What was told before a restart is not told again, once that is known."""
        known = decode(await self._telling.recall(KEY))
        self._is_recalled = self._telling.is_there
        if not self._notices.channels:
            self._notices = known

    async def round(
        self, fleet: Fleet, alerts: Iterable[Alert], unsure: Collection[str], at: datetime
    ) -> None:
        """Note what is open, and begin to tell what is due."""
        if not fleet.notifications and not self._notices.channels:
            return
        now = at.timestamp()
        found = [OpenAlert(a.name, a.subject, a.summary, a.remedy) for a in alerts]
        self._notices = noted(self._notices, listeners(fleet), found, unsure, now)
        await self._save()
        for message in due(self._notices, now):
            if message.receiver not in self._busy:
                self._busy[message.receiver] = asyncio.create_task(self._send(message))

    async def _send(self, message: Message) -> None:
        try:
            await self._ask(message)
        finally:
            self._busy.pop(message.receiver, None)

    async def _ask(self, message: Message) -> None:
        before = {(c.receiver, c.environment): c.trouble for c in self._notices.channels}
        try:
            await self._helper.notify(request(message))
        except PgherdError as error:
            now = datetime.now(UTC)
            self._notices = not_taken(self._notices, message, error.message, now.timestamp())
            await self._save()
            if before.get((message.receiver, message.environment)) != error.message:
                await self._tell(now, "notification-failed", error.message, message)
            return
        now = datetime.now(UTC)
        self._notices = taken(self._notices, message, now.timestamp())
        await self._save()
        counts = f"{len(message.firing)} open, {len(message.ended)} resolved"
        await self._tell(now, "notification", f"{message.receiver} was told: {counts}", message)

    async def _tell(self, at: datetime, kind: str, why: str, message: Message) -> Event | None:
        details = {"receiver": message.receiver}
        environment = message.environment
        return await self._telling.event(at, kind, why, environment=environment, details=details)

    async def _save(self) -> None:
        content = encode(self._notices)
        if not self._is_recalled or content == self._saved:
            return
        if await self._telling.remember(KEY, content):
            self._saved = content


def listeners(fleet: Fleet) -> Iterator[Listener]:
    """Its receivers, with the environments that each hears of."""
    for receiver in fleet.notifications:
        heard = (e.name for e in fleet.environments if receiver.hears_of(e.name))
        yield Listener(receiver.name, tuple(heard))


def unsure(
    fleet: Fleet, seen: Observations, measured: Collection[str], metered: Mapping[str, bool]
) -> set[str]:
    """The databases of which not all is known now: no alert of theirs has ended.

    `measured` are those whose use is known, `metered` says which engines know it at all.
    """
    found = set()
    for database in fleet.databases:
        engine, id = database.environment.engine, str(database.id)
        observation = seen.get(engine)
        if not isinstance(observation, Observation):
            found.add(id)
            continue
        one = observation.databases.get(database.id)
        if isinstance(one, Unknown):
            found.add(id)
        elif one is not None and one.state is not DatabaseState.STOPPED:
            found |= {id} if metered.get(engine) and id not in measured else set()
    return found


def request(message: Message) -> Notify:
    """As the helper is asked for it."""
    return Notify(
        message.receiver,
        message.environment,
        message.number,
        firing=_told(message.firing),
        ended=_told(message.ended),
        more_firing=max(0, len(message.firing) - MOST_IN_ONE),
        more_ended=max(0, len(message.ended) - MOST_IN_ONE),
        is_repeat=message.is_repeat,
        is_last=message.is_last,
    )


def _told(known: Iterable[Known]) -> tuple[ToldAlert, ...]:
    return tuple(
        ToldAlert(
            one.alert.name[:100],
            _cut(one.alert.subject, 200),
            max(0.0, one.since),
            _cut(one.alert.summary, LONGEST_SENTENCE),
            _cut(one.alert.remedy, LONGEST_SENTENCE),
        )
        for one in list(known)[:MOST_IN_ONE]
    )


def _cut(text: str, longest: int) -> str:
    """What can be sent of it: a lone half of a character cannot."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else " " for c in whole)[:longest]
