"""The controller's side of the helper: requests by number, answers when they come."""

from __future__ import annotations

import asyncio
import itertools
import socket

import msgspec

from pgherd.autopilot.carrying import KINDS
from pgherd.autopilot.looked import Looked
from pgherd.autopilot.requests import (
    Answered,
    Applied,
    Asked,
    BackupsSeen,
    Beat,
    FindHistory,
    HistoryAt,
    Look,
    LookAtBackups,
    LookUp,
    Notify,
    OfBackups,
    Request,
    Work,
)
from pgherd.errors import TryLater

ANSWER_SECONDS = 900.0
"""For what is carried out: an instance is copied in that time, as a rule."""
BACKUP_SECONDS = 86_400.0
LOOK_SECONDS = 10.0
FAR_LOOK_SECONDS = 120.0
SEND_SECONDS = 60.0
LONGEST_ANSWER = 16 * 1024 * 1024


class HelperGone(Exception):
    """The helper has ended: so does the controller."""


class HelperLink:
    """Made by `HelperLink.open`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answered]] = {}

    @classmethod
    async def open(cls, connection: socket.socket) -> HelperLink:
        """Over the controller's end of the pair of sockets."""
        return cls(*await asyncio.open_unix_connection(sock=connection, limit=LONGEST_ANSWER))

    async def run(self) -> None:
        """Hand out answers, until the helper has gone; then HelperGone."""
        while line := await self._reader.readline():
            answer = msgspec.json.decode(line, type=Answered)
            if (waiting := self._waiting.pop(answer.number, None)) and not waiting.done():
                waiting.set_result(answer)
        raise HelperGone

    async def applied(self, number: int, digest: str) -> Applied:
        """What is applied; TryLater where nothing is."""
        answer = await self._ask(LookUp(number, digest), LOOK_SECONDS)
        if answer.applied is None:
            raise TryLater("nothing is applied yet")
        return answer.applied

    async def backups(self, engine: str, database: str = "") -> dict[str, BackupsSeen]:
        """Those of each database on that engine, or of one, by its name. Its error, or TryLater."""
        answer = await self._ask(LookAtBackups(engine, database), FAR_LOOK_SECONDS)
        return msgspec.json.decode(answer.looked, type=dict[str, BackupsSeen])

    async def carry_out(self, request: Request | OfBackups) -> float:
        """Have it carried out; how many seconds it took. The error of whoever refuses it."""
        seconds = BACKUP_SECONDS if isinstance(request, OfBackups) else ANSWER_SECONDS
        return (await self._ask(request, seconds)).seconds

    async def notify(self, request: Notify) -> None:
        """Have a receiver told. The error of whoever refuses it, or does not take it."""
        await self._ask(request, SEND_SECONDS)

    async def look(self, engine: str) -> Looked:
        """How all is on an engine to which only the helper can sign in. Its error, or TryLater."""
        answer = await self._ask(Look(engine), FAR_LOOK_SECONDS)
        return msgspec.json.decode(answer.looked, type=Looked)

    async def history_at(self) -> HistoryAt:
        """Where the history is; TryLater where nothing is applied."""
        answer = await self._ask(FindHistory(), LOOK_SECONDS)
        if answer.history is None:
            raise TryLater("nothing is applied yet")
        return answer.history

    def beat(self, beat: Beat) -> None:
        """A round is over."""
        self._send(0, beat)

    async def _ask(self, what: Work | LookUp | FindHistory, seconds: float) -> Answered:
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send(number, what)
        try:
            async with asyncio.timeout(seconds):
                answer: Answered = await waiting
        except TimeoutError:
            raise TryLater(f"the helper has not answered for {seconds:.0f} s") from None
        finally:
            self._waiting.pop(number, None)
        if failure := answer.failure:
            raise KINDS.get(failure.kind, TryLater)(failure.message, failure.hint)
        return answer

    def _send(self, number: int, what: Work | LookUp | FindHistory | Beat) -> None:
        self._writer.write(msgspec.json.encode(Asked(number, what)) + b"\n")
