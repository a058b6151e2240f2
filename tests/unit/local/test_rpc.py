"""Errors keep their kind on the way from the agent; a connection is played by a pair of pipes."""

import asyncio
import logging
import os
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pgherd.engines.local import rpc
from pgherd.engines.local.door import AgentInfo, Leave, Look, Ping, SwitchOver, wire_name
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater
from pgherd.files import Owner

Handler = Callable[[Any], Awaitable[Any]]


def failing(error: Exception) -> Handler:
    async def handler(_: object) -> None:
        raise error

    return handler


ME = Owner(os.geteuid(), os.getegid(), "me")


@dataclass(frozen=True, slots=True)
class Hasty(Look[None]):
    """Somebody who does not wait."""

    @property
    def patience(self) -> float:
        return 0.01


class Peer:
    """The socket of a connection to a listener that runs as this user."""

    def __init__(self, uid: int) -> None:
        self._uid = uid

    def getsockopt(self, *_: int) -> bytes:
        return struct.pack("3i", 4711, self._uid, 0)


async def asked(
    handler: Handler,
    monkeypatch: pytest.MonkeyPatch,
    request: Any,
    listener: int = ME.uid,
) -> Any:
    """What `ask` makes of the handler's answer; asyncio's connection is replaced by memory."""
    kind = type(request)

    class Writer:
        def __init__(self, reader: asyncio.StreamReader) -> None:
            self.reader = reader
            self.answers: list[asyncio.Task[None]] = []

        def write(self, line: bytes) -> None:
            self.answers.append(asyncio.ensure_future(self.answer(line)))

        async def answer(self, line: bytes) -> None:
            reply = await rpc._answer({wire_name(kind): (kind, handler)}, line)
            self.reader.feed_data(msgspec.json.encode(reply) + b"\n")

        def get_extra_info(self, _: str) -> object:
            return Peer(listener)

        def close(self) -> None:
            pass

    async def connect(path: str, limit: int) -> tuple[asyncio.StreamReader, Writer]:
        reader = asyncio.StreamReader(limit=limit)
        return reader, Writer(reader)

    monkeypatch.setattr(asyncio, "open_unix_connection", connect)
    return await rpc.ask(Path("/nowhere"), ME, request)


async def test_nothing_is_said_to_another_users_program(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(_: object) -> None:
        raise AssertionError("it was asked")

    with pytest.raises(NeedsHuman, match="process 4711 of user 4242 listens there"):
        await asked(handler, monkeypatch, Ping(), listener=4242)


async def test_a_frozen_agent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(_: object) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TryLater, match=r"process 4711.* has not answered for 0 s"):
        await asked(handler, monkeypatch, Hasty())


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"7",
        b"{}",
        b"x",
        b'{"error": {"kind": "Exit"}}',
        b'{"error": 1}',
        b"\xff\xfe",
        b'{"result": {"pid": "4711", "version": "1"}}',
        b'{"result": {"pid": 4711}}',
    ],
)
def test_an_answer_that_is_none_is_said_to_be_so(line: bytes) -> None:
    with pytest.raises(NeedsHuman, match="cannot be read"):
        rpc._result(line, AgentInfo)


async def test_requests_and_answers_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(request: SwitchOver) -> str:
        return f"{request.database} {request.target} {request.forced}"

    request = SwitchOver("production/auth", "auth-2")
    assert await asked(handler, monkeypatch, request) == "production/auth auth-2 False"


async def test_an_answer_is_of_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(_: Ping) -> AgentInfo:
        return AgentInfo(4711, "1")

    assert await asked(handler, monkeypatch, Ping()) == AgentInfo(4711, "1")


async def test_an_agent_of_another_version_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(_: object) -> None:
        raise AssertionError("it was done")

    call = rpc.Call(wire_name(SwitchOver), msgspec.Raw(b'{"database": "a/b"}'), "0.0.9+old")
    reply = await rpc._answer({call.method: (SwitchOver, handler)}, msgspec.json.encode(call))
    with pytest.raises(rpc.OtherVersion, match="of another version"):
        rpc._result(msgspec.json.encode(reply), str)


@pytest.mark.parametrize("kind", [Ping, Leave])
async def test_an_agent_of_any_version_says_who_it_is_and_leaves(kind: type[Any]) -> None:
    done = []

    async def handler(request: object) -> None:
        done.append(request)

    call = rpc.Call(wire_name(kind), msgspec.Raw(b"{}"), "0.0.9+old")
    await rpc._answer({call.method: (kind, handler)}, msgspec.json.encode(call))
    assert done == [kind()]


async def test_a_request_that_cannot_be_read_is_refused() -> None:
    call = rpc.Call(wire_name(SwitchOver), msgspec.Raw(b'{"database": 7}'), rpc.version())
    handlers = {call.method: (SwitchOver, failing(AssertionError("it was done")))}
    for line in (msgspec.json.encode(call), b"{", b"[]", b'{"method": "ping"}'):
        reply = await rpc._answer(handlers, line)
        assert reply.error
        assert "it was done" not in reply.error.message


@pytest.mark.parametrize("kind", [InputError, TryLater, NeedsHuman])
async def test_errors_keep_kind_message_and_hint(
    monkeypatch: pytest.MonkeyPatch, kind: type[PgherdError]
) -> None:
    with pytest.raises(kind, match="it is not so") as caught:
        await asked(failing(kind("it is not so", "make it so")), monkeypatch, Ping())
    assert type(caught.value) is kind
    assert caught.value.hint == "make it so"


async def test_what_nobody_expected_needs_a_human_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(NeedsHuman, match=r"the agent failed at ping: KeyError\('x'\)"),
    ):
        await asked(failing(KeyError("x")), monkeypatch, Ping())
    assert "ping failed" in caplog.text


async def test_no_agent(tmp_path: Path) -> None:
    with pytest.raises(rpc.NoAgent, match="does not run") as caught:
        await rpc.ask(tmp_path / "agent.sock", ME, Ping())
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
        await rpc.ask(Path("/nowhere"), ME, Ping())
