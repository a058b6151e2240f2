"""The store of a controller: it may be away, move, or stand still, and nobody waits for long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import cast

import pytest
from played_controller import Played

from pgherd.autopilot import archive as module
from pgherd.autopilot.archive import Archive
from pgherd.autopilot.requests import HistoryAt
from pgherd.autopilot.telling import Telling
from pgherd.errors import NeedsHuman, TryLater
from pgherd.store.server import Line
from pgherd.store.store import Store
from pgherd.store.values import Lost
from pgherd.testing.fleets import database

AWAY = TryLater("it is away")


class Server:
    """A store on a server that may be away, or stand still until its line is cut."""

    def __init__(self) -> None:
        self.url = "postgresql://me@here/one"
        self.is_away = False
        self.stands_still = False
        self.opened: list[str] = []
        self.closed = 0
        self.is_cut = threading.Event()

    async def find(self) -> HistoryAt:
        return HistoryAt("shop", (), self.url)

    def open(self, at: HistoryAt, line: Line) -> tuple[Store, Lost | None]:
        if self.is_away:
            raise AWAY
        self.opened.append(at.url)
        line.cut = self.is_cut.set  # type: ignore[method-assign]
        return cast("Store", self), None

    def recall(self, key: str) -> bytes | None:
        if self.is_away:
            raise AWAY
        if self.stands_still:
            assert self.is_cut.wait(30)
            raise TryLater("the connection was cut")
        return key.encode()

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def archive(server: Server) -> Archive:
    return Archive(server.find, server.open)


def recall(store: Store) -> bytes | None:
    return store.recall("key")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def test_it_is_opened_before_the_first_round(archive: Archive, server: Server) -> None:
    await archive.begin()
    assert archive.is_there
    assert await archive.call(recall) == b"key"
    assert server.opened == ["postgresql://me@here/one"]


async def test_a_call_does_not_wait_for_one_that_is_away(
    archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.is_away = True
    await archive.begin()
    for _ in range(3):
        with pytest.raises(TryLater, match="it is away"):
            await archive.call(recall)
    assert archive.trouble == "it is away"
    server.is_away = False
    with pytest.raises(TryLater):
        await archive.call(recall)  # it was tried just now
    monkeypatch.setattr(archive, "_not_before", 0.0)
    with pytest.raises(TryLater):
        await archive.call(recall)
    await until(lambda: archive.is_there)
    assert await archive.call(recall) == b"key"
    assert archive.trouble == ""


async def test_what_fails_is_let_go_and_found_anew(
    archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    await archive.begin()
    server.is_away = True
    with pytest.raises(TryLater, match="it is away"):
        await archive.call(recall)
    assert not archive.is_there
    assert server.closed == 1
    server.is_away, server.url = False, "postgresql://me@here/another-password"
    await archive.begin()
    assert await archive.call(recall) == b"key"
    assert server.opened[-1] == server.url


async def test_one_that_stands_still_is_cut_off(
    archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0.01)
    monkeypatch.setattr(module, "CUT_SECONDS", 30.0)
    await archive.begin()
    server.stands_still = True
    with pytest.raises(TryLater, match="the connection was cut"):
        await archive.call(recall)
    assert not archive.is_there


async def test_a_disk_that_stands_still_has_one_thread(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0.01)
    archive = Archive.of(cast("Store", server))
    server.stands_still = True
    for _ in range(3):
        with pytest.raises(TryLater, match="has not answered"):
            await archive.call(recall)
    server.stands_still = False
    server.is_cut.set()
    await until(lambda: bool(archive._late and archive._late.done()))
    assert await archive.call(recall) == b"key"


async def test_it_moves(archive: Archive, server: Server) -> None:
    await archive.begin()
    server.url = ""
    await archive.move()
    assert server.closed == 1
    await archive.begin()
    assert await archive.call(recall) == b"key"
    assert server.opened == ["postgresql://me@here/one", ""]


async def test_where_a_person_is_needed_it_is_said(server: Server) -> None:
    async def find() -> HistoryAt:
        raise NeedsHuman("/etc/pgherd/history may be read by others")

    archive = Archive(find, server.open)
    await archive.begin()
    assert archive.trouble == "/etc/pgherd/history may be read by others"


async def test_rounds_go_on_without_a_history_and_tell_so() -> None:
    played = await Played(database("auth")).up()
    controller = played.controller
    known = {"sizes": b"what was learnt in weeks"}
    played.store.known = dict(known)

    async def find() -> HistoryAt:
        raise AWAY

    away = Archive(find, lambda _at, _line: (cast("Store", played.store), None))
    controller._telling = Telling(away)
    for _ in range(3):
        await controller.round()
        await until(lambda: away._opening is None)
    assert controller._telling.trouble == "it is away"
    assert played.store.known == known
    assert played.store.told == []

    away._store = cast("Store", played.store)
    controller._due.clear()
    await controller.round()
    assert controller._is_recalled
    assert played.store.known["sizes"] != known["sizes"]
