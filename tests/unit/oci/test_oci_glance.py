"""The lists of a glance serve the one look that follows at once, and no other."""

from typing import Any

from pgherd.engines.oci.seeing import GLANCE_SECONDS, Eye


class Tenancy:
    """Without environments; counts how often it is asked for them."""

    def __init__(self) -> None:
        self.asked = 0
        self.environments: dict[str, Any] = {}

    async def held(self) -> list[Any]:
        self.asked += 1
        return []


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def seen() -> tuple[Eye, Any, Clock]:
    tenancy: Any = Tenancy()
    clock = Clock()
    return Eye(tenancy, clock), tenancy, clock


async def test_a_look_at_once_goes_by_the_glance_and_the_next_does_not() -> None:
    eye, tenancy, clock = seen()
    assert await eye.glance() == {}
    clock.now += GLANCE_SECONDS
    await eye.look(roles=True)
    assert tenancy.asked == 1
    await eye.look(roles=True)
    assert tenancy.asked == 2


async def test_an_old_glance_is_not_gone_by() -> None:
    eye, tenancy, clock = seen()
    await eye.glance()
    clock.now += GLANCE_SECONDS + 0.1
    await eye.look(roles=True)
    assert tenancy.asked == 2


async def test_a_glance_before_a_change_is_not_gone_by() -> None:
    eye, tenancy, _ = seen()
    await eye.glance()
    eye.forget()
    await eye.look(roles=True)
    assert tenancy.asked == 2
