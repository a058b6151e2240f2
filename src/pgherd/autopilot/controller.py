"""The controller: it measures, decides and asks, round after round. It changes nothing itself.

Each round begins anew from what is applied and what is measured. What is remembered makes only
later decisions better. A round waits for nothing that takes long: what is carried out goes on
beside the next ones, and one database, engine or store that does not answer delays no other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pgherd.autopilot import keeping, sizes
from pgherd.autopilot.checks import pause_of
from pgherd.autopilot.exporter import Exporter
from pgherd.autopilot.helper_link import HelperLink
from pgherd.autopilot.now import Now, NowOfDatabase
from pgherd.autopilot.requests import Applied, Request, Resize
from pgherd.autopilot.sizes import Memory
from pgherd.autopilot.telling import Telling
from pgherd.contract.engine import Engine
from pgherd.contract.meter import Usage
from pgherd.contract.observed import Observation, Observations, Unknown
from pgherd.control.lookout import Lookout
from pgherd.decide.alerts import Alert, of_database
from pgherd.decide.sizing import Verdict
from pgherd.errors import PgherdError, TryLater
from pgherd.fleet.desired import Database, Fleet
from pgherd.metrics.picture import OfAutopilot, Picture
from pgherd.store.values import Event, Sample

log = logging.getLogger(__name__)

ROUND_SECONDS = 5.0
MEASURE_SECONDS = 4.0
OBSERVE_SECONDS = 30.0
SAVE_SECONDS = 60.0
EFFECT_SECONDS = 30.0
"""So long after a change of size its effect is measured."""
AGAIN_SECONDS = 30.0
"""What was refused or failed is not asked for again before; twice as long each time ..."""
LONGEST_AGAIN = 600.0
MOST_AT_ONCE = 4
"""Databases of an environment that are mended at the same time."""

Read = Callable[[Applied], Fleet]
OpenEngines = Callable[[Fleet], Mapping[str, Engine]]


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
        self._engines: Mapping[str, Engine] = {}
        self._memories: dict[str, Memory] = {}
        self._usages: dict[str, Usage] = {}
        self._seen: Observations = {}
        self._looks: dict[str, int] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, tuple[float, float]] = {}
        self._due: dict[str, float] = {}
        self._alerts: tuple[Alert, ...] = ()

    async def run(self) -> None:
        """Round after round, for ever."""
        self._memories = sizes.decode(await self._telling.recall("sizes"))
        if self._exporter:
            await self._exporter.begin()
        while True:
            began = time.monotonic()
            try:
                await self.round()
            except PgherdError as error:
                log.warning("%s", error.message)
            except Exception:
                log.exception("a round failed")
            self._helper.beat(time.time(), len(self._alerts))
            await asyncio.sleep(max(0.5, ROUND_SECONDS - (time.monotonic() - began)))

    async def round(self) -> None:
        """Look, decide, and begin what follows."""
        fleet = await self._look_up()
        await self._measure(fleet)
        at = datetime.now(UTC)
        now_of = {str(d.id): self._size(d, at) for d in fleet.databases}
        if self._is_due("observe", OBSERVE_SECONDS):
            await self._observe(fleet)
            self._keep(fleet, at)
        self._alerts = tuple(self._all_alerts(fleet))
        await self._tell(at, now_of)
        if self._exporter:
            await self._exporter.show(self._picture(fleet, at), at)

    # What is so

    async def _look_up(self) -> Fleet:
        known = self._applied
        applied = await self._helper.applied(
            known.number if known else 0, known.digest if known else ""
        )
        is_known = bytes(applied.resolved) == b"null"
        if self._fleet is None or not is_known:
            self._fleet = self._read(applied)
            self._engines = self._open_engines(self._fleet)
        self._applied = applied
        return self._fleet

    async def _measure(self, fleet: Fleet) -> None:
        """All engines at once; one that does not answer in time leaves its databases unknown."""
        self._usages = {}

        async def ask(engine: Engine) -> None:
            if engine.meter is None:
                return
            try:
                async with asyncio.timeout(MEASURE_SECONDS):
                    found = await engine.meter.usage(timedelta(minutes=5))
            except (PgherdError, TimeoutError) as error:
                log.info("%s is not measured: %r", engine.name, error)
                return
            self._usages |= {str(id): usages[-1] for id, usages in found.items() if usages}

        await asyncio.gather(*(ask(engine) for engine in self._engines.values()))

    async def _observe(self, fleet: Fleet) -> None:
        try:
            async with asyncio.timeout(OBSERVE_SECONDS / 2):
                self._seen = await Lookout(self._engines, roles=False).look_everywhere()
        except TimeoutError:
            self._seen = {name: Unknown("it does not answer") for name in self._engines}

    def _seen_of(self, database: Database) -> Any:
        observation = self._seen.get(database.environment.engine)
        if isinstance(observation, Observation):
            return observation.databases.get(database.id)
        return observation

    # What follows

    def _size(self, database: Database, at: datetime) -> NowOfDatabase:
        """Judge one database, and begin to change its size where that follows."""
        id, now = str(database.id), time.clock_gettime(time.CLOCK_BOOTTIME)
        usage = self._usages.get(id)
        ocpus = usage.ocpus if usage else None
        verdict: Verdict | None = None
        if usage is not None and ocpus is not None:
            before = self._memories.get(id, Memory())
            memory = self._memories[id] = sizes.remembered(before, database, usage, ocpus, now)
            verdict = sizes.verdict(memory, database, at, now)
        pause = pause_of(id, self._applied.pauses if self._applied else (), at)
        if verdict and ocpus and verdict.ocpus != ocpus and not pause:
            change = self._resize(database, ocpus, verdict, usage)
            self._begin(id, change)
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
        error, seconds = await self._asked(id, Resize(id, verdict.ocpus, verdict.why))
        details: dict[str, Any] = {"ocpus": change, "rule": verdict.rule.value}
        if error is not None:
            details |= {"failed": error.message}
            await self._telling.event(
                began_at, "scale-failed", verdict.why, database=id, details=details
            )
            return
        details |= {"seconds": round(seconds, 3), "throughput": {"before": throughput}}
        event = await self._telling.event(
            began_at, "scale", verdict.why, database=id, details=details
        )
        log.info("%s: ocpus %d -> %d: %s", id, ocpus, verdict.ocpus, verdict.why)
        if self._exporter:
            await self._exporter.resized(id)
        self._later(self._effect(id, event, throughput))

    async def _effect(self, id: str, event: Event | None, before: float | None) -> None:
        await asyncio.sleep(EFFECT_SECONDS)
        if usage := self._usages.get(id):
            after = usage.transactions_per_second
            await self._telling.amend(event, {"throughput": {"before": before, "after": after}})

    def _keep(self, fleet: Fleet, at: datetime) -> None:
        """Ask for what is to be mended and renewed."""
        found = keeping.requests(fleet, self._seen, at)
        self._looks, sure = keeping.sure(self._looks, found)
        pauses = self._applied.pauses if self._applied else ()
        for name in sure:
            environment = name.partition("/")[0]
            at_once = sum(1 for busy in self._busy if busy.startswith(f"{environment}/"))
            if pause_of(name, pauses, at) is None and at_once < MOST_AT_ONCE:
                self._begin(name, self._mend(name, found[name]))

    async def _mend(self, name: str, request: Request) -> None:
        kind = type(request).__name__.lower()
        at = datetime.now(UTC)
        error, seconds = await self._asked(name, request)
        details: dict[str, Any] = {"seconds": round(seconds, 3)}
        if error is not None:
            details = {"failed": error.message}
        is_database = "/" in name
        await self._telling.event(
            at,
            kind if error is None else f"{kind}-failed",
            request.reason,
            database=name if is_database else None,
            environment=None if is_database else name,
            details=details,
        )

    async def _asked(self, name: str, request: Request) -> tuple[PgherdError | None, float]:
        """Have it carried out; what was refused is not asked for again for a while."""
        try:
            seconds = await self._helper.carry_out(request)
        except PgherdError as error:
            _, pause = self._not_before.get(name, (0.0, AGAIN_SECONDS / 2))
            # Somebody else is at work: that is no failure.
            pause = ROUND_SECONDS if isinstance(error, TryLater) else min(LONGEST_AGAIN, 2 * pause)
            self._not_before[name] = (time.monotonic() + pause, pause)
            log.warning("%s: %s", name, error.message)
            return error, 0.0
        self._not_before.pop(name, None)
        return None, seconds

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """One thing at a time for each environment and database."""
        soonest, _ = self._not_before.get(name, (0.0, 0.0))
        if name in self._busy or time.monotonic() < soonest:
            work.close()
            return
        task = self._busy[name] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._busy.pop(name, None))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        name = f"later {id(work)}"
        task = self._busy[name] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._busy.pop(name, None))

    # What is told

    def _all_alerts(self, fleet: Fleet) -> list[Alert]:
        return [
            alert
            for database in fleet.databases
            for alert in of_database(
                str(database.id), self._seen_of(database), self._usages.get(str(database.id))
            )
        ]

    async def _tell(self, at: datetime, now_of: Mapping[str, NowOfDatabase]) -> None:
        now = Now(at.timestamp(), dict(now_of))
        samples = {id: _sample(usage) for id, usage in self._usages.items()}
        await self._telling.samples(at, samples, msgspec.json.encode(now))
        alerts = {(a.name, a.subject): (a.summary, a.remedy) for a in self._alerts}
        await self._telling.alerts(at, alerts)
        if self._is_due("save", SAVE_SECONDS):
            await self._telling.remember("sizes", sizes.encode(self._memories))
            await self._telling.tidy(at)

    def _picture(self, fleet: Fleet, at: datetime) -> Picture:
        meters = (engine.meter for engine in self._engines.values())
        counters = {id: c for meter in meters if meter for id, c in meter.counters().items()}
        autopilot = OfAutopilot(True, at.timestamp(), len(self._alerts))
        return Picture(fleet, autopilot, self._seen, counters)

    def _is_due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + seconds
        return True


def _sample(usage: Usage) -> Sample:
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
