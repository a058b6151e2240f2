"""What the controller tells the store. Where that does not take it, only history is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pgherd.autopilot.archive import Archive
from pgherd.contract.meter import Usage
from pgherd.errors import PgherdError
from pgherd.store.store import Store
from pgherd.store.values import Event, NewEvent, Sample, StoreDamaged

log = logging.getLogger(__name__)

T = TypeVar("T")
AGAIN_SECONDS = 60.0
"""What goes wrong is logged so often at most."""


class Telling:
    """The archive, as whoever tells it something has it."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._logged_at = float("-inf")

    @property
    def is_there(self) -> bool:
        """What is told is kept now, as far as is known."""
        return self._archive.is_there

    @property
    def trouble(self) -> str:
        """Why nothing is kept now; empty where it is."""
        return self._archive.trouble

    async def begin(self) -> None:
        """Have it open, where that does not take long."""
        await self._archive.begin()

    async def move(self) -> None:
        """It may be elsewhere from now on."""
        await self._archive.move()

    async def event(
        self,
        at: datetime,
        kind: str,
        reason: str,
        *,
        environment: str | None = None,
        database: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Event | None:
        """It has happened. None where the store does not take it."""
        return await self._call(
            lambda store: store.add_event(
                at, kind, reason, environment=environment, database=database, details=details
            )
        )

    async def news(
        self, key: str, news: Callable[[bytes | None], tuple[Sequence[NewEvent], bytes]]
    ) -> list[Event] | None:
        """These have happened, and so far it is known. None where the store does not take it."""
        return await self._call(lambda store: store.add_news(key, news))

    async def amend(self, event: Event | None, details: Mapping[str, Any]) -> None:
        """More is known of it."""
        if event is not None:
            await self._call(lambda store: store.amend_event(event.id, details))

    async def samples(self, at: datetime, samples: Mapping[str, Sample], now: bytes) -> None:
        """What databases use; `now` is all that `why` says of this moment."""

        def write(store: Store) -> None:
            store.add_samples(at, samples)
            store.remember("now", now)

        await self._call(write)

    async def alerts(
        self, now: datetime, current: Mapping[tuple[str, str], tuple[str, str]]
    ) -> None:
        """These are open, and no others."""
        await self._call(lambda store: store.set_alerts(now, current))

    async def remember(self, key: str, value: bytes) -> bool:
        """Something that is to be known after a restart; whether it is."""

        def write(store: Store) -> bool:
            store.remember(key, value)
            return True

        return await self._call(write) is True

    async def recall(self, key: str) -> bytes | None:
        """What was remembered."""
        return await self._call(lambda store: store.recall(key))

    async def tidy(self, now: datetime) -> None:
        """What is older than it has to be is forgotten, a little each time."""
        await self._call(lambda store: store.tidy(now))

    async def _call(self, call: Callable[[Store], T]) -> T | None:
        try:
            return await self._archive.call(call)
        except StoreDamaged as error:
            self._complain(f"{error.message}; {await self._renewed()}")
        except PgherdError as error:
            self._complain(error.message)
        except Exception:
            log.exception("history: a call failed")
        return None

    async def _renewed(self) -> str:
        try:
            return str(await self._archive.call(lambda store: store.renew()) or "begun anew")
        except PgherdError as error:
            return error.message

    def _complain(self, text: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= AGAIN_SECONDS:
            self._logged_at = now
            log.warning("history: %s", text)


def sample_of(usage: Usage) -> Sample:
    """How loaded a database is, as the store has it."""
    ocpus, cpu = usage.ocpus, usage.cpu_percent
    lags = [i.lag_bytes for i in usage.instances.values() if i.lag_bytes is not None]
    throttled = [i.throttled_percent for i in usage.instances.values()]
    known = [percent / 100 for percent in throttled if percent is not None]
    return Sample(
        ocpus=ocpus,
        cpu=None if ocpus is None or cpu is None else cpu / 100 * ocpus,
        throttled=max(known, default=None),
        storage=usage.storage_bytes,
        transactions=usage.transactions_per_second,
        connections=usage.clients,
        waiting=usage.waiting_clients,
        lag=max(lags, default=None),
    )
