"""The helper's children: how each ends is told, and none goes on without the helper."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgherd.autopilot.children import Children
from pgherd.autopilot.requests import Answered, Done, LookAtBackups, Work


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    with selectors.DefaultSelector() as found:
        yield found


def wait_for(selector: selectors.BaseSelector, is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        for key, _ in selector.select(0.02):
            key.data(key.fileobj)


def test_how_one_ended_is_told_to_who_asked(selector: selectors.BaseSelector) -> None:
    answers: list[Answered] = []
    children = Children(selector, lambda _: Done(), answers.append)
    children.begin(7, LookAtBackups(engine="local"))
    wait_for(selector, lambda: answers)
    assert (answers[0].number, answers[0].failure) == (7, None)


def test_one_that_is_killed_is_told_of(selector: selectors.BaseSelector) -> None:
    answers: list[Answered] = []

    def dies(_: Work) -> Done:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    Children(selector, dies, answers.append).begin(1, LookAtBackups(engine="local"))
    wait_for(selector, lambda: answers)
    assert answers[0].failure is not None


@pytest.mark.parametrize("is_deaf", [False, True])
def test_none_goes_on_without_the_helper(
    selector: selectors.BaseSelector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_deaf: bool,
) -> None:
    monkeypatch.setattr("pgherd.autopilot.children.END_SECONDS", 0.5)
    told = tmp_path / "pid"

    def works_on(_: Work) -> Done:
        if is_deaf:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        told.write_text(str(os.getpid()))
        while os.getppid() != 1:
            time.sleep(0.1)
        return Done()

    children = Children(selector, works_on, lambda _: None)
    children.begin(1, LookAtBackups(engine="local"))
    wait_for(selector, lambda: told.exists() and told.read_text())
    children.end()
    ended, status = os.waitpid(int(told.read_text()), 0)
    assert os.WTERMSIG(status) == (signal.SIGKILL if is_deaf else signal.SIGTERM), ended
