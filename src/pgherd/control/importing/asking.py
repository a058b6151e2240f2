"""A looker, as whoever asks it: questions and answers, and what it means when none comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pgherd.control.importing import children
from pgherd.errors import NeedsHuman, TryLater

ANSWER_SECONDS = 1000.0
"""Above the longest statement, for which a server has a limit of its own."""
CLOSED = ("08", "53", "57", "58")
"""Classes of SQLSTATE in which another time is better."""


class Looker:
    """One side of an import: `name` is what it is called where it fails."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process
        self._turn = asyncio.Lock()

    async def ask(self, what: str, /, *, seconds: float = ANSWER_SECONDS, **more: Any) -> Any:
        """What is found, within so many seconds.

        TryLater, or NeedsHuman, with the server's own words where it refuses.
        """
        answer = await self._answer({"ask": what, **more}, seconds)
        if "error" not in answer:
            return answer.get("found")
        reason, state = str(answer["error"]), answer.get("state")
        if state is None or str(state)[:2] in CLOSED:
            raise TryLater(f"{self.name} does not answer: {reason}", "see that it can be reached")
        raise NeedsHuman(f"{self.name} refuses: {reason}", "put it right, then begin again")

    async def _answer(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        process = self._process
        assert process.stdin and process.stdout  # noqa: S101 - both are pipes
        async with self._turn:
            try:
                process.stdin.write(json.dumps(question).encode() + b"\n")
                await process.stdin.drain()
                line = await asyncio.wait_for(process.stdout.readline(), seconds)
                answer = json.loads(line)
            except TimeoutError:
                raise TryLater(f"{self.name} has not answered in {seconds:.0f} s") from None
            except (ConnectionError, ValueError, RecursionError):
                raise TryLater(f"{self.name}: who looks there has ended") from None
        if not isinstance(answer, dict):
            raise TryLater(f"{self.name}: who looks there makes no sense")
        return answer


@asynccontextmanager
async def looker(name: str, door: children.OpenDoor) -> AsyncIterator[Looker]:
    """One that ends with the block; it opens its session with the first question."""
    process = await children.start_looker(door)
    assert process.stdin  # noqa: S101 - it was asked for
    try:
        process.stdin.write(json.dumps(dict(door.parameters)).encode() + b"\n")
        yield Looker(name, process)
    finally:
        await children.end(process)
