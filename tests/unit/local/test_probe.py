"""The probe's questions share a connection: each has it to itself, and one that fails ends it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from local_fleet import AUTH, LAYOUT

from pgherd.engines.local import sessions
from pgherd.engines.local.agent import probe
from pgherd.engines.local.agent.probe import Probe
from pgherd.errors import TryLater


class Session:
    """As psycopg's. `hangs` at a question with that word in it."""

    def __init__(self, hangs: str = "", *, in_recovery: bool = False) -> None:
        self.hangs, self.in_recovery = hangs, in_recovery
        self.asked = 0
        self.closed = self.was_closed_while_asked = False

    async def execute(self, statement: str) -> Session:
        assert not self.closed
        self.answer: Any = "0007"
        if "recovery" in statement:
            self.answer = self.in_recovery
        elif "to_regclass" in statement:
            self.answer = True
        self.asked += 1
        try:
            await asyncio.sleep(3600 if self.hangs and self.hangs in statement else 0)
        finally:
            self.asked -= 1
        return self

    async def fetchone(self) -> tuple[Any, ...]:
        return (self.answer,)

    async def close(self) -> None:
        self.was_closed_while_asked |= bool(self.asked)
        self.closed = True


@pytest.fixture
def next_ones(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """The connections that are going to be opened, the first one first."""
    coming: list[Session] = []

    async def open_one(*_: object) -> Session:
        return coming.pop(0)

    monkeypatch.setattr(sessions, "probe", open_one)
    monkeypatch.setattr(sessions, "has_probe", lambda *_: True)
    monkeypatch.setattr(probe, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(probe, "REVISION_SECONDS", 0.1)
    return coming


async def test_it_asks_in_the_connection_that_it_has(next_ones: list[Session]) -> None:
    next_ones.append(Session())
    asking = Probe(LAYOUT)
    assert not asking.is_open
    found = await asking.ask(AUTH)
    assert found
    assert not found.trouble
    assert asking.is_open
    assert await asking.schema_revision(AUTH) == "0007"


async def test_a_table_of_revisions_that_never_answers_is_no_trouble_of_the_database(
    next_ones: list[Session],
) -> None:
    first, second = Session(hangs="alembic_version LIMIT"), Session()
    next_ones += [first, second]
    asking = Probe(LAYOUT)
    await asking.ask(AUTH)
    both = asyncio.gather(asking.schema_revision(AUTH), asking.ask(AUTH), return_exceptions=True)
    revision, found = await both
    assert isinstance(revision, TryLater)
    assert first.closed
    assert not first.was_closed_while_asked
    assert isinstance(found, probe.Found)
    assert not found.trouble


async def test_one_that_takes_no_writes_is_asked_anew_by_another_connection(
    next_ones: list[Session],
) -> None:
    next_ones += [Session(in_recovery=True), Session()]
    asking = Probe(LAYOUT)
    first, second = await asking.ask(AUTH), await asking.ask(AUTH)
    assert first
    assert second
    assert (first.trouble, second.trouble) == ("it takes no writes", "")


async def test_one_that_hangs_is_told_of_in_time(next_ones: list[Session]) -> None:
    next_ones.append(Session(hangs="recovery"))
    found = await Probe(LAYOUT).ask(AUTH)
    assert found
    assert found.timed_out
