"""What is taken of a process that belongs to somebody with fewer rights: so much, for so long."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pgherd.autopilot import reading
from pgherd.autopilot.place import AutopilotPlace
from pgherd.autopilot.reading import History, Told, Wanted


def saying(program: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-I", "-c", program], stdout=subprocess.PIPE)


def test_all_that_is_said_is_taken() -> None:
    assert reading._output(saying("print('a' * 100_000, end='')")) == b"a" * 100_000


def test_it_is_taken_up_to_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 1000)
    found = reading._output(saying("while True: print('a' * 100_000)"))
    assert found is not None
    assert len(found) <= 1000 + 65536


def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "READ_SECONDS", 0.2)
    process = saying("import time; time.sleep(60)")
    began = time.monotonic()
    assert reading._output(process) is None
    assert time.monotonic() - began < 10
    assert process.returncode is not None


def test_where_nothing_was_ever_kept_there_is_nothing(tmp_path: Path) -> None:
    place = AutopilotPlace("shop", tmp_path / "shop.applied", tmp_path / "shop.history")
    assert Told(place).read(Wanted()) == History()
