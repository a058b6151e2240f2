"""The controller's side of the helper, over a pair of sockets whose other end a test plays."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from pgherd.autopilot import helper_link
from pgherd.autopilot.helper_link import HelperGone, HelperLink
from pgherd.autopilot.requests import Answered, Applied, Asked, Beat, Failure, LookUp, Mend, Pause
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater

AUTH, ORDER = Mend("production/auth", "ill"), Mend("production/order", "ill")
EVERYTHING = Pause("", "an audit", 1.0)


@dataclass
class PlayedHelper:
    """The other end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def hear(self) -> Asked:
        return msgspec.json.decode(await self.reader.readline(), type=Asked)

    def say(self, answer: Answered) -> None:
        self.writer.write(msgspec.json.encode(answer) + b"\n")


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[HelperLink, PlayedHelper, asyncio.Task[None]]]:
    ours, theirs = socket.socketpair()
    link = await HelperLink.open(ours)
    helper = PlayedHelper(*await asyncio.open_unix_connection(sock=theirs, limit=2**20))
    answers = asyncio.create_task(link.run())
    try:
        yield link, helper, answers
    finally:
        helper.writer.close()
        with pytest.raises(HelperGone):
            await answers
        link._writer.close()


async def test_answers_are_told_apart_by_their_number() -> None:
    async with linked() as (link, helper, _):
        first = asyncio.create_task(link.carry_out(AUTH))
        second = asyncio.create_task(link.carry_out(ORDER))
        heard = {asked.what: asked.number for asked in [await helper.hear(), await helper.hear()]}
        assert len(set(heard.values())) == 2
        helper.say(Answered(heard[ORDER], seconds=2.0))
        assert await second == 2.0
        assert not first.done()
        helper.say(Answered(heard[AUTH], seconds=1.0))
        assert await first == 1.0


async def test_what_is_applied_with_its_pauses() -> None:
    async with linked() as (link, helper, _):
        asking = asyncio.create_task(link.applied(3, "abc"))
        asked = await helper.hear()
        assert asked.what == LookUp(3, "abc")
        applied = Applied(4, "abc", msgspec.Raw(b'{"a": 1}'), (EVERYTHING,))
        helper.say(Answered(asked.number, applied))
        found = await asking
        assert (found.number, bytes(found.resolved)) == (4, b'{"a": 1}')
        assert found.pauses == (EVERYTHING,)


async def test_an_answer_without_anything_applied_is_for_later() -> None:
    async with linked() as (link, helper, _):
        asking = asyncio.create_task(link.applied(0, ""))
        helper.say(Answered((await helper.hear()).number))
        with pytest.raises(TryLater, match="nothing is applied yet"):
            await asking


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("InputError", InputError),
        ("TryLater", TryLater),
        ("NeedsHuman", NeedsHuman),
        ("SystemExit", TryLater),
    ],
)
async def test_failures_are_errors_of_their_kind(kind: str, error: type[PgherdError]) -> None:
    async with linked() as (link, helper, _):
        asking = asyncio.create_task(link.carry_out(AUTH))
        number = (await helper.hear()).number
        helper.say(Answered(number, failure=Failure(kind, "no room", "make some")))
        with pytest.raises(error, match="no room") as failed:
            await asking
        assert failed.value.hint == "make some"


async def test_a_beat_waits_for_no_answer() -> None:
    async with linked() as (link, helper, _):
        link.beat(Beat(1e9, 2, {"production/auth": [None, 7]}))
        assert await helper.hear() == Asked(0, Beat(1e9, 2, {"production/auth": [None, 7]}))
        assert link._waiting == {}


async def test_an_answer_that_does_not_come_is_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper_link, "ANSWER_SECONDS", 0.01)
    async with linked() as (link, helper, _):
        with pytest.raises(TryLater, match="has not answered"):
            await link.carry_out(AUTH)
        assert link._waiting == {}
        helper.say(Answered((await helper.hear()).number, seconds=9.0))  # nobody waits any more
        asking = asyncio.create_task(link.carry_out(ORDER))
        monkeypatch.setattr(helper_link, "ANSWER_SECONDS", 10.0)
        helper.say(Answered((await helper.hear()).number, seconds=1.0))
        assert await asking == 1.0


async def test_who_stops_waiting_leaves_nothing_behind() -> None:
    async with linked() as (link, helper, _):
        asking = asyncio.create_task(link.carry_out(AUTH))
        number = (await helper.hear()).number
        asking.cancel()
        await asyncio.wait([asking])
        assert link._waiting == {}
        helper.say(Answered(number))
        again = asyncio.create_task(link.carry_out(AUTH))
        helper.say(Answered((await helper.hear()).number, seconds=1.0))
        assert await again == 1.0


async def test_answers_that_nobody_asked_for_change_nothing() -> None:
    async with linked() as (link, helper, _):
        helper.say(Answered(99, seconds=9.0))
        asking = asyncio.create_task(link.carry_out(AUTH))
        asked = await helper.hear()
        helper.say(Answered(asked.number, seconds=1.0))
        helper.say(Answered(asked.number, seconds=2.0))
        assert await asking == 1.0


async def test_a_long_answer_arrives() -> None:
    async with linked() as (link, helper, _):
        asking = asyncio.create_task(link.applied(0, ""))
        number = (await helper.hear()).number
        text = msgspec.json.encode("a" * 2**20)
        helper.say(Answered(number, Applied(1, "", msgspec.Raw(text), ())))
        assert len(bytes((await asking).resolved)) == len(text)


async def test_where_the_helper_has_gone_it_ends() -> None:
    async with linked() as (_, helper, answers):
        helper.writer.close()
        with pytest.raises(HelperGone):
            await answers
