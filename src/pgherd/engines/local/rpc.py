"""Asking the agent: one line of JSON to its Unix socket, one line back.

Only the agent's own user and root can reach the socket. Errors keep their kind on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from pgherd import __version__
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater
from pgherd.files import Owner

log = logging.getLogger(__name__)

LINE_LIMIT = 16 * 1024 * 1024
PATIENCE = 300.0
"""Seconds for an answer: a database is stopped in that time, whatever its replicas do."""
KINDS = {kind.__name__: kind for kind in (InputError, TryLater, NeedsHuman)}

Handler = Callable[..., Awaitable[Any]]


def version() -> str:
    """pgherd's version and a digest of this engine's code: an agent of another one is replaced."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


async def call(
    path: Path, owner: Owner, method: str, /, *, patience: float = PATIENCE, **arguments: Any
) -> Any:
    """Call `method` of the agent that listens at `path` as `owner`.

    TryLater when there is none, or it has not answered after `patience` seconds; NeedsHuman when
    somebody else listens there: what is said to the agent is for it alone.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=LINE_LIMIT)
    except (ConnectionError, FileNotFoundError) as error:
        raise TryLater("the agent of this fleet does not run", "run `pgherd up`") from error
    try:
        pid, uid = _peer(writer)
        if uid != owner.uid:
            raise NeedsHuman(
                f"{path} is no agent's: process {pid} of user {uid} listens there",
                "find out what that process is",
            )
        async with asyncio.timeout(patience):
            writer.write(json.dumps({"method": method, "arguments": arguments}).encode() + b"\n")
            line = await reader.readline()
    except ConnectionError as error:
        raise TryLater("the agent of this fleet stopped while it was asked") from error
    except TimeoutError:
        raise TryLater(
            f"the agent of this fleet (process {pid}) has not answered for {patience:.0f} s",
            "where it stays so, kill that process: another agent takes over",
        ) from None
    except ValueError:
        raise _unreadable() from None
    finally:
        writer.close()
    if not line:
        raise TryLater("the agent of this fleet stopped while it was asked")
    return _result(line)


def _peer(writer: asyncio.StreamWriter) -> tuple[int, int]:
    """Process and user of the other end, by the kernel's word (unix(7), SO_PEERCRED)."""
    found = writer.get_extra_info("socket")
    credentials = found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", credentials)
    return pid, uid


def _result(line: bytes) -> Any:
    try:
        answer = json.loads(line)
        if refusal := answer.get("error"):
            raise KINDS[refusal["kind"]](str(refusal["message"]), str(refusal["hint"]))
        return answer["result"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _unreadable() from None


def _unreadable() -> NeedsHuman:
    return NeedsHuman(
        "the agent's answer cannot be read", "run `pgherd up` with the newest version"
    )


async def serve(path: Path, handlers: Mapping[str, Handler]) -> asyncio.Server:
    """Answer calls at `path`, each in a task of its own."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                request = json.loads(line)
                response = await _answer(handlers, request["method"], request["arguments"])
                writer.write(json.dumps(response).encode() + b"\n")
                await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    return await asyncio.start_unix_server(answer, str(path), limit=LINE_LIMIT)


async def _answer(
    handlers: Mapping[str, Handler], method: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        return {"result": await handlers[method](**arguments)}
    except PgherdError as error:
        kind = next(name for name, kind in KINDS.items() if isinstance(error, kind))
        return {"error": {"kind": kind, "message": error.message, "hint": error.hint}}
    except Exception as error:
        log.exception("%s failed", method)
        message = f"the agent failed at {method}: {error!r}"
        hint = "see agent.log in the fleet's log folder"
        return {"error": {"kind": "NeedsHuman", "message": message, "hint": hint}}
