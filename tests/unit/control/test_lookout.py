"""Looks are shared, and never older than the question."""

import asyncio

from pgherd.contract.observed import Observation, Unknown
from pgherd.control.lookout import Lookout
from pgherd.errors import TryLater
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.world import World


class Watched(MemoryEngine):
    """Looks when it is let, and numbers what it saw."""

    def __init__(self) -> None:
        super().__init__(World())
        self.begun = 0
        self.turn = asyncio.Semaphore(0)

    async def observe(self, *, roles: bool = True) -> Observation:
        self.begun += 1
        number = self.begun
        await self.turn.acquire()
        return Observation(frozenset({str(number)}))


async def test_who_asks_during_a_look_shares_the_next_one() -> None:
    engine = Watched()
    lookout = Lookout({"memory": engine})
    first = asyncio.create_task(lookout.look("memory"))
    await asyncio.sleep(0)
    later = [asyncio.create_task(lookout.look("memory")) for _ in range(5)]
    await asyncio.sleep(0)
    engine.turn.release()
    engine.turn.release()
    assert await first == Observation(frozenset({"1"}))
    assert await asyncio.gather(*later) == [Observation(frozenset({"2"}))] * 5
    assert engine.begun == 2


async def test_a_cancelled_look_is_made_by_the_next_who_asks() -> None:
    engine = Watched()
    lookout = Lookout({"memory": engine})
    first = asyncio.create_task(lookout.look("memory"))
    await asyncio.sleep(0)
    second = asyncio.create_task(lookout.look("memory"))
    await asyncio.sleep(0)
    first.cancel()
    engine.turn.release()
    assert await second == Observation(frozenset({"2"}))


async def test_an_engine_that_cannot_see_is_unknown() -> None:
    world = World()
    world.blind_next(TryLater("no network"))
    lookout = Lookout({"memory": MemoryEngine(world)})
    assert lookout.latest == {"memory": Unknown("it was not looked at yet")}
    assert await lookout.look("memory") == Unknown("no network")
    assert await lookout.look_everywhere() == {"memory": Observation()}
