"""The controller: it measures, decides and asks, round after round. It changes nothing itself.

Each round begins anew from what is applied and what is measured. What is remembered makes only
later decisions better. A round waits for nothing that takes long: what is carried out goes on
beside the next ones, and one database, engine or store that does not answer delays no other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from pgherd.autopilot import keeping, read_load, sizes
from pgherd.autopilot.alerting import Alerting
from pgherd.autopilot.asking import KINDS, Asking
from pgherd.autopilot.backing import Backing
from pgherd.autopilot.checks import pause_of
from pgherd.autopilot.distant import Watched
from pgherd.autopilot.exporter import Exporter
from pgherd.autopilot.happened import Happened
from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.notifying import Notifying, unsure
from pgherd.autopilot.now import Now, NowOfDatabase
from pgherd.autopilot.requests import (
    LONGEST_SENTENCE,
    LONGEST_WHY,
    MOST_DATABASES,
    Applied,
    Beat,
    Replicas,
    Request,
    Resize,
)
from pgherd.autopilot.sizes import Memory
from pgherd.autopilot.telling import Telling, sample_of
from pgherd.autopilot.watching import Watching
from pgherd.contract.meter import Usage
from pgherd.contract.observed import ObservedDatabase
from pgherd.decide.alerts import Alert
from pgherd.decide.replicas import Count
from pgherd.decide.sizing import Verdict
from pgherd.errors import PgherdError
from pgherd.fleet.desired import Database, Fleet
from pgherd.metrics.picture import OfAutopilot, Picture
from pgherd.store.values import Event

log = logging.getLogger(__name__)

ROUND_SECONDS = 2.0
TELL_SECONDS = 10.0
"""So often samples go to the store, whose finest are of as long."""
OBSERVE_SECONDS = 30.0
SAVE_SECONDS = 60.0
RECALL_SECONDS = 60.0
"""So long nobody is told, lest it be what they were told before; then the history is away."""
EFFECT_SECONDS = 30.0
"""So long after a change of size its effect is measured."""
MOST_AT_ONCE = 4
"""Databases of an environment that are mended at the same time."""

Read = Callable[[Applied], Fleet]
OpenEngines = Callable[[Fleet], Mapping[str, Watched]]


class Controller:
    """That of one fleet."""

    def __init__(
        self,
        helper: HelperLink,
        telling: Telling,
        read: Read,
        open_engines: OpenEngines,
        exporter: Exporter | None = None,
    ) -> None:
        self._helper = helper
        self._telling = telling
        self._read = read
        self._open_engines = open_engines
        self._exporter = exporter
        self._applied: Applied | None = None
        self._fleet: Fleet | None = None
        self._memories: dict[str, Memory] = {}
        self._found: dict[str, Request] = {}
        self._asking = Asking(helper)
        self._happened = Happened(telling)
        self._watching = Watching(self._happened.hear)
        self._backing = Backing(helper, telling)
        self._notifying = Notifying(helper, telling)
        self._due: dict[str, float] = {}
        self._alerting = Alerting()
        self._alerts: tuple[Alert, ...] = ()
        self._began = time.monotonic()
        self._is_recalled = False

    async def run(self) -> None:
        """Round after round, for ever."""
        await self._telling.begin()
        await self._recall()
        while True:
            began = time.monotonic()
            try:
                await self.round()
            except PgherdError as error:
                log.warning("%s", error.message)
            except Exception:
                log.exception("a round failed")
            else:
                self._helper.beat(self._beat(datetime.now(UTC)))
            await asyncio.sleep(max(0.5, ROUND_SECONDS - (time.monotonic() - began)))

    async def round(self) -> None:
        """Look, decide, and begin what follows."""
        fleet = await self._look_up()
        await self._recall()
        await self._watching.measure(fleet)
        at = datetime.now(UTC)
        await self._happened.tell(fleet, at, time.monotonic())
        now_of = {str(d.id): self._size(d, at) for d in fleet.databases}
        if self._is_due("observe", OBSERVE_SECONDS):
            await self._watching.observe()
            self._keep(fleet, at)
        pauses = self._applied.pauses if self._applied else ()
        self._backing.round(
            fleet,
            self._watching.unaided(),
            self._watching.seen,
            self._watching.usages,
            pauses,
            at,
        )
        if self._is_due("tell", TELL_SECONDS):
            watching = self._watching
            current = self._alerting.current(
                fleet, watching.seen, watching.usages, watching.deadlines(), time.monotonic()
            )
            self._alerts = (*current, *self._backing.alerts(watching.usages, at))
            await self._tell(at, now_of)
            unknown = unsure(fleet, watching.seen, watching.usages, watching.metered())
            if self._is_recalled or time.monotonic() - self._began > RECALL_SECONDS:
                await self._notifying.round(fleet, self._alerts, unknown, at)
            if self._exporter:
                await self._exporter.show(self._picture(fleet, at), at)

    async def _recall(self) -> None:
        """Go on with what was known before, as soon as the history is there; until then, without.

        Nothing of that is written before it was read.
        """
        if self._is_recalled or not self._telling.is_there:
            return
        known = sizes.decode(await self._telling.recall("sizes"))
        await self._notifying.recall()
        if self._exporter:
            await self._exporter.recall()
        self._is_recalled = self._telling.is_there
        self._memories |= known

    # What is so

    async def _look_up(self) -> Fleet:
        known = self._applied
        applied = await self._helper.applied(
            known.number if known else 0, known.digest if known else ""
        )
        is_known = bytes(applied.resolved) == b"null"
        if self._fleet is None or not is_known:
            before, self._fleet = self._fleet, self._read(applied)
            if before and before.history != self._fleet.history:
                await self._telling.move()
            self._watching.watch(self._open_engines(self._fleet))
        self._applied = applied
        self._forget_others(self._fleet)
        return self._fleet

    def _forget_others(self, fleet: Fleet) -> None:
        """What has left the fleet is not remembered."""
        databases = {str(d.id) for d in fleet.databases}
        self._memories = {id: m for id, m in self._memories.items() if id in databases}
        self._watching.keep(databases)
        self._asking.forget_all_but(databases | {e.name for e in fleet.environments})

    # What follows

    def _size(self, database: Database, at: datetime) -> NowOfDatabase:
        """Judge one database, and begin to change its size where that follows."""
        id, now = str(database.id), time.clock_gettime(time.CLOCK_BOOTTIME)
        usage = self._watching.usages.get(id)
        ocpus = usage.ocpus if usage else None
        verdict: Verdict | None = None
        count: Count | None = None
        if usage is not None and ocpus is not None:
            before = self._memories.get(id, Memory())
            memory = self._memories[id] = sizes.remembered(before, database, usage, ocpus, at, now)
            seen = self._watching.seen_of(database)
            ends = isinstance(seen, ObservedDatabase) and seen.resize_ends_connections
            verdict = sizes.verdict(memory, database, at, now, ends_connections=ends)
            count = read_load.verdict(memory.readers, database, now)
        pause = pause_of(id, self._applied.pauses if self._applied else (), at)
        if pause:
            pass
        elif verdict and ocpus and verdict.ocpus != ocpus:
            self._asking.begin(id, self._resize(database, ocpus, verdict, usage))
        elif count and self._asking.busy_in(database.id.environment) < MOST_AT_ONCE:
            self._asking.begin(id, self._mend(id, Replicas(id, count.replicas, count.why)))
        return NowOfDatabase(
            ocpus=ocpus,
            wanted=verdict.ocpus if verdict else None,
            rule=verdict.rule.value if verdict else "",
            why=verdict.why if verdict else "",
            low=database.ocpus.initial,
            high=database.ocpus.max,
            is_scaled=database.autoscale is not None,
            paused=pause.reason if pause else None,
            cpu_percent=usage.cpu_percent if usage else None,
            memory_percent=usage.memory_percent if usage else None,
            transactions_per_second=usage.transactions_per_second if usage else None,
        )

    async def _resize(
        self, database: Database, ocpus: int, verdict: Verdict, usage: Usage | None
    ) -> None:
        id = str(database.id)
        began_at, throughput = datetime.now(UTC), usage.transactions_per_second if usage else None
        change = {"from": ocpus, "to": verdict.ocpus}
        ended = await self._asking.carry_out(id, Resize(id, verdict.ocpus, verdict.why))
        details: dict[str, Any] = {"ocpus": change, "rule": verdict.rule.value}
        if ended.error is not None:
            if ended.is_news:
                details |= {"failed": ended.error.message}
                await self._telling.event(
                    began_at, "scale-failed", verdict.why, database=id, details=details
                )
            return
        details |= {"seconds": round(ended.seconds, 3), "throughput": {"before": throughput}}
        event = await self._telling.event(
            began_at, "scale", verdict.why, database=id, details=details
        )
        log.info("%s: ocpus %d -> %d: %s", id, ocpus, verdict.ocpus, verdict.why)
        if self._exporter:
            await self._exporter.resized(id)
        self._asking.later(self._effect(id, event, throughput))

    async def _effect(self, id: str, event: Event | None, before: float | None) -> None:
        await asyncio.sleep(EFFECT_SECONDS)
        if usage := self._watching.usages.get(id):
            after = usage.transactions_per_second
            await self._telling.amend(event, {"throughput": {"before": before, "after": after}})

    def _keep(self, fleet: Fleet, at: datetime) -> None:
        """Ask for what is to be mended and renewed."""
        found = keeping.requests(fleet, self._watching.seen, at)
        sure = keeping.sure(self._found, found)
        self._found = found
        pauses = self._applied.pauses if self._applied else ()
        for name in self._asking.in_turn(sure):
            at_once = self._asking.busy_in(name.partition("/")[0])
            if pause_of(name, pauses, at) is None and at_once < MOST_AT_ONCE:
                self._asking.begin(name, self._mend(name, sure[name]))

    async def _mend(self, name: str, request: Request) -> None:
        at, kind = datetime.now(UTC), KINDS[type(request)]
        details: dict[str, Any] = {}
        if isinstance(request, Replicas):
            details["replicas"] = request.count
        ended = await self._asking.carry_out(name, request)
        if ended.error is None:
            details["seconds"] = round(ended.seconds, 3)
        elif ended.is_news:
            kind, details["failed"] = f"{kind}-failed", ended.error.message
        else:
            return
        is_database = "/" in name
        await self._telling.event(
            at,
            kind,
            request.reason,
            database=name if is_database else None,
            environment=None if is_database else name,
            details=details,
        )

    # What is told

    async def _tell(self, at: datetime, now_of: Mapping[str, NowOfDatabase]) -> None:
        now = Now(at.timestamp(), dict(now_of))
        samples = {id: sample_of(usage) for id, usage in self._watching.usages.items()}
        await self._telling.samples(at, samples, msgspec.json.encode(now))
        alerts = {(a.name, a.subject): (a.summary, a.remedy) for a in self._alerts}
        await self._telling.alerts(at, alerts)
        if self._is_due("save", SAVE_SECONDS):
            if self._is_recalled:
                await self._telling.remember("sizes", sizes.encode(self._memories))
            await self._telling.tidy(at)

    def _beat(self, at: datetime) -> Beat:
        why_of = self._backing.unprotected(self._watching.usages, at)
        told = sorted(why_of)[:MOST_DATABASES]
        return Beat(
            at.timestamp(),
            len(self._alerts),
            self._watching.lately.told(at.timestamp()),
            {id: why_of[id][:LONGEST_WHY] for id in told},
            self._telling.trouble[:LONGEST_SENTENCE],
        )

    def _picture(self, fleet: Fleet, at: datetime) -> Picture:
        autopilot = OfAutopilot(True, at.timestamp(), len(self._alerts))
        return Picture(fleet, autopilot, self._watching.seen, self._watching.counters())

    def _is_due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + seconds
        return True
