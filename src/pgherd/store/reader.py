"""Reading a history, without a thought of changing it: what is damaged or newer stays as it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine

from pgherd.errors import InputError
from pgherd.store import alerts, events, file, learnt, samples
from pgherd.store.file import Identity
from pgherd.store.opening import name_of, place_of, sqlite_engine
from pgherd.store.server import server_engine
from pgherd.store.troubles import translated
from pgherd.store.values import Alert, Event, Slot, Tier


def utc_now() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


class Reader(ABC):
    """What can be read of a history."""

    _clock: Callable[[], datetime]

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]:
        """A transaction."""

    def events(
        self,
        database: str | None = None,
        environment: str | None = None,
        kinds: Collection[str] | None = None,
        since: datetime | None = None,
        after_id: int | None = None,
        limit: int = 100,
    ) -> list[Event]:
        """The newest first; with `after_id`, those after that one, the oldest first.

        An `after_id` above all that are there is of a former history: then all are returned.
        """
        with self._reading() as connection:
            return events.found(
                connection,
                database=database,
                environment=environment,
                kinds=kinds,
                since=since,
                after_id=after_id,
                limit=limit,
            )

    def samples(
        self,
        database: str,
        since: datetime,
        until: datetime | None = None,
        resolution: Tier | None = None,
    ) -> list[Slot]:
        """The slots from the one of `since` on, the oldest first, that begin before `until`.

        They are as long as `resolution` says, else as short as is kept for the time since then.
        """
        tier = resolution or samples.tier_for(since, self._clock())
        with self._reading() as connection:
            return samples.found(connection, database, since, until, tier)

    def samples_of_all(self, since: datetime) -> dict[str, list[Slot]]:
        """The same of every database that has some, by its name."""
        tier = samples.tier_for(since, self._clock())
        with self._reading() as connection:
            return samples.found_of_all(connection, since, tier)

    def alerts(self, open_only: bool = True, limit: int = 1_000) -> list[Alert]:
        """Those that are open, and then those that ended, the newest first."""
        with self._reading() as connection:
            return alerts.found(connection, open_only=open_only, limit=limit)

    def recall(self, key: str) -> bytes | None:
        """What was kept last under that key."""
        with self._reading() as connection:
            return learnt.recall(connection, key)


class ServerReader(Reader):
    """That of a database on a server, whose tables are there; TryLater where it cannot be read."""

    def __init__(self, url: str, clock: Callable[[], datetime] = utc_now) -> None:
        place = place_of(url)
        if isinstance(place, Path):
            raise InputError("this is not the URL of a server")
        self._name = name_of(place)
        self._engine = server_engine(place).execution_options(postgresql_readonly=True)
        self._clock = clock

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self._name), self._engine.begin() as connection:
            yield connection


class FileReader(Reader):
    """That of a file; StoreDamaged where it is no history that this code can read."""

    def __init__(self, path: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self._path = path
        self._clock = clock
        self._open: tuple[Engine, Identity | None] | None = None

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(name_of(self._path)), self._engine().begin() as connection:
            yield connection

    def _engine(self) -> Engine:
        """Of what stands at its place now."""
        there = file.identity(self._path)
        if self._open is None or self._open[1] != there:
            if self._open:
                self._open[0].dispose()
            self._open = (sqlite_engine(self._path, pragmas=("query_only = ON",)), there)
        return self._open[0]
