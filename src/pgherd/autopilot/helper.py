"""The helper: the one part of the autopilot with the rights of whoever runs pgherd.

It starts the controller, which has the data plane's rights only, and answers it over a pair of
sockets that nobody else has. Each request is checked against what was applied, and carried out in
a child of its own: nothing of one is left for the next. It reads nothing that the data plane's
user could have written but these requests, and never waits for them.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from pgherd.autopilot import keeper
from pgherd.autopilot.carrying import done, failure_of
from pgherd.autopilot.checks import pause_of
from pgherd.autopilot.children import Children
from pgherd.autopilot.forked import ENDING, become_child
from pgherd.autopilot.history_at import history_at
from pgherd.autopilot.pauses import read_pauses
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.questions import Leave, Question, State, Status
from pgherd.autopilot.requests import (
    LONGEST_LINE,
    Answered,
    Applied,
    Asked,
    Beat,
    Done,
    FindHistory,
    LookUp,
    Work,
)
from pgherd.autopilot.version import version
from pgherd.control.applied import History
from pgherd.engines.local import processes
from pgherd.engines.local.processes import Process
from pgherd.errors import PgherdError, TryLater
from pgherd.fleet import stored

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
SILENT_SECONDS = 30.0
"""A controller that has ended no round for so long is ended, and another one started."""
STOPPED_LOOKS = 3
PAUSE_SECONDS = 1.0
"""Between a controller that ended and the next; twice as long each time, up to a minute."""
LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class Controller:
    """The controller that runs now, and when it last ended a round (monotonic seconds)."""

    process: Process
    connection: socket.socket
    heard_at: float
    stopped_looks: int = 0
    text: bytes = b""


@dataclass(slots=True)
class Helper:
    """One fleet's. `begin` turns a forked process into the controller, and does not return.

    `lock` is from `take_lock`.
    """

    place: AutopilotPlace
    history: History
    begin: Callable[[socket.socket], None]
    lock: int
    is_dry: bool = False
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _controller: Controller | None = None
    _children: Children = field(init=False)
    _beat: Beat | None = None
    _keeper: Process | None = None
    _is_leaving: bool = False
    _pause: float = PAUSE_SECONDS
    _not_before: float = 0.0

    def __post_init__(self) -> None:
        self._children = Children(self._selector, self._done, self._answer)

    def run(self, listening: socket.socket) -> None:
        """Serve until somebody asks it to leave."""
        gc.freeze()
        before = {n: signal.signal(n, lambda *_: self.leave()) for n in ENDING}
        listening.setblocking(False)
        self._selector.register(listening, selectors.EVENT_READ, self._accept)
        looked_at = 0.0
        try:
            while not self._is_leaving:
                if time.monotonic() - looked_at >= LOOK_SECONDS:
                    looked_at = time.monotonic()
                    self._look()
                for key, _ in self._selector.select(LOOK_SECONDS):
                    key.data(key.fileobj)
        finally:
            self._end_all()
            for number, handler in before.items():
                signal.signal(number, handler)

    def leave(self) -> None:
        """End soon: the controller, the keeper, and this."""
        self._is_leaving = True

    def holds_lock(self) -> bool:
        """Nobody has removed the lock, and with it the right to be the only one."""
        try:
            return os.path.samestat(self.place.lock.lstat(), os.fstat(self.lock))
        except OSError:
            return False

    # Those that are watched

    def _look(self) -> None:
        processes.reap()
        if not self.holds_lock():
            log.warning("%s was taken away: this ends", self.place.lock)
            self.leave()
            return
        if self._keeper is None or not self._keeper.is_alive:
            self._keeper = keeper.begin(self.place)
        if (controller := self._controller) is None:
            if time.monotonic() >= self._not_before:
                self._start()
            return
        is_stopped = processes.is_stopped(controller.process.pid)
        controller.stopped_looks = controller.stopped_looks + 1 if is_stopped else 0
        silence = time.monotonic() - controller.heard_at
        if controller.stopped_looks >= STOPPED_LOOKS or silence > SILENT_SECONDS:
            self._give_up("stands still")

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        if (pid := os.fork()) == 0:
            become_child(theirs.fileno(), lambda: self.begin(theirs))
        theirs.close()
        ours.setblocking(False)
        if process := Process.of(pid):
            self._controller = Controller(process, ours, time.monotonic())
            self._selector.register(ours, selectors.EVENT_READ, self._hear)

    def _give_up(self, why: str) -> None:
        controller, self._controller = self._controller, None
        if controller is None:
            return
        log.warning("the controller %s: another one begins in %.0f s", why, self._pause)
        self._selector.unregister(controller.connection)
        controller.connection.close()
        controller.process.signal(signal.SIGKILL)
        controller.process.close()
        self._children.forget_who_asked()
        self._not_before = time.monotonic() + self._pause
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)

    def _end_all(self) -> None:
        if self._controller:
            self._controller.process.signal(signal.SIGKILL)
        if self._keeper and self._keeper.is_alive:
            self._keeper.signal(signal.SIGTERM)
        self._children.end()
        self.place.socket.unlink(missing_ok=True)

    # What the controller asks for

    def _hear(self, connection: socket.socket) -> None:
        controller = self._controller
        if controller is None or connection is not controller.connection:
            return
        try:
            said = connection.recv(LONGEST_LINE)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._give_up("has ended")
            return
        *lines, controller.text = (controller.text + said).split(b"\n")
        if len(controller.text) > LONGEST_LINE:
            self._give_up("says more than it may")
            return
        for line in lines:
            try:
                asked = msgspec.json.decode(line, type=Asked)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                self._give_up("says what nobody understands")
                return
            self._serve(asked)

    def _serve(self, asked: Asked) -> None:
        match asked.what:
            case Beat():
                self._beat = asked.what
                self._pause = PAUSE_SECONDS
                if self._controller:
                    self._controller.heard_at = time.monotonic()
            case LookUp():
                self._answer(self._look_up(asked.number, asked.what))
            case FindHistory():
                self._answer(self._find_history(asked.number))
            case _:
                self._children.begin(asked.number, asked.what)

    def _find_history(self, number: int) -> Answered:
        try:
            applied = self.history.newest()
            if applied is None:
                raise TryLater("nothing is applied yet")
            return Answered(number, history=history_at(self.history.fleet(applied)))
        except PgherdError as error:
            return Answered(number, failure=failure_of(error))

    def _look_up(self, number: int, asked: LookUp) -> Answered:
        try:
            applied = self.history.newest()
            if applied is None:
                raise TryLater("nothing is applied yet")
            is_known = (applied.number, stored.digest()) == (asked.number, asked.digest)
            resolved = (
                b"null"
                if is_known
                else stored.encode(self.history.fleet(applied).without_secrets())
            )
        except PgherdError as error:
            return Answered(number, failure=failure_of(error))
        told, pauses = msgspec.Raw(resolved), read_pauses(self.place)
        return Answered(number, Applied(applied.number, stored.digest(), told, pauses))

    def _done(self, request: Work) -> Done:
        return done(request, self.place, self.history, self.is_dry)

    def _answer(self, answer: Answered) -> None:
        """One that does not read what it asked for has something wrong with it."""
        if controller := self._controller:
            line = msgspec.json.encode(answer) + b"\n"
            try:
                controller.connection.setblocking(True)
                controller.connection.settimeout(1.0)
                controller.connection.sendall(line)
                controller.connection.setblocking(False)
            except OSError:
                self._give_up("does not listen")

    # What commands ask

    def _accept(self, listening: socket.socket) -> None:
        # A command that was ended says nothing, or half of it.
        with contextlib.suppress(OSError, msgspec.MsgspecError, ValueError, RecursionError):
            client, _ = listening.accept()
            with client:
                client.settimeout(1.0)
                question = msgspec.json.decode(client.recv(LONGEST_LINE), type=Question)
                match question:
                    case Leave():
                        self._is_leaving = True
                    case Status():
                        pass
                client.sendall(msgspec.json.encode(self._state()) + b"\n")

    def _state(self) -> State:
        beat = self._beat
        pauses = read_pauses(self.place)
        return State(
            pid=os.getpid(),
            version=version(),
            is_dry=self.is_dry,
            is_paused=pause_of("", pauses, datetime.now(UTC)) is not None,
            controller=self._controller.process.pid if self._controller else None,
            last_round_at=beat.at if beat else None,
            alerts=beat.alerts if beat else 0,
            cpu=beat.cpu if beat else {},
            unprotected=beat.unprotected if beat else {},
            history=beat.history if beat else "",
        )
