"""The crash-everywhere harness: a story must end the same, wherever it dies on the way.

The story is played once undisturbed. Then it is played again and again, killed after its
first change of the world, after its second, and so on; each time it is simply started again
on the world that it left. At last every process dies after a single change. The end must be
the same each time, and every row that a client was told is stored must still be there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pgherd.testing.world import Killed, Steps, World

MakeWorld = Callable[[], Awaitable[World]]
Story = Callable[[World], Awaitable[None]]


class Careless(AssertionError):
    """The story does not survive a crash; the message says after which step."""


async def crash_everywhere(make_world: MakeWorld, story: Story) -> int:
    """Play a story with a crash after each of its steps; how many steps it has.

    `make_world` makes the world that the story begins in. Raises Careless where the end is
    another one than that of the undisturbed story, or cannot be reached.
    """
    undisturbed = await make_world()
    undisturbed.steps = Steps()
    await story(undisturbed)
    end = undisturbed.picture()
    steps = list(undisturbed.steps.taken)
    for count in range(1, len(steps) + 1):
        world = await make_world()
        place = await _play_until(world, story, count)
        world.steps = Steps()
        await _finish(world, story, place)
        _demand_same(end, world.picture(), place)
    await _one_step_each(await make_world(), story, end, len(steps))
    return len(steps)


async def _play_until(world: World, story: Story, count: int) -> str:
    world.steps = Steps(limit=count)
    try:
        await story(world)
    except* Killed:
        pass
    return world.steps.taken[-1] if world.steps.taken else "nothing"


async def _one_step_each(world: World, story: Story, end: dict[str, object], expected: int) -> None:
    # A process that makes no headway between two crashes would never end; some steps are
    # taken twice, so there is room, but not without bound.
    for _ in range(3 * expected + 3):
        place = await _play_until(world, story, 1)
        if not world.steps.is_used_up:
            return _demand_same(end, world.picture(), "each step")
    raise Careless(f"dying after each step leads nowhere; the last was {place!r}")


async def _finish(world: World, story: Story, place: str) -> None:
    try:
        await story(world)
    except Exception as error:
        raise Careless(f"after a crash after {place!r} it fails: {error!r}") from error


def _demand_same(end: dict[str, object], found: dict[str, object], place: str) -> None:
    if found != end:
        raise Careless(f"after a crash after {place!r} it ends in {found} instead of {end}")
