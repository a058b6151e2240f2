"""The helper's children: each carries out one request, and nothing of it is left for the next."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from pgherd.autopilot.forked import become_child
from pgherd.autopilot.ledger import Ledger
from pgherd.autopilot.requests import (
    LONGEST_LINE,
    Answered,
    Done,
    Failure,
    Look,
    LookAtBackups,
    Notify,
    Work,
)
from pgherd.engines.local import processes
from pgherd.engines.local.processes import Process

MOST_CHILDREN = 8
END_SECONDS = 3.0
"""A child that was told to end and has not by then is killed."""


@dataclass(slots=True)
class Child:
    """A request that is being carried out; its end is read from `reader`."""

    number: int
    request: Work
    reader: int
    began: float
    process: Process | None
    text: bytes = b""


class Children:
    """Those that there are. `carry` carries a request out; `answer` is told how each ended."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        carry: Callable[[Work], Done],
        answer: Callable[[Answered], None],
    ) -> None:
        self._selector = selector
        self._carry = carry
        self._answer = answer
        self._children: dict[int, Child] = {}
        self._ledger = Ledger()

    def begin(self, number: int, request: Work) -> None:
        """Carry it out beside the others, or answer why not."""
        if isinstance(request, Notify) and (known := self._ledger.answer(number, request)):
            self._answer(known)
            return
        is_looking = isinstance(request, Look | LookAtBackups) and any(
            child.request == request for child in self._children.values()
        )
        if is_looking or len(self._children) >= MOST_CHILDREN:
            busy = Failure("Busy", "the helper has enough to do", "")
            self._answer(Answered(number, failure=busy))
            return
        reader, writer = os.pipe()
        if (pid := os.fork()) == 0:
            become_child(writer, lambda: self._tell(request, writer))
        os.close(writer)
        os.set_blocking(reader, False)
        if isinstance(request, Notify):
            self._ledger.begin(request)
        began = time.monotonic()
        self._children[reader] = Child(number, request, reader, began, Process.of(pid))
        self._selector.register(reader, selectors.EVENT_READ, self._said)

    def forget_who_asked(self) -> None:
        """Whoever asks next counts anew."""
        for child in self._children.values():
            child.number = 0

    def end(self) -> None:
        """What went on without the helper would start things that a command has just stopped.

        A message is on its way for some seconds, and starts nothing.
        """
        children = [c for c in self._children.values() if not isinstance(c.request, Notify)]
        left = [child.process for child in children if child.process]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in left:
                process.signal(number)
            deadline = time.monotonic() + END_SECONDS
            while (left := [p for p in left if p.is_alive]) and time.monotonic() < deadline:
                time.sleep(0.02)

    def _tell(self, request: Work, writer: int) -> None:
        with os.fdopen(writer, "wb") as told:
            told.write(msgspec.json.encode(self._carry(request)))

    def _said(self, reader: int) -> None:
        child = self._children[reader]
        with contextlib.suppress(BlockingIOError):
            if said := os.read(reader, LONGEST_LINE):
                child.text += said
                return
            self._selector.unregister(reader)
            os.close(reader)
            del self._children[reader]
            if child.process:
                child.process.close()
            processes.reap()
            try:
                end = msgspec.json.decode(child.text, type=Done)
            except (msgspec.MsgspecError, ValueError):
                end = Done(Failure("TryLater", "what carried it out has ended", ""))
            if isinstance(child.request, Notify):
                self._ledger.end(child.request, is_taken=end.failure is None)
            seconds = time.monotonic() - child.began
            self._answer(Answered(child.number, None, end.failure, end.looked, seconds))
