"""Asking the agent: one line of JSON to its Unix socket, one line back.

Only the agent's own user and root can reach the socket. Both sides are of one version, or nothing
is done: an agent of another one says so and is replaced. Errors keep their kind on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from pgherd import __version__
from pgherd.engines.local.door import Answer, Leave, Ping, Request, answer_type, wire_name
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater
from pgherd.files import Owner

log = logging.getLogger(__name__)

LINE_LIMIT = 16 * 1024 * 1024

ANY_VERSION = {wire_name(Ping), wire_name(Leave)}
"""What an agent of any version is asked."""

Handler = Callable[[Any], Awaitable[Any]]


class NoAgent(TryLater):
    """No agent listens."""


class Silent(TryLater):
    """An agent listens, the process `pid`, and does not answer."""

    pid: int


class OtherVersion(TryLater):
    """An agent listens, and is of another version of pgherd."""


KINDS = {kind.__name__: kind for kind in (OtherVersion, InputError, TryLater, NeedsHuman)}


@cache
def version() -> str:
    """pgherd's version and a digest of this engine's code: an agent of another one is replaced."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


class Call(msgspec.Struct, frozen=True):
    """A request on its way."""

    method: str
    arguments: msgspec.Raw
    version: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """An error on its way."""

    kind: str
    message: str
    hint: str


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer on its way."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Refusal | None = None


async def ask(path: Path, owner: Owner, request: Request[Answer]) -> Answer:
    """Ask the agent that listens at `path` as `owner`.

    NoAgent when there is none, OtherVersion when it is another one; TryLater when it has not
    answered in time; NeedsHuman when somebody else listens there: what is said to the agent is for
    it alone.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=LINE_LIMIT)
    except (ConnectionError, FileNotFoundError) as error:
        raise NoAgent("the agent of this fleet does not run", "run `pgherd up`") from error
    call = Call(wire_name(type(request)), msgspec.Raw(msgspec.json.encode(request)), version())
    try:
        pid, uid = _peer(writer)
        if uid != owner.uid:
            raise NeedsHuman(
                f"{path} is no agent's: process {pid} of user {uid} listens there",
                "find out what that process is",
            )
        async with asyncio.timeout(request.patience):
            writer.write(msgspec.json.encode(call) + b"\n")
            line = await reader.readline()
    except ConnectionError as error:
        raise TryLater("the agent of this fleet stopped while it was asked") from error
    except TimeoutError:
        raise _silent(pid, request.patience) from None
    except ValueError:
        raise _unreadable() from None
    finally:
        writer.close()
    if not line:
        raise TryLater("the agent of this fleet stopped while it was asked")
    return _result(line, answer_type(type(request)))


def _silent(pid: int, seconds: float) -> Silent:
    error = Silent(
        f"the agent of this fleet (process {pid}) has not answered for {seconds:.0f} s",
        "it is ended and followed by another one; where it is not, run `pgherd up`",
    )
    error.pid = pid
    return error


def _peer(writer: asyncio.StreamWriter) -> tuple[int, int]:
    """Process and user of the other end, by the kernel's word (unix(7), SO_PEERCRED)."""
    found = writer.get_extra_info("socket")
    credentials = found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", credentials)
    return pid, uid


def _result(line: bytes, type: type[Answer]) -> Answer:
    try:
        reply = msgspec.json.decode(line, type=Reply)
        if refusal := reply.error:
            raise KINDS[refusal.kind](refusal.message, refusal.hint)
        return msgspec.json.decode(reply.result, type=type)
    except (msgspec.MsgspecError, ValueError, KeyError, RecursionError):
        raise _unreadable() from None


def _unreadable() -> NeedsHuman:
    return NeedsHuman(
        "the agent's answer cannot be read", "run `pgherd up` with the newest version"
    )


async def serve(path: Path, handlers: Mapping[type[Request[Any]], Handler]) -> asyncio.Server:
    """Answer requests at `path`, each in a task of its own."""
    by_name = {wire_name(kind): (kind, handler) for kind, handler in handlers.items()}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await _answer(by_name, line)) + b"\n")
                await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    return await asyncio.start_unix_server(answer, str(path), limit=LINE_LIMIT)


async def _answer(handlers: Mapping[str, tuple[type[Request[Any]], Handler]], line: bytes) -> Reply:
    method = "what it was asked"
    try:
        call = msgspec.json.decode(line, type=Call)
        method = call.method
        if call.version != version() and method not in ANY_VERSION:
            raise OtherVersion(
                f"the agent of this fleet is of another version ({version()})", "run `pgherd up`"
            )
        kind, handler = handlers[method]
        result = await handler(msgspec.json.decode(call.arguments, type=kind))
        return Reply(result=msgspec.Raw(msgspec.json.encode(result)))
    except PgherdError as error:
        kind_name = next(name for name, kind in KINDS.items() if isinstance(error, kind))
        return Reply(error=Refusal(kind_name, error.message, error.hint))
    except Exception as error:
        log.exception("%s failed", method)
        message = f"the agent failed at {method}: {error!r}"
        hint = "see agent.log in the fleet's log folder"
        return Reply(error=Refusal("NeedsHuman", message, hint))
