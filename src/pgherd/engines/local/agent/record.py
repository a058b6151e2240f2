"""The last things that the agent did, for whoever asks. In memory, bounded, and gone with it."""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from datetime import UTC, datetime, timedelta

from pgherd.engines.local.agent.seen import Seen
from pgherd.engines.local.agent.witness import Deed, Witness
from pgherd.engines.local.happened import (
    LONGEST,
    MOST,
    MOST_OF_DATABASE,
    AllHappened,
    Happened,
)
from pgherd.fleet.desired import DatabaseId

log = logging.getLogger(__name__)


class Record:
    """That of one agent: of all databases."""

    def __init__(self) -> None:
        self.source = secrets.token_hex(8)
        self._last = 0
        self._found: dict[str, deque[Happened]] = {}

    def add(self, id: DatabaseId, deed: Deed, now: float, at: datetime) -> None:
        """It was done; `at` is the time of `now`."""
        database = str(id)
        self._last += 1
        happened = Happened(
            number=self._last,
            at=at - timedelta(seconds=max(0.0, now - deed.began)),
            kind=deed.kind,
            database=database,
            reason=deed.reason[:LONGEST],
            instance=deed.instance,
            program=deed.program,
            before=deed.before,
            after=deed.after,
            phases={f"{name}_ms": round(1000 * s, 1) for name, s in deed.phases},
        )
        self._found.setdefault(database, deque(maxlen=MOST_OF_DATABASE)).append(happened)
        if sum(map(len, self._found.values())) > MOST:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = min(self._found.values(), key=lambda own: own[0].number).popleft()
        if not self._found[oldest.database]:
            del self._found[oldest.database]

    def after(self, source: str, number: int) -> AllHappened:
        """Those after that number; all of them where another agent counted."""
        since = number if source == self.source else 0
        found = (one for own in self._found.values() for one in own if one.number > since)
        return AllHappened(self.source, tuple(sorted(found, key=lambda one: one.number)))


class RecordOfDatabase:
    """Adds what becomes of one database. Whatever goes wrong here, nothing else does."""

    def __init__(self, id: DatabaseId, record: Record) -> None:
        self._id = id
        self._record = record
        self._witness = Witness()

    def follow(self, before: Seen, seen: Seen, now: float) -> None:
        """It was so, and is so now."""
        if before is seen:
            return
        try:
            for deed in self._witness.follow(before, seen, now):
                self._record.add(self._id, deed, now, datetime.now(UTC))
        except Exception:
            log.exception("%s: what happened to it is not told", self._id)

    def because(self, instance: str | None, program: str, reason: str) -> None:
        """That program is about to be restarted, and this is why."""
        self._witness.because(instance, program, reason)

    def failed(self, reason: str) -> None:
        """The switchover that is wanted does not come to pass, and this is why."""
        self._witness.failed(reason)


class Recorded:
    """A database of which something is seen; what becomes of it is recorded, in memory."""

    def __init__(self, id: DatabaseId, record: Record, seen: Seen) -> None:
        self.record = RecordOfDatabase(id, record)
        self._seen = seen

    @property
    def seen(self) -> Seen:
        """What is seen of it now."""
        return self._seen

    @seen.setter
    def seen(self, seen: Seen) -> None:
        before, self._seen = self._seen, seen
        self.record.follow(before, seen, time.monotonic())
