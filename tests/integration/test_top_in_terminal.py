"""`top` in a terminal over a real fleet: it shows the database, ends, and leaves the terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest
from tiny_place import Place, new_place

pytestmark = pytest.mark.integration

ALTERNATE_SCREEN, FORMER_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
HIDDEN_CURSOR, CURSOR = b"\x1b[?25l", b"\x1b[?25h"


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """One database with one instance, and its autopilot."""
    with new_place(has_autopilot=True) as place:
        place.want(services="order", overrides="")
        place.up()
        yield place


class Terminal:
    """80 columns and 24 lines, in which `top` runs."""

    def __init__(self, place: Place, terminal: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        self.theirs = theirs
        self.before = termios.tcgetattr(theirs)
        self.said = b""
        variables = {
            "PGHERD_STATE": str(place.root.parent),
            "TERM": terminal,
            "NO_COLOR": "1",
            "LANG": "C.UTF-8",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pgherd", "top", "--every", "0.5"],
            cwd=place.folder,
            env={**os.environ, **variables},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )

    def until(self, words: bytes, seconds: float = 60.0) -> None:
        """It has said so."""
        deadline = time.monotonic() + seconds
        while words not in self.said:
            assert time.monotonic() < deadline, self.said[-3000:]
            self.listen()

    def listen(self) -> None:
        if select.select([self.ours], [], [], 0.1)[0]:
            self.said += os.read(self.ours, 65536)

    def end(self) -> int:
        """Its exit code; what it says until then is heard."""
        deadline = time.monotonic() + 30
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.said[-3000:]
            self.listen()
        self.listen()
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture(params=["xterm-256color", "vt100"])
def terminal(tiny: Place, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    made = Terminal(tiny, request.param)
    try:
        yield made
    finally:
        made.close()


def ensure_restored(terminal: Terminal) -> None:
    assert termios.tcgetattr(terminal.theirs) == terminal.before
    said = terminal.said
    assert said.rindex(FORMER_SCREEN) > said.rindex(ALTERNATE_SCREEN)
    assert said.rindex(CURSOR) > said.rindex(HIDDEN_CURSOR)


def test_it_shows_the_database_and_q_ends_it(terminal: Terminal) -> None:
    terminal.until(b"lab/order")
    terminal.until(b"1 of 1..4")
    terminal.until(b"autopilot runs")
    os.write(terminal.ours, b"\r")
    terminal.until(b"order-1")
    terminal.until(b"OCPU of 1..4: ")  # what the history says
    os.write(terminal.ours, b"q")
    assert terminal.end() == 0
    ensure_restored(terminal)
    assert b"Traceback" not in terminal.said


def test_ctrl_c_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    terminal.until(b"lab/order")
    os.write(terminal.ours, b"\x03")
    assert terminal.end() == 0
    ensure_restored(terminal)


def test_so_does_a_signal(terminal: Terminal) -> None:
    terminal.until(b"lab/order")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() == 143
    ensure_restored(terminal)
