"""Questions to a server share a session: none waits for an answer that cannot come any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from local_fleet import AUTH, LAYOUT

from pgherd.engines.local import sessions
from pgherd.engines.local.agent import looks
from pgherd.engines.local.agent.looks import Looks
from pgherd.errors import TryLater

PRIMARY = AUTH.instances[0]


class Session:
    """As psycopg's: closing it wakes nobody who waits for an answer in it."""

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers
        self._asked = 0
        self.closed = False
        self.was_closed_while_asked = False

    async def execute(self, *_: object) -> Session:
        assert not self.closed
        self._asked += 1
        try:
            await asyncio.sleep(0 if self._answers else 3600)
        finally:
            self._asked -= 1
        return self

    async def fetchone(self) -> tuple[Any, ...]:
        return (False, True)

    async def fetchall(self) -> list[tuple[Any, ...]]:
        return []

    async def close(self) -> None:
        self.was_closed_while_asked |= bool(self._asked)
        self.closed = True

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """The sessions that were opened; the first of them hangs, as with a server that is frozen."""
    found: list[Session] = []

    async def open_one(*_: object, **__: object) -> Session:
        found.append(Session(answers=bool(found)))
        return found[-1]

    monkeypatch.setattr(sessions, "superuser", open_one)
    monkeypatch.setattr(looks, "LOOK_SECONDS", 0.1)
    return found


async def test_who_waits_for_a_primary_asks_again_where_a_session_hangs(
    opened: list[Session],
) -> None:
    """Its question was once left alone for ever, when another look closed the session under it."""
    asking = Looks(LAYOUT, AUTH)
    async with asyncio.timeout(2):
        assert await asking.until_writable(PRIMARY)
    assert len(opened) == 2


async def test_looks_at_once_close_no_session_under_one_another(opened: list[Session]) -> None:
    asking = Looks(LAYOUT, AUTH)
    async with asyncio.timeout(2):
        questions = (
            asking.until_settled(PRIMARY),
            asking.until_settled(PRIMARY),
            asking.until_settled(AUTH.instances[1]),
        )
        ends = await asyncio.gather(*questions, return_exceptions=True)
        await asking.until_settled(PRIMARY)
    assert any(isinstance(end, TryLater) for end in ends)
    assert not any(session.was_closed_while_asked for session in opened)


async def test_a_look_that_is_given_up_leaves_no_session_in_the_middle_of_a_question(
    opened: list[Session],
) -> None:
    asking = Looks(LAYOUT, AUTH)
    look = asyncio.create_task(asking.until_settled(PRIMARY))
    await asyncio.sleep(0.02)
    look.cancel()
    await asyncio.wait([look])
    assert opened[0].closed
    async with asyncio.timeout(2):
        await asking.until_settled(PRIMARY)
        await asking.close()
    assert [session.closed for session in opened] == [True, True]
