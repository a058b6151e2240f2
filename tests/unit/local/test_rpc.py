"""Errors keep their kind on the way from the agent; a connection is played by a pair of pipes."""

import asyncio
import json
import logging
import os
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pgherd.engines.local import rpc
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater
from pgherd.files import Owner


def failing(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def handler(**arguments: object) -> None:
        raise error

    return handler


ME = Owner(os.geteuid(), os.getegid(), "me")


class Peer:
    """The socket of a connection to a listener that runs as this user."""

    def __init__(self, uid: int) -> None:
        self._uid = uid

    def getsockopt(self, *_: int) -> bytes:
        return struct.pack("3i", 4711, self._uid, 0)


async def asked(
    handler: Callable[..., Awaitable[Any]],
    monkeypatch: pytest.MonkeyPatch,
    listener: int = ME.uid,
    **arguments: Any,
) -> Any:
    """What `call` makes of the handler's answer; asyncio's connection is replaced by memory."""

    class Writer:
        def __init__(self, reader: asyncio.StreamReader) -> None:
            self.reader = reader
            self.answers: list[asyncio.Task[None]] = []

        def write(self, line: bytes) -> None:
            self.answers.append(asyncio.ensure_future(self.answer(json.loads(line))))

        async def answer(self, request: dict[str, Any]) -> None:
            response = await rpc._answer({"do": handler}, request["method"], request["arguments"])
            self.reader.feed_data(json.dumps(response).encode() + b"\n")

        def get_extra_info(self, _: str) -> object:
            return Peer(listener)

        def close(self) -> None:
            pass

    async def connect(path: str, limit: int) -> tuple[asyncio.StreamReader, Writer]:
        reader = asyncio.StreamReader(limit=limit)
        return reader, Writer(reader)

    monkeypatch.setattr(asyncio, "open_unix_connection", connect)
    return await rpc.call(Path("/nowhere"), ME, "do", **arguments)


async def test_nothing_is_said_to_another_users_program(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler() -> None:
        raise AssertionError("it was asked")

    with pytest.raises(NeedsHuman, match="process 4711 of user 4242 listens there"):
        await asked(handler, monkeypatch, listener=4242)


async def test_a_frozen_agent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TryLater, match=r"process 4711.* has not answered for 0 s"):
        await asked(handler, monkeypatch, patience=0.01)


@pytest.mark.parametrize(
    "line",
    [b"[]", b"7", b"{}", b"x", b'{"error": {"kind": "Exit"}}', b'{"error": 1}', b"\xff\xfe"],
)
def test_an_answer_that_is_none_is_said_to_be_so(line: bytes) -> None:
    with pytest.raises(NeedsHuman, match="cannot be read"):
        rpc._result(line)


async def test_arguments_and_results_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(*, database: str, count: int) -> dict[str, object]:
        return {"database": database, "next": count + 1, "none": None}

    found = await asked(handler, monkeypatch, database="production/auth", count=2)
    assert found == {"database": "production/auth", "next": 3, "none": None}


@pytest.mark.parametrize("kind", [InputError, TryLater, NeedsHuman])
async def test_errors_keep_kind_message_and_hint(
    monkeypatch: pytest.MonkeyPatch, kind: type[PgherdError]
) -> None:
    with pytest.raises(kind, match="it is not so") as caught:
        await asked(failing(kind("it is not so", "make it so")), monkeypatch)
    assert type(caught.value) is kind
    assert caught.value.hint == "make it so"


async def test_what_nobody_expected_needs_a_human_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(NeedsHuman, match=r"the agent failed at do: KeyError\('x'\)"),
    ):
        await asked(failing(KeyError("x")), monkeypatch)
    assert "do failed" in caplog.text


async def test_no_agent(tmp_path: Path) -> None:
    with pytest.raises(TryLater, match="does not run") as caught:
        await rpc.call(tmp_path / "agent.sock", ME, "ping")
    assert caught.value.hint == "run `pgherd up`"


async def test_an_agent_that_ends_while_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Writer:
        def write(self, line: bytes) -> None:
            pass

        def get_extra_info(self, _: str) -> object:
            return Peer(ME.uid)

        def close(self) -> None:
            pass

    async def connect(path: str, limit: int) -> tuple[asyncio.StreamReader, Writer]:
        reader = asyncio.StreamReader()
        reader.feed_eof()
        return reader, Writer()

    monkeypatch.setattr(asyncio, "open_unix_connection", connect)
    with pytest.raises(TryLater, match="stopped while it was asked"):
        await rpc.call(Path("/nowhere"), ME, "ping")
