"""Waiting for OCI: looks that come ever more rarely, and what it means when they end badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar, overload

from pgherd.engines.oci.refusals import NotFound
from pgherd.engines.oci.sdk import Answer, Cloud
from pgherd.errors import NeedsHuman, TryLater

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")

FIRST_DELAY = 0.05
LONGEST_DELAY = 30.0
PATIENCE = 2 * 3600.0
"""Seconds after which a wait is given up; a database takes up to half an hour."""
PATIENCE_FOR_NEWS = 120.0
"""Seconds of a wait in which a 404 may only mean that OCI has not heard of it everywhere yet."""


async def looks(cloud: Cloud) -> AsyncIterator[float]:
    """One turn for each look, and the seconds waited so far. Ends when patience does."""
    waited, delay = 0.0, FIRST_DELAY
    while waited < PATIENCE:
        yield waited
        await cloud.sleep(delay)
        waited += delay
        delay = min(2 * delay, LONGEST_DELAY)


async def until(
    cloud: Cloud,
    what: str,
    look: Callable[[], Awaitable[Any]],
    ends: Callable[[Any], bool],
    news: float = PATIENCE_FOR_NEWS,
) -> Any:
    """Look until what is seen is at an end, and return that.

    NotFound counts after so many seconds only: 0 is for what is waited for to be gone.
    """
    seen = None
    async for waited in looks(cloud):
        try:
            seen = await look()
        except NotFound:
            if waited >= news:
                raise
            continue
        if ends(seen):
            return seen
    raise TryLater(f"{what} is still {_state(seen)} after {PATIENCE / 60:.0f} minutes")


def _state(seen: Any) -> str:
    """Of a thing, of one in an answer, or of a work request."""
    thing = seen.data if isinstance(seen, Answer) else seen
    return str(getattr(thing, "lifecycle_state", None) or getattr(thing, "status", "not there"))


async def work_done(cloud: Cloud, what: str, id: str | None) -> Any:
    """The work request is done; the request. NeedsHuman with OCI's own reason where it failed."""
    if id is None:
        return None

    async def look() -> Any:
        return (await cloud.call("psql", "get_work_request", id)).data

    request = await until(cloud, f"the work on {what}", look, lambda r: r.status in _OVER)
    if request.status == "SUCCEEDED":
        return request
    errors = await cloud.all("psql", "list_work_request_errors", id)
    reason = "; ".join(e.message for e in errors) or "oci gives no reason"
    raise NeedsHuman(
        f"{request.operation_type} of {what} {request.status.lower()}: {reason}",
        f"see work request {id} in the console, then run the same command again",
    )


_OVER = ("SUCCEEDED", "FAILED", "CANCELED")


@overload
async def together(one: Coroutine[Any, Any, T], two: Coroutine[Any, Any, U], /) -> tuple[T, U]: ...


@overload
async def together(
    one: Coroutine[Any, Any, T], two: Coroutine[Any, Any, U], three: Coroutine[Any, Any, V], /
) -> tuple[T, U, V]: ...


@overload
async def together(*calls: Coroutine[Any, Any, T]) -> Sequence[T]: ...


async def together(*calls: Coroutine[Any, Any, Any]) -> Sequence[Any]:
    """What all of these answer, in their order; the first error where one fails.

    A task group alone would raise a group, which nobody above takes apart.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as failed:
        raise _first(failed) from failed
    return tuple(task.result() for task in tasks)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
