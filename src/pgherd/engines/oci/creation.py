"""Making one thing once, though OCI tells of it late and remembers calls for a day.

A retry token brings back the first answer for 24 hours, even about a thing that is gone by then;
and what was just made may answer 404 until all of OCI has heard of it. So a 404 alone never lets
a thing be made again: only a state that says so, or a 404 about a thing that is no news any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pgherd.engines.oci.blueprint import resolved
from pgherd.engines.oci.kinds import GONE
from pgherd.engines.oci.names import Owner
from pgherd.engines.oci.refusals import NotFound
from pgherd.engines.oci.sdk import Answer, Cloud
from pgherd.engines.oci.waiting import PATIENCE_FOR_NEWS, until
from pgherd.errors import NeedsHuman, TryLater

NEWS = timedelta(minutes=10)
"""For so long after a thing was made, a 404 may only mean that it is new."""
GENERATIONS = 5
"""How often a thing is made again, where each one that a token brings back is gone."""

Create = Callable[[Sequence[str]], Awaitable[Answer]]
"""The call that makes it, given the OCIDs of its former generations, for the retry token."""


async def create_once(
    cloud: Cloud, what: str, create: Create, look: Callable[[str], Awaitable[Any]]
) -> Answer:
    """The answer to the making of a thing that is there, with the thing as it was last seen.

    `look` gives the thing with an OCID. TryLater where OCI does not show yet what was made.
    """
    former: list[str] = []
    while len(former) < GENERATIONS:
        made = await create(former)
        seen = await _seen(cloud, what, made.data, look)
        if seen is not None and seen.lifecycle_state not in GONE:
            return replace(made, data=seen)
        former.append(made.data.id)
    raise NeedsHuman(
        f"{what} was made {GENERATIONS} times and is gone each time: {', '.join(former)}",
        "see in the console's audit log what deletes it",
    )


async def _seen(cloud: Cloud, what: str, made: Any, look: Callable[[str], Awaitable[Any]]) -> Any:
    """The thing, None where it is gone for certain."""
    is_news = _age(made) < NEWS
    try:
        return await until(
            cloud,
            what,
            lambda: look(made.id),
            lambda _: True,
            news=PATIENCE_FOR_NEWS if is_news else 0,
        )
    except NotFound:
        if not is_news:
            return None
        raise TryLater(
            f"{what} was made as {made.id} less than {NEWS.seconds // 60} minutes ago,"
            " and oci does not show it"
        ) from None


def _age(made: Any) -> timedelta:
    at = getattr(made, "time_created", None)
    return datetime.now(UTC) - at if at is not None else timedelta(0)


def referring(owner: Owner, properties: Any, ocids: Mapping[str, str]) -> Any:
    """The properties with OCIDs in the place of references; TryLater where one is not known."""
    try:
        return resolved(properties, ocids)
    except KeyError as missing:
        raise TryLater(f"environment {owner.environment} has no {missing.args[0]} yet") from None
