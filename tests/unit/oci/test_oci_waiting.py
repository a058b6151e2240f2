"""Waiting for OCI: looks grow rarer, patience ends, failures are told with OCI's own reason."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from oci.psql.models import WorkRequest, WorkRequestError
from oci_fakes import Client, Pauses, answer, cloud, refusal

from pgherd.engines.oci.refusals import NotFound
from pgherd.engines.oci.sdk import Answer, Cloud
from pgherd.engines.oci.waiting import (
    FIRST_DELAY,
    LONGEST_DELAY,
    PATIENCE,
    PATIENCE_FOR_NEWS,
    looks,
    together,
    until,
    work_done,
)
from pgherd.errors import InputError, NeedsHuman, TryLater


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


CREATE = WorkRequest.OPERATION_TYPE_CREATE_POSTGRESQL_DB_SYSTEM
CREATING = SimpleNamespace(lifecycle_state="CREATING")


def pauses(cloud: Cloud) -> list[float]:
    assert isinstance(cloud.sleep, Pauses)
    return cloud.sleep


# Looks


async def test_looks_grow_rarer_until_the_cap(threads: ThreadPoolExecutor) -> None:
    found = cloud(threads, Client())
    waited = [seconds async for seconds in looks(found)]
    slept = pauses(found)
    assert waited[0] == 0
    assert slept[0] == FIRST_DELAY
    assert all(b == min(2 * a, LONGEST_DELAY) for a, b in pairwise(slept))
    assert slept[-1] == LONGEST_DELAY
    assert sum(slept) - LONGEST_DELAY < PATIENCE <= sum(slept)
    assert waited == pytest.approx([sum(slept[:n]) for n in range(len(slept))])


async def test_what_is_at_an_end_is_waited_for_no_longer(threads: ThreadPoolExecutor) -> None:
    found = cloud(threads, Client())
    states = iter(["CREATING", "CREATING", "ACTIVE", "DELETED"])

    async def look() -> str:
        return next(states)

    assert await until(found, "a system", look, lambda s: s == "ACTIVE") == "ACTIVE"
    assert pauses(found) == [FIRST_DELAY, 2 * FIRST_DELAY]


async def test_the_first_look_comes_at_once(threads: ThreadPoolExecutor) -> None:
    found = cloud(threads, Client())

    async def look() -> str:
        return "ACTIVE"

    assert await until(found, "a system", look, lambda _: True) == "ACTIVE"
    assert pauses(found) == []


@pytest.mark.parametrize(
    ("seen", "state"),
    [(CREATING, "CREATING"), (Answer(CREATING), "CREATING"), (None, "not there")],
)
async def test_patience_ends(threads: ThreadPoolExecutor, seen: Any, state: str) -> None:
    async def look() -> Any:
        return seen

    with pytest.raises(TryLater) as found:
        await until(cloud(threads, Client()), "production/auth", look, lambda _: False)
    assert found.value.message == f"production/auth is still {state} after 120 minutes"


async def test_an_error_of_a_look_is_not_waited_for(threads: ThreadPoolExecutor) -> None:
    async def look() -> Any:
        raise InputError("it is not so")

    found = cloud(threads, Client())
    with pytest.raises(InputError):
        await until(found, "a system", look, lambda _: True)
    assert pauses(found) == []


class News:
    """Not there for a number of looks, then ACTIVE."""

    def __init__(self, missed: float) -> None:
        self.missed = missed

    async def __call__(self) -> Any:
        self.missed -= 1
        if self.missed >= 0:
            raise NotFound("it is not there")
        return "ACTIVE"


async def test_what_is_not_there_yet_is_waited_for(threads: ThreadPoolExecutor) -> None:
    found = cloud(threads, Client())
    assert await until(found, "a system", News(3), lambda _: True) == "ACTIVE"
    assert len(pauses(found)) == 3


async def test_what_stays_away_counts_as_not_there(threads: ThreadPoolExecutor) -> None:
    found = cloud(threads, Client())
    with pytest.raises(NotFound):
        await until(found, "a system", News(1000), lambda _: True)
    assert PATIENCE_FOR_NEWS <= sum(pauses(found)) <= PATIENCE_FOR_NEWS + LONGEST_DELAY


async def test_what_is_waited_for_to_be_gone_is_gone_at_once(threads: ThreadPoolExecutor) -> None:
    found = cloud(threads, Client())
    with pytest.raises(NotFound):
        await until(found, "a system", News(1), lambda _: True, news=0)
    assert pauses(found) == []


# Work requests


def request(status: str) -> Any:
    return answer(WorkRequest(status=status, operation_type=CREATE))


async def test_without_a_work_request_nothing_is_waited_for(threads: ThreadPoolExecutor) -> None:
    client = Client()
    assert await work_done(cloud(threads, client), "production/auth", None) is None
    assert client.calls == []


async def test_work_is_waited_for(threads: ThreadPoolExecutor) -> None:
    steps = ["ACCEPTED", "IN_PROGRESS", "WAITING", "CANCELING", "SUCCEEDED"]
    client = Client(*map(request, steps))
    found = await work_done(cloud(threads, client), "production/auth", "w1")
    assert found.status == "SUCCEEDED"
    assert client.calls == [("get_work_request", ("w1",), {})] * len(steps)


async def test_work_may_be_news(threads: ThreadPoolExecutor) -> None:
    client = Client(refusal(404), refusal(404), request("SUCCEEDED"))
    found = await work_done(cloud(threads, client), "production/auth", "w1")
    assert found.status == "SUCCEEDED"


@pytest.mark.parametrize("status", ["FAILED", "CANCELED"])
@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "oci gives no reason"),
        (["no capacity"], "no capacity"),
        (["no capacity", "rolled back"], "no capacity; rolled back"),
    ],
)
async def test_failed_work_is_a_humans_with_ocis_reason(
    threads: ThreadPoolExecutor, status: str, messages: list[str], reason: str
) -> None:
    errors = [WorkRequestError(message=message) for message in messages]
    client = Client(request("IN_PROGRESS"), request(status), answer(errors))
    with pytest.raises(NeedsHuman) as found:
        await work_done(cloud(threads, client), "production/auth", "w1")
    assert found.value.message == (f"{CREATE} of production/auth {status.lower()}: {reason}")
    assert "work request w1" in found.value.hint
    assert client.calls[-1][:2] == ("list_work_request_errors", ("w1",))


async def test_work_that_goes_on_for_too_long_is_left_for_later(
    threads: ThreadPoolExecutor,
) -> None:
    client = Client(request("IN_PROGRESS"))
    with pytest.raises(TryLater, match="the work on production/auth is still IN_PROGRESS"):
        await work_done(cloud(threads, client), "production/auth", "w1")


# Together


async def gives(value: int, after: int = 0) -> int:
    for _ in range(after):
        await asyncio.sleep(0)
    return value


async def fails(error: Exception, after: int = 0) -> int:
    await gives(0, after)
    raise error


async def test_answers_come_in_the_order_of_the_calls() -> None:
    assert await together(gives(1, after=3), gives(2), gives(3, after=1)) == (1, 2, 3)
    assert await together(*(gives(n, after=9 - n) for n in range(9))) == tuple(range(9))
    assert await together() == ()


async def test_the_first_error_is_raised_as_it_is() -> None:
    late, early = TryLater("late"), InputError("early")
    with pytest.raises(InputError) as found:
        await together(gives(1), fails(late, after=5), fails(early))
    assert found.value is early


async def test_of_calls_within_calls_the_error_is_as_plain() -> None:
    error = NeedsHuman("it is so")
    with pytest.raises(NeedsHuman) as found:
        await together(together(gives(1), fails(error)), gives(2, after=5))
    assert found.value is error


async def test_the_others_are_cancelled() -> None:
    ends = []

    async def goes_on() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        return 1

    with pytest.raises(TryLater):
        await together(goes_on(), fails(TryLater("busy"), after=3), goes_on())
    assert ends == ["cancelled", "cancelled"]


async def test_who_is_cancelled_cancels_all() -> None:
    ends = []

    async def goes_on() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("ended")
        return 1

    task = asyncio.ensure_future(together(goes_on(), goes_on()))
    await gives(0, after=3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["ended", "ended"]


async def test_an_error_in_the_cancelled_does_not_hide_the_first() -> None:
    async def stumbles() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("on the way out")
        return 1

    with pytest.raises(TryLater):
        await together(fails(TryLater("busy"), after=2), stumbles())


async def test_a_group_raised_by_a_call_is_taken_apart() -> None:
    inner = InputError("inner")
    group = ExceptionGroup("a", [ExceptionGroup("b", [inner]), TryLater("other")])
    with pytest.raises(InputError) as found:
        await together(fails(group), gives(1))
    assert found.value is inner
