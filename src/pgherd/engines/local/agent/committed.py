"""Until when all that was committed lies before a place in the WAL.

A heartbeat that writes nothing: each look at a primary says what its transactions are and how far
its WAL has come. As long as the transactions are the same, nothing was committed in between, so a
copy of the WAL up to the first of these looks has all that was committed up to the last of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from pgherd.engines.local.timelines import (
    FIRST_PAGE_HEADER,
    PAGE,
    PAGE_HEADER,
    SEGMENT,
    segment_end,
)

SETTLED_SECONDS = 150.0
"""By then all that matters was handed over: PostgreSQL ends a segment with a commit in it after a
minute (`archive_timeout`), and leaves alone one that only its own notes are in."""
FINE_SECONDS = 600.0
COARSE_SECONDS = 60.0
"""Of what is older than `FINE_SECONDS`, one mark in so long is kept."""
MOST = 400


@dataclass(frozen=True, slots=True)
class Mark:
    """Nothing was committed from `began` to `seen`, and all of before lies before `position`."""

    began: float
    seen: float
    position: int


@dataclass(frozen=True, slots=True)
class Committing:
    """What a primary says: `transactions` is its snapshot, `position` where its WAL ends.

    `archived` is the name of what was archived last; `fails` where a later one was not. `receiver`
    is who receives its WAL as it is written, and `received` how far that is on a disk.
    """

    transactions: str
    position: int
    archived: str | None = None
    fails: bool = False
    receiver: int | None = None
    received: int | None = None


def record_end(position: int) -> int:
    """Where WAL ends by that position, which may lie behind the header of a page yet to come."""
    header = FIRST_PAGE_HEADER if position % SEGMENT < PAGE else PAGE_HEADER
    return position - header if position % PAGE == header else position


class Committed:
    """Of one database. Times are those of one clock that only goes on."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque(maxlen=MOST)
        self._transactions = ""
        self._archived: int | None = None
        self._receiver = ""
        self._received: tuple[int, int] | None = None
        """From where on, at the latest, that one has received all, and up to where."""

    def look(self, asked: float, server: str, said: Committing) -> None:
        """A primary has said so; it was asked at that time."""
        if (archived := segment_end(said.archived)) is not None:
            self._archived = archived
        self._note_receiver(server, said)
        transactions = f"{server} {said.transactions}"
        last = self._marks[-1] if self._marks else None
        if last is None or transactions != self._transactions:
            self._transactions = transactions
            self._thin(asked)
            self._marks.append(Mark(asked, asked, record_end(said.position)))
            return
        position = last.position
        is_settled = asked - last.began > SETTLED_SECONDS and not said.fails
        if is_settled and archived is not None:
            position = min(position, archived)
        self._marks[-1] = replace(last, seen=asked, position=position)

    def until(self, position: int) -> float | None:
        """All that was committed by then lies before that position; None where that is unknown."""
        found = (mark.seen for mark in reversed(self._marks) if mark.position <= position)
        return next(found, None)

    def kept_until(self) -> float | None:
        """The same of what was handed over, and of what was received from its end on.

        A receiver that was seen first beyond that end may have missed something in between.
        """
        if (end := self._archived) is None:
            return None
        if self._received and self._received[0] <= end:
            end = max(end, self._received[1])
        return self.until(end)

    def _note_receiver(self, server: str, said: Committing) -> None:
        if said.receiver is None or said.received is None:
            self._receiver, self._received = "", None
            return
        name = f"{server} {said.receiver}"
        first = self._received[0] if self._received and name == self._receiver else said.received
        self._receiver, self._received = name, (first, said.received)

    def _thin(self, now: float) -> None:
        """The last one but one of those that are old goes where it lies close to the one before."""
        old = [m for m in self._marks if now - m.seen > FINE_SECONDS]
        if len(old) > 2 and old[-1].seen - old[-3].seen < COARSE_SECONDS:
            self._marks.remove(old[-2])
