"""What the agent asks again and again: nobody who answers slowly keeps it from asking others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from local_fleet import LAYOUT

from pgherd.engines.local import logs
from pgherd.engines.local.agent import rounds
from pgherd.fleet.desired import DatabaseId

ROUNDS = 40


class Asked:
    """A database that notes what it is asked; `slow` are questions that it never answers."""

    def __init__(self, service: str, slow: frozenset[str] = frozenset()) -> None:
        self.id = DatabaseId("production", service)
        self.is_short = False
        self.is_in_trouble = False
        self.asked: Counter[str] = Counter()
        self._slow = slow

    def look(self) -> None:
        self.asked["look"] += 1

    def __getattr__(self, name: str) -> Callable[[], Any]:
        async def ask() -> None:
            self.asked[name] += 1
            if name in self._slow:
                await asyncio.sleep(3600)

        return ask


async def after_some_rounds(monkeypatch: pytest.MonkeyPatch, *databases: Asked) -> None:
    monkeypatch.setattr(rounds, "SECONDS", 0.001)
    monkeypatch.setattr(logs, "rotate", lambda _: None)

    async def mend_all() -> None:
        pass

    environments = SimpleNamespace(mend_all=mend_all, watched={"production"})
    supervisor = SimpleNamespace(end_frozen=lambda: None)
    looking = asyncio.create_task(
        rounds.look_around(
            LAYOUT,
            supervisor,  # type: ignore[arg-type]
            {database.id: database for database in databases},  # type: ignore[misc]
            environments,  # type: ignore[arg-type]
        )
    )
    async with asyncio.timeout(10):
        while databases[0].asked["look"] < ROUNDS:
            await asyncio.sleep(0.001)
    looking.cancel()
    await asyncio.wait([looking])


async def test_all_is_asked_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Asked("auth")
    await after_some_rounds(monkeypatch, database)
    assert database.asked["ask_as_client"] >= ROUNDS // rounds.CLIENT_ROUNDS
    assert database.asked["look_at_lease"] >= ROUNDS // rounds.LEASE_ROUNDS
    assert database.asked["examine"] == database.asked["guard_replicas"] == 1
    assert database.asked["guard"] >= ROUNDS - 2


async def test_who_answers_nothing_hinders_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service can make its own pool as slow as it likes."""
    slow = Asked("auth", frozenset(["ask_as_client", "guard"]))
    others = [Asked(f"other{number}") for number in range(5)]
    await after_some_rounds(monkeypatch, slow, *others)
    assert slow.asked["ask_as_client"] == slow.asked["guard"] == 1
    assert slow.asked["examine"] == 1
    for other in others:
        assert other.asked["ask_as_client"] >= ROUNDS // rounds.CLIENT_ROUNDS - 1
        assert other.asked["guard"] >= ROUNDS - 3
        assert other.asked["examine"] >= 1
