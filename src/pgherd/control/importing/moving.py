"""The whole of an import. It may be cut off at any point, and begun again.

Nothing is left at the source: no slot, no role, no table; where its writes were stopped and the
import fails, they are allowed again. In the target a mark stays until all of it is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pgherd.contract.access import Reach
from pgherd.control.clock import Clock
from pgherd.control.importing import children, judging
from pgherd.control.importing.address import Source
from pgherd.control.importing.asking import Looker, looker
from pgherd.control.importing.checking import check, check_objects
from pgherd.control.importing.copying import Copier
from pgherd.control.importing.judging import Inventory, Moved, inventory
from pgherd.errors import Busy, NeedsHuman, PgherdError
from pgherd.fleet.desired import DatabaseId

FINISH_SECONDS = 4 * 3600.0
"""How long the planner may look at the tables of a database."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is imported, where to, and how. `check_seconds` bounds the comparison."""

    id: DatabaseId
    source: Source
    stops_writes: bool
    check_seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """Both sides before anything is done. `in_the_way` says what would be lost, if anything."""

    source: Inventory
    target: Inventory
    in_the_way: str


@dataclass(frozen=True, slots=True)
class Telling:
    """What an import tells: `ensure_agreed` raises where it must not go on with what was seen."""

    ensure_agreed: Callable[[Seen], None]
    begins: Callable[[str], None]
    on_bytes: Callable[[int], None]


class Differs(NeedsHuman):
    """The copy is not what the source is; `moved` tells of each table."""

    def __init__(self, moved: Moved) -> None:
        super().__init__(
            f"{moved.database} is not what the source is: {'; '.join(moved.problems())}",
            "begin again; until then the database is marked as half imported",
        )
        self.moved = moved


MoveIn = Callable[[Wish, Reach, Clock, Telling], Coroutine[Any, Any, Moved]]


async def move_in(wish: Wish, reach: Reach, clock: Clock, telling: Telling) -> Moved:
    """The database is the source's copy, and checked. Raises what kept it from that."""
    access = await reach.as_service(wish.id)
    source_door = children.Door(wish.source.parameters, wish.source.password)
    with (
        children.opened(source_door) as outside,
        children.opened(children.Door(access.parameters())) as inside,
    ):
        async with looker("the source", outside) as source, looker(str(wish.id), inside) as target:
            run = _Run(wish, reach, clock, telling, source, target, outside, inside)
            await run.look()
            if not wish.stops_writes:
                return await run.copy()
            async with run.without_writes():
                return await run.copy()


class _Run:
    """One import on its way."""

    def __init__(
        self,
        wish: Wish,
        reach: Reach,
        clock: Clock,
        telling: Telling,
        source: Looker,
        target: Looker,
        outside: children.OpenDoor,
        inside: children.OpenDoor,
    ) -> None:
        self._wish = wish
        self._reach = reach
        self._clock = clock
        self._telling = telling
        self._source = source
        self._target = target
        self._outside = outside
        self._inside = inside
        self._seconds: dict[str, float] = {}

    async def look(self) -> None:
        """What there is on both sides, judged; nothing was changed."""
        target = inventory(await self._target.ask("look"))
        if not await self._target.ask("take"):
            raise Busy(f"{self._wish.id}: another import is at work", "wait for it to end")
        source = inventory(await self._source.ask("look"))
        _ensure_possible(source, target)
        children.program("pg_dump", target.version)
        first = await self._target.ask("first rows", tables=judging.tables_to_ask(target))
        in_the_way = ""
        if judging.need_yes(target, first):
            table = ".".join(map(str, first or ()))
            in_the_way = f"{table} has rows" if table else "it has large objects"
        self._telling.ensure_agreed(Seen(source, target, in_the_way))

    @asynccontextmanager
    async def without_writes(self) -> AsyncIterator[None]:
        """Nobody writes at the source; where the import fails, they may again, as before."""
        were_stopped = await self._source.ask("are writes stopped")
        try:
            self._telling.begins("stopping writes at the source")
            if left := await self._source.ask("stop writes"):
                raise NeedsHuman(
                    f"the source has {left} that this role cannot end",
                    "end them, then begin again",
                )
            yield
        except BaseException as error:
            if not were_stopped:
                await self._allow_writes(error)
            raise

    async def _allow_writes(self, why: BaseException) -> None:
        try:
            # Of its own: the other one may be in the middle of an answer.
            async with looker("the source", self._outside) as another:
                if await another.ask("are writes stopped"):
                    await another.ask("allow writes")
        except PgherdError as error:
            left = NeedsHuman(
                f"the source may still refuse writes: {error.message}",
                "there, run ALTER DATABASE ... RESET default_transaction_read_only",
            )
            raise ExceptionGroup(
                "twice", [*([why] if isinstance(why, PgherdError) else []), left]
            ) from why

    async def copy(self) -> Moved:
        """Copied, checked and whole; NeedsHuman where the copy is not what the source is."""
        changes = await self._source.ask("changes")
        snapshot = await self._source.ask("snapshot")
        source = inventory(await self._source.ask("look"))
        target = inventory(await self._target.ask("look"))
        _ensure_possible(source, target)
        copier = Copier(self._outside, self._inside, target.version, str(snapshot))
        # What the role may not read is known before anything in the target is touched.
        async with copier.definitions() as definitions:
            with self._timed("prepare"):
                await self._prepare(source)
            with self._timed("copy"):
                self._telling.begins("copying rows")
                await definitions.before_rows()
                await copier.rows(self._telling.on_bytes)
            with self._timed("check"):
                self._telling.begins("checking")
                moved = await self._checked(source)
            if moved.problems():
                raise Differs(moved)
            with self._timed("build"):
                self._telling.begins("building indexes and constraints")
                await definitions.after_rows()
                await self._target.ask("finish", seconds=FINISH_SECONDS)
        written = bool(await self._source.ask("changes") != changes)
        return replace(moved, written=written, seconds=self._seconds)

    async def _prepare(self, source: Inventory) -> None:
        id = self._wish.id
        await self._reach.let_make(id, allowed=True)
        try:
            await self._target.ask(
                "prepare",
                schemas=source.schemas,
                extensions=[list(pair) for pair in source.extensions],
            )
        finally:
            await self._reach.let_make(id, allowed=False)

    async def _checked(self, source: Inventory) -> Moved:
        end = self._clock.now() + self._wish.check_seconds
        there = {t.key: t for t in inventory(await self._target.ask("look")).tables}
        tables = await check(
            self._source, self._target, source.tables, there, lambda: self._clock.now() > end
        )
        if source.objects:
            tables = (await check_objects(self._source, self._target), *tables)
        sequences, late = judging.behind(
            await self._source.ask("sequences"), await self._target.ask("sequences")
        )
        return Moved(
            database=self._wish.id,
            source=str(self._wish.source),
            version=source.version,
            bytes=source.bytes,
            tables=tables,
            sequences=sequences,
            # Where the source is written to, its sequences have gone on since.
            sequences_behind=late if self._wish.stops_writes else (),
            left_out=source.left_out,
            written=None,
            is_read_only=self._wish.stops_writes,
            seconds={},
        )

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = self._clock.now()
        yield
        self._seconds[what] = round(self._clock.now() - began, 3)


def _ensure_possible(source: Inventory, target: Inventory) -> None:
    if found := judging.refusals(source, target):
        raise ExceptionGroup("the source cannot be imported", found)
