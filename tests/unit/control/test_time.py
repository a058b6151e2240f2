"""Clocks, patience, and the end by a signal."""

import asyncio
import os
import signal

import pytest

from pgherd.control.clock import Clock, Patience, SystemClock
from pgherd.control.outcome import Outcome, Trouble
from pgherd.control.signals import Terminated, run
from pgherd.decide.database import Refusal
from pgherd.decide.plan import Unseen
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater
from pgherd.testing.clock import FakeClock


def test_delays_double_up_to_the_cap() -> None:
    patience = Patience(first=0.5, cap=3.0)
    assert [patience.delay(n) for n in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert patience.delay(10_000) == 3.0


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()])
async def test_every_clock_grows_sleeps_and_calls(clock: Clock) -> None:
    called: list[str] = []
    before = clock.now()
    clock.call_later(0.0001, lambda: called.append("in time"))
    clock.call_later(0.0001, lambda: called.append("cancelled"))()
    await clock.sleep(0.001)
    await clock.sleep(0)
    assert clock.now() > before
    assert called == ["in time"]


async def test_sleeps_on_the_fake_clock_overlap() -> None:
    clock = FakeClock()
    await asyncio.gather(clock.sleep(5), clock.sleep(3))
    assert clock.now() == 5
    clock.advance(2)
    assert clock.now() == 7


def test_a_signal_cancels_what_runs() -> None:
    ended: list[str] = []

    async def work(number: int) -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(60)
        finally:
            ended.append(signal.Signals(number).name)

    with pytest.raises(Terminated):
        run(work(signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        run(work(signal.SIGINT))
    assert ended == ["SIGTERM", "SIGINT"]


def test_without_a_signal_the_result_comes_back() -> None:
    async def work() -> int:
        return 42

    assert run(work()) == 42


def test_the_gravest_error_is_the_exit_code() -> None:
    def ended(*errors: PgherdError) -> Outcome:
        return Outcome(troubles=tuple(Trouble("production/auth", e) for e in errors))

    late, wrong, lost = TryLater("late"), InputError("wrong"), NeedsHuman("lost")
    assert Outcome().exit_code == 0
    assert ended(late).exit_code == 3
    assert ended(late, wrong).exit_code == 2
    assert ended(late, wrong, lost).exit_code == 4
    assert ended(lost, PgherdError("bare")).exit_code == 1
    refused = Outcome(refused=(Refusal("a/b", "no", "do"),), unknown=(Unseen("a/c", "dark"),))
    assert [str(e) for e in refused.errors] == ["a/b: no", "a/c is not seen: dark"]
