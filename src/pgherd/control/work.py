"""Carrying out a plan: an environment first, then each of its databases as one task.

A database goes through its steps without waiting for any other and without looking again in
between: each step re-checks what it relies on. Only after a failure, and before a step that
takes a serving instance away, the database is looked at and decided anew, so that what is
done is always derived from what is.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from pgherd.contract.engine import Engine
from pgherd.contract.observed import Observations, Unknown
from pgherd.control.act import Actor
from pgherd.control.clock import Clock, Patience
from pgherd.control.effort import Effort
from pgherd.control.events import Finished, OnEvent, Parked, Started
from pgherd.control.lookout import Lookout
from pgherd.control.slots import Slots
from pgherd.control.waits import Waits
from pgherd.decide.actions import Action, EnsureEnvironment, is_disruptive, summary
from pgherd.decide.plan import DatabasePlan, EnvironmentPlan, Plan
from pgherd.errors import Impaired, PgherdError, TryLater
from pgherd.fleet.desired import DatabaseId

Decide = Callable[[Observations], Plan]
"""What is to be done, from what is seen."""


class Work:
    """The work of one run, and what came of it."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        actor: Actor,
        decide: Decide,
        lookout: Lookout,
        on_event: OnEvent,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._engines = engines
        self._actor = actor
        self._decide = decide
        self._lookout = lookout
        self._waits = Waits(lookout, clock, on_event)
        self._emit = self._waits.emit
        self._clock = clock
        self._patience = patience
        self._slots = {n: Slots(e.concurrency) for n, e in engines.items()}
        self._gates: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._efforts: dict[str, Effort] = {}
        self._impaired: dict[str, Impaired] = {}
        self.done: list[Action] = []

    @property
    def parked(self) -> dict[str, PgherdError]:
        """What was given up in this run, and why."""
        return {e.subject: e.error for e in self._efforts.values() if e.error is not None}

    @property
    def troubles(self) -> dict[str, PgherdError]:
        """The same, and what is wrong with environments whose databases went on."""
        return {**self._impaired, **self.parked}

    def has_done(self, steps: tuple[Action, ...]) -> bool:
        """All of these were carried out in this run."""
        return all(step in self.done for step in steps)

    async def on_environment(self, part: EnvironmentPlan, rank: int = 0) -> None:
        """Carry out one environment's part of a plan; a lower `rank` goes first for slots."""
        if not await self._ensured(part, part.before):
            return
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._database(part, d, rank)) for d in part.databases]
        if all(task.result() for task in tasks):
            await self._ensured(part, part.after)

    async def _ensured(self, part: EnvironmentPlan, steps: tuple[Action, ...]) -> bool:
        with self._effort(part.name, part.engine) as effort:
            for step in steps:
                while not await self._attempt(part.engine, (step,), effort):
                    pass
            return True
        return False

    async def _database(self, part: EnvironmentPlan, planned: DatabasePlan, rank: int) -> bool:
        steps: tuple[Action, ...] = planned.steps
        with self._effort(str(planned.id), part.engine) as effort:
            while steps:
                # Its environment is ensured on each retry, which says nothing about headway.
                own = (s for s in steps if not isinstance(s, EnsureEnvironment))
                await effort.begin_again(summary(next(own)))
                if await self._attempt(part.engine, steps, effort, rank):
                    break
                steps = await self._again(part, planned.id, effort)
            return True
        return False

    async def _attempt(
        self, engine: str, steps: tuple[Action, ...], effort: Effort, rank: int = 0
    ) -> bool:
        """Carry out the steps; False where the subject has to be looked at again."""
        try:
            async with self._slots[engine].taken(rank):
                effort.start()
                has_changed = False
                for step in steps:
                    if has_changed and is_disruptive(step):
                        return False
                    await self._act(step, engine, effort)
                    # An environment is ensured as long as any of its databases wants it.
                    has_changed = has_changed or not isinstance(step, EnsureEnvironment)
            return True
        except PgherdError as error:
            failure = error
        # The wait is out here since it must not hold a slot.
        await effort.recover(failure)
        return False

    async def _again(
        self, part: EnvironmentPlan, id: DatabaseId, effort: Effort
    ) -> tuple[Action, ...]:
        """What is to be done with one database now, after a fresh look."""
        while True:
            seen = await self._lookout.look(part.engine)
            plan = self._decide(self._lookout.latest)
            reason = seen.reason if isinstance(seen, Unknown) else plan.hides(str(id))
            if reason is None:
                effort.begin("look")
                effort.succeeded()
                return plan.environment(part.name, part.engine).steps_of(id)
            effort.begin("look")
            await effort.recover(TryLater(f"{id} is not seen: {reason}"))

    async def _act(self, step: Action, engine: str, effort: Effort) -> None:
        effort.begin(summary(step))
        started = self._clock.now()
        self._emit(Started(step, started))
        is_whole = True
        with self._waits.on(step, engine):
            if isinstance(step, EnsureEnvironment):
                is_whole = await self._is_whole_after(step, engine)
            else:
                await self._actor.act(step, self._engines[engine])
        effort.succeeded()
        self.done.append(step)
        now = self._clock.now()
        if is_whole:
            self._emit(Finished(step, now, now - started))

    async def _is_whole_after(self, step: EnsureEnvironment, engine: str) -> bool:
        """What is wrong with an environment is told once where its databases can do without."""
        name = step.environment
        async with self._gates[name]:
            try:
                await self._actor.act(step, self._engines[engine])
            except Impaired as error:
                if name not in self._impaired:
                    self._emit(Parked(name, error, self._clock.now()))
                self._impaired[name] = error
                return False
        self._impaired.pop(name, None)
        return True

    def _effort(self, subject: str, engine: str) -> Effort:
        if subject not in self._efforts:
            deadline = self._engines[engine].deadline or self._patience.deadline
            patience = replace(self._patience, deadline=deadline)
            self._efforts[subject] = Effort(subject, self._clock, patience, self._emit)
        return self._efforts[subject]
