"""What is remembered of a database's load, and the sizes that follow from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import msgspec
import pytest
from msgspec import structs

from pgherd.autopilot import sizes
from pgherd.autopilot.sizes import Memory
from pgherd.contract.meter import Usage
from pgherd.decide.season import DAY, WEEK, Season
from pgherd.decide.sizing import COOLDOWN_SECONDS, Rule, Verdict
from pgherd.fleet.calendar import Peak, Weekday, Window
from pgherd.fleet.desired import Database
from pgherd.testing.fleets import database

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
AUTH = database(ocpus=(2, 8))
BOOTED = 10_000.0
"""So many seconds ago the machine was started, at `AT`."""


def usage(
    cpu: float | None, memory: float | None = 10.0, at: datetime = AT, seconds: float | None = 5.0
) -> Usage:
    return Usage(at, cpu, memory, ocpus=2, seconds=seconds)


def after(
    seconds: float,
    cpu: float | None,
    memory: float | None = 10.0,
    *,
    of: Database = AUTH,
    ocpus: int = 2,
    before: Memory | None = None,
    begin: float = BOOTED,
    every: float = 5.0,
) -> Memory:
    """What is remembered after such a load for so long."""
    found, now = before or Memory(), begin
    while now <= begin + seconds:
        sample = usage(cpu, memory, AT + timedelta(seconds=now - BOOTED), every)
        found = sizes.remembered(found, of, sample, ocpus, sample.at, now)
        now += every
    return found


def judged(memory: Memory, now: float, of: Database = AUTH, at: datetime = AT) -> Verdict:
    found = sizes.verdict(memory, of, at, now)
    assert found
    return found


def test_of_what_was_never_measured_nothing_is_said() -> None:
    assert sizes.verdict(Memory(), AUTH, AT, BOOTED) is None


def test_what_is_not_scaled_is_neither_remembered_nor_judged() -> None:
    fixed = replace(AUTH, autoscale=None)
    memory = Memory()
    assert sizes.remembered(memory, fixed, usage(100.0), 2, AT, BOOTED) is memory
    assert sizes.verdict(after(60, 100.0), fixed, AT, BOOTED + 60) is None
    assert sizes.limits(fixed) is None
    assert sizes.limits(AUTH) is not None


def test_what_is_saturated_grows_to_the_next_size_once_that_is_sure() -> None:
    soon = judged(after(2, 100.0, every=1.0), BOOTED + 2)
    assert (soon.ocpus, soon.rule) == (2, Rule.STAYS)
    sure = judged(after(3, 100.0, every=1.0), BOOTED + 3)
    assert (sure.ocpus, sure.rule) == (4, Rule.SATURATED)
    assert "of 2 OCPUs" in sure.why


def test_what_is_above_its_threshold_grows_once_that_is_sure() -> None:
    assert judged(after(0, 90.0), BOOTED).ocpus == 2
    grown = judged(after(10, 90.0), BOOTED + 10)
    assert (grown.ocpus, grown.rule) == (4, Rule.CPU)
    assert judged(after(600, 70.0), BOOTED + 600).ocpus == 2


def test_memory_that_is_short_makes_it_grow_too() -> None:
    grown = judged(after(10, 1.0, 95.0), BOOTED + 10)
    assert (grown.ocpus, grown.rule) == (4, Rule.MEMORY)


def test_nothing_grows_beyond_its_bound() -> None:
    full = database(ocpus=(2, 2))
    assert judged(after(600, 100.0, of=full), BOOTED + 600, full).ocpus == 2


def test_what_is_idle_shrinks_after_a_long_time() -> None:
    idle = after(COOLDOWN_SECONDS, 1.0, ocpus=8)
    found = judged(idle, BOOTED + COOLDOWN_SECONDS)
    assert (found.ocpus, found.rule) == (4, Rule.ROOMY)


@pytest.mark.parametrize(("cpu", "memory"), [(None, None), (1.0, None), (None, 1.0)])
def test_missing_values_never_shrink(cpu: float | None, memory: float | None) -> None:
    busy = after(60, 50.0, ocpus=8)
    long = 4 * COOLDOWN_SECONDS
    found = after(long, cpu, memory, ocpus=8, before=busy, begin=BOOTED + 65)
    assert judged(found, BOOTED + 65 + long).ocpus == 8


def test_a_missing_value_among_others_restarts_the_wait() -> None:
    idle = after(COOLDOWN_SECONDS - 10, 1.0, ocpus=8)
    gap = after(0, 1.0, None, ocpus=8, before=idle, begin=BOOTED + COOLDOWN_SECONDS - 5)
    found = after(0, 1.0, ocpus=8, before=gap, begin=BOOTED + COOLDOWN_SECONDS)
    assert judged(found, BOOTED + COOLDOWN_SECONDS).ocpus == 8


def test_a_peak_raises_what_is_needed_at_least_and_keeps_it() -> None:
    noon = Window(tuple(Weekday), time(12), time(13))
    peaking = replace(AUTH, peaks=(Peak(noon, 8),))
    idle = after(60, 1.0, of=peaking)
    raised = judged(idle, BOOTED + 60, peaking)
    assert (raised.ocpus, raised.rule) == (8, Rule.FLOOR)
    assert judged(idle, BOOTED + 60, peaking, AT - timedelta(minutes=5)).ocpus == 8
    for off in (AT - timedelta(hours=1), AT + timedelta(hours=1)):
        assert judged(idle, BOOTED + 60, peaking, off).ocpus == 2
    roomy = after(COOLDOWN_SECONDS, 1.0, ocpus=8, of=peaking)
    assert judged(roomy, BOOTED + COOLDOWN_SECONDS, peaking).ocpus == 8


def test_a_peak_above_the_bound_raises_to_the_bound() -> None:
    noon = Window(tuple(Weekday), time(12), time(13))
    peaking = replace(AUTH, peaks=(Peak(noon, 64),))
    assert judged(after(60, 1.0, of=peaking), BOOTED + 60, peaking).ocpus == 8


def test_what_the_season_says_raises_it_too() -> None:
    learnt = Season(
        slot=10, need=1.0, day=(6.0,) * DAY, week=(None,) * WEEK, error=0.1, plain_error=0.2
    )
    found = judged(structs.replace(after(60, 1.0), season=learnt), BOOTED + 60)
    assert (found.ocpus, found.rule) == (8, Rule.FLOOR)
    wrong = structs.replace(learnt, error=0.3)
    assert judged(structs.replace(after(60, 1.0), season=wrong), BOOTED + 60).ocpus == 2


def test_the_trend_of_another_boot_is_dropped_and_the_season_kept() -> None:
    before = after(3600, 100.0)
    assert before.trend
    found = sizes.remembered(before, AUTH, usage(10.0), 2, AT, 60.0)
    assert found.trend
    assert found.trend.at == 60.0
    assert found.trend.fast == pytest.approx(0.2)
    assert judged(found, 60.0).ocpus == 2
    assert found.season.slot == before.season.slot - 6  # the sample is of an hour earlier


def test_a_sample_that_says_no_length_has_a_plain_one() -> None:
    plain = usage(50.0, seconds=sizes.PLAIN_SECONDS)
    said = sizes.remembered(Memory(), AUTH, plain, 2, AT, BOOTED)
    assert sizes.remembered(Memory(), AUTH, usage(50.0, seconds=None), 2, AT, BOOTED) == said


def test_percents_are_of_the_size_that_it_has() -> None:
    found = sizes.remembered(Memory(), AUTH, usage(50.0), 8, AT, BOOTED)
    assert found.trend
    assert found.trend.fast == 4.0


def test_what_is_encoded_is_decoded() -> None:
    memories = {"production/auth": after(700, 90.0), "staging/auth": Memory()}
    assert sizes.decode(sizes.encode(memories)) == memories
    assert sizes.decode(sizes.encode({})) == {}


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"\0",
        b"\xc1",
        b"\xff" * 100,
        b"\x91" * 100_000,
        b'{"a": 1}',
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode({"a": 7}),
        msgspec.msgpack.encode({"a": {"trend": {"at": "now"}}}),
        msgspec.msgpack.encode({7: {}}),
        sizes.encode({"a": Memory()})[:-1],
    ],
)
def test_of_rubbish_nothing_is_remembered(content: bytes | None) -> None:
    assert sizes.decode(content) == {}


def test_a_season_of_other_code_is_forgotten_and_no_other() -> None:
    short = Memory(season=Season(day=(None,) * 3))
    found = sizes.decode(sizes.encode({"a": short, "b": Memory()}))
    assert found == {"b": Memory()}
    assert sizes.remembered(found["b"], AUTH, usage(1.0), 2, AT, BOOTED).trend is not None


LATE = 120.0
"""A place that measures by the minute tells so many seconds late."""


def late(
    minutes: int,
    cpu: float,
    *,
    ocpus: int = 2,
    before: Memory | None = None,
    begin: float = BOOTED,
    of: Database = AUTH,
) -> Memory:
    """What is remembered where each minute's mean comes late, and is told in every round."""
    found = before or Memory()
    for second in range(0, 60 * minutes, 20):
        now = begin + second
        at = AT + timedelta(seconds=now - BOOTED)
        taken = AT + timedelta(seconds=(now - BOOTED - LATE) // 60 * 60)
        sample = usage(cpu, 10.0, taken, 60.0)
        found = sizes.remembered(found, of, sample, ocpus, at, now)
    return found


def test_a_sample_that_is_told_again_counts_once() -> None:
    once = sizes.remembered(Memory(), AUTH, usage(50.0), 2, AT, BOOTED)
    again = sizes.remembered(once, AUTH, usage(50.0), 2, AT + timedelta(seconds=4), BOOTED + 4)
    assert again == once


def test_what_is_measured_by_the_minute_and_told_late_grows_when_it_is_saturated() -> None:
    memory = late(4, 99.0)
    found = judged(memory, BOOTED + 240)
    assert (found.ocpus, found.rule) == (4, Rule.SATURATED)
    calm = judged(late(10, 30.0), BOOTED + 600)
    assert (calm.ocpus, calm.rule) == (2, Rule.STAYS)


def test_what_was_measured_at_another_size_says_nothing_of_this_one() -> None:
    """Else 99 % of 2 OCPUs, told late, would be taken for 99 % of 4, and so on up to the end."""
    memory = late(4, 99.0)
    at_4 = late(3, 99.0, ocpus=4, before=memory, begin=BOOTED + 240)
    found = judged(at_4, BOOTED + 420)
    assert (found.ocpus, found.rule) == (4, Rule.UNKNOWN)
    truly = late(7, 99.0, ocpus=4, before=memory, begin=BOOTED + 240)
    assert judged(truly, BOOTED + 660).ocpus == 8


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_jumps_makes_nothing_smaller(hours: int) -> None:
    at_8 = after(120, 5.0, ocpus=8)
    assert judged(at_8, BOOTED + 120).ocpus == 8
    jumped = AT + timedelta(hours=hours, seconds=125)
    sample = usage(5.0, 10.0, AT + timedelta(seconds=125))
    found = sizes.remembered(at_8, AUTH, sample, 8, jumped, BOOTED + 125)
    assert judged(found, BOOTED + 125, at=jumped).ocpus == 8
    later = after(60, 5.0, ocpus=8, before=found, begin=BOOTED + 130)
    assert judged(later, BOOTED + 190, at=jumped).ocpus == 8


def ends(memory: Memory, now: float, of: Database, at: datetime = AT) -> Verdict:
    found = sizes.verdict(memory, of, at, now, ends_connections=True)
    assert found
    return found


def test_where_another_size_ends_connections_it_waits_for_maintenance_or_need() -> None:
    busy = after(60, 88.0)  # above the threshold, and not saturated
    assert judged(busy, BOOTED + 60).ocpus == 4
    waits = ends(busy, BOOTED + 60, AUTH)
    assert (waits.ocpus, waits.rule) == (2, Rule.WAITS)
    assert waits.why.startswith("4 wait for maintenance: cpu 88%")
    window = Window(frozenset({Weekday.MON}), time(11), time(13), "UTC")
    with_window = replace(AUTH, maintenance=(window,))
    assert ends(busy, BOOTED + 60, with_window).ocpus == 4
    tomorrow = AT + timedelta(days=1)
    assert ends(busy, BOOTED + 60, with_window, tomorrow).ocpus == 2
    full = after(60, 99.0)
    assert ends(full, BOOTED + 60, AUTH).ocpus == 4
    idle = after(2 * COOLDOWN_SECONDS, 1.0, ocpus=4)
    end = BOOTED + 2 * COOLDOWN_SECONDS
    assert judged(idle, end).ocpus == 2
    assert ends(idle, end, AUTH).ocpus == 4
    assert ends(idle, end, with_window).ocpus == 2


@pytest.mark.parametrize(
    ("percent", "hits", "known"),
    [(97.0, 99.0, 0.0), (97.0, 60.0, 97.0), (97.0, None, None), (None, 99.0, None)],
)
def test_memory_that_is_cache_counts_where_the_cache_is_too_small(
    percent: float | None, hits: float | None, known: float | None
) -> None:
    sample = replace(usage(10.0, percent), memory_is_cache=True, cache_hit_percent=hits)
    found = sizes.remembered(Memory(), AUTH, sample, 2, AT, BOOTED).trend
    plain = sizes.remembered(Memory(), AUTH, usage(10.0, known), 2, AT, BOOTED).trend
    assert found == plain
