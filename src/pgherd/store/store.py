"""The history of a fleet, for whoever runs it: all its calls in one place.

Calls block, and may come from any thread; one is served at a time. No error but those of
`pgherd.errors` leaves them: TryLater where the disk or the server does not take it now, and
StoreDamaged where `renew` is needed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from pgherd.store import alerts, events, learnt, samples
from pgherd.store.opening import left_by, name_of, opened, place_of, renewed
from pgherd.store.reader import Reader, utc_now
from pgherd.store.server import Line
from pgherd.store.troubles import translated
from pgherd.store.values import Alert, Event, Lost, NewEvent, Sample, Whose

FREE_PAGES = 1_024
"""So many free pages stay in the file, for what comes next; more are given back to the disk."""
RETURNED_PAGES = 256
"""At most so many are given back at once."""


class Store(Reader):
    """Made by `Store.open`. `where` is a path, or the URL of a PostgreSQL database of its own."""

    def __init__(
        self,
        where: Path | str,
        clock: Callable[[], datetime] = utc_now,
        whose: Whose | None = None,
        line: Line | None = None,
    ) -> None:
        self._place = place_of(where)
        self._name = name_of(self._place)
        self._clock = clock
        self._lock = threading.RLock()
        self._whose = whose
        self._line = line
        self._opened, self.last_loss = opened(self._place, whose, line)
        self._is_closed = False

    @classmethod
    def open(
        cls,
        where: Path | str,
        clock: Callable[[], datetime] = utc_now,
        whose: Whose | None = None,
        line: Line | None = None,
    ) -> tuple[Store, Lost | None]:
        """The store, and what was lost where its file was no good and was put aside.

        `whose` it is matters on a server alone; `line` gets its connections.
        """
        store = cls(where, clock, whose, line)
        return store, store.last_loss

    def close(self) -> None:
        """Let go of the file, or the server. A later call opens it again."""
        with self._lock:
            # What is not open is known by nothing: its inode may be another file's by then.
            self._is_closed = True
            self._opened.engine.dispose()

    def renew(self) -> Lost | None:
        """After StoreDamaged: put the file aside and begin anew. None where nothing was lost.

        That is so on a PostgreSQL server, which is connected to again, and where another process
        has made the file anew already.
        """
        with self._lock, translated(self._name):
            path = self._place
            if self._is_closed or not isinstance(path, Path) or not self._opened.is_in_place:
                return self._reopen()
            self.close()
            self._opened, lost = renewed(path, f"{self._name} was damaged")
            self._is_closed = False
            self.last_loss = lost
            return lost

    def add_event(
        self,
        at: datetime,
        kind: str,
        reason: str,
        *,
        environment: str | None = None,
        database: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Event:
        """Keep what happened. Where only the database is named, its environment follows."""
        with self._writing() as connection:
            return events.add(
                connection,
                at,
                kind,
                reason,
                environment=environment,
                database=database,
                details=details,
            )

    def add_news(
        self, key: str, news: Callable[[bytes | None], tuple[Sequence[NewEvent], bytes]]
    ) -> list[Event]:
        """Keep events, and under `key` how far they are kept; both or neither.

        `news` is told what was kept under that key before.
        """
        with self._writing() as connection:
            found, value = news(learnt.recall(connection, key))
            added = [
                events.add(
                    connection,
                    one.at,
                    one.kind,
                    one.reason,
                    environment=one.environment,
                    database=one.database,
                    details=one.details,
                )
                for one in found
            ]
            learnt.remember(connection, key, value)
            return added

    def amend_event(self, id: int, details: Mapping[str, Any]) -> Event | None:
        """Add to its details, as what came of it. None where the event is gone."""
        with self._writing() as connection:
            return events.amend(connection, id, details)

    def add_samples(self, at: datetime, found: Mapping[str, Sample]) -> None:
        """Keep how loaded the databases were; several within a slot are averaged."""
        with self._writing() as connection:
            samples.add(connection, at, found)

    def set_alerts(
        self, now: datetime, current: Mapping[tuple[str, str], tuple[str, str]]
    ) -> tuple[list[Alert], list[Alert]]:
        """All that is wrong now, by name and subject, with summary and remedy: (begun, ended)."""
        with self._writing() as connection:
            return alerts.set_current(connection, now, current)

    def remember(self, key: str, value: bytes) -> None:
        """Keep what was learnt over a restart."""
        with self._writing() as connection:
            learnt.remember(connection, key, value)

    def forget(self, key: str) -> None:
        """Keep nothing under that key."""
        with self._writing() as connection:
            learnt.forget(connection, key)

    def tidy(self, now: datetime) -> None:
        """Remove some of what is too old. Each call is short; call it about once a minute."""
        with self._writing() as connection:
            samples.remove_old(connection, now)
            events.remove_old(connection, now)
            alerts.remove_old(connection, now)
        if isinstance(self._place, Path):
            self._give_pages_back()

    def _give_pages_back(self) -> None:
        with self._writing() as connection:
            free = connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0
            if free > FREE_PAGES:
                pages = min(free - FREE_PAGES, RETURNED_PAGES)
                # More than one at once would be a result of rows without columns, of which the
                # driver fetches the first alone.
                for _ in range(pages):
                    connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")

    def _reopen(self) -> Lost | None:
        if not self._is_closed:
            left_by(self._opened)
            self._is_closed = True
        self._opened, lost = opened(self._place, self._whose, self._line)
        self._is_closed = False
        if lost:
            self.last_loss = lost
        return lost

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._lock, translated(self._name):
            if self._is_closed:
                self._reopen()
            elif not self._opened.is_in_place:
                self._notice_loss()
            with self._opened.writing.begin() as connection:
                yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._lock, translated(self._name):
            if self._is_closed:
                self._reopen()
            with self._opened.engine.begin() as connection:
                yield connection

    def _notice_loss(self) -> None:
        """The file was deleted or replaced while it was open: what was written to it is gone."""
        if self._reopen() is None:
            self.last_loss = Lost(f"{self._name} was deleted or replaced while it was in use")
