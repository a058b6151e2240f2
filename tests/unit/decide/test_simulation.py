"""A load that is played: what is counted, and what the autopilot makes of it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pgherd.decide.simulation import Played, Step, fixed, play, provisioned
from pgherd.decide.sizing import COOLDOWN_SECONDS, Limits
from pgherd.shapes.file import read_shape, shipped
from pgherd.shapes.shape import Load, load

LIMITS = Limits(low=2, high=16, cpu_share=0.8, memory_share=0.8, memory_per_ocpu=2**20)


def of(*ocpus: float, seconds: float = 600) -> Load:
    return Load(seconds, ocpus, (0.0,) * len(ocpus))


def test_what_is_counted() -> None:
    steps = (Step(3600, 1.0, 2), Step(600, 3.0, 2), Step(60, 1.0, 2), Step(600, 3.0, 2))
    played = Played((*steps, Step(3600, 1.0, 4), Step(60, 9.0, 4)), resizes=1)
    assert played.seconds == 8520
    assert played.compute == pytest.approx((4860 * 2 + 3660 * 4) / 3600)
    assert played.throttled_minutes == 21
    assert played.exhaustions == 2
    used = 3600 + 1200 + 60 + 1200 + 3600 + 240
    assert played.slack == pytest.approx(1 - used / (played.compute * 3600))
    assert Played(()).slack == 0.0


def test_a_size_that_never_changes() -> None:
    played = fixed(of(1.0, 3.0, 1.0), 2)
    assert (played.compute, played.throttled_minutes, played.exhaustions) == (1.0, 10, 1)
    assert (played.resizes, played.scale_downs) == (0, 0)


def test_people_who_know_the_load_choose_a_fifth_more_than_almost_always_is_enough() -> None:
    assert provisioned(of(*([1.0] * 995 + [9.0] * 5))) == 11
    assert provisioned(of(*([1.0] * 996 + [9.0] * 4))) == 2
    assert provisioned(of(0.0)) == 1
    assert provisioned(of()) == 1


def test_a_step_up_is_short_of_ocpus_for_seconds() -> None:
    played = play(of(*[0.5] * 6, *[7.0] * 6, *[0.5] * 60), LIMITS)
    assert 5 <= played.throttled_minutes * 60 <= 15
    assert played.exhaustions == 1
    assert [s.ocpus for s in played.steps][-1] == 2
    assert played.resizes == 6
    assert played.scale_downs == 3


def test_memory_that_leaks_is_followed() -> None:
    played = play(load(read_shape("leak"), 16, seconds=600, days=30, seed=""), LIMITS)
    sizes = [step.ocpus for step in played.steps]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 16


def test_a_peak_that_people_know_of_is_met_beforehand() -> None:
    known = play(of(*[0.5] * 12, *[15.0] * 6), LIMITS, floor=lambda now: 16 if now >= 6000 else 0)
    assert known.throttled_minutes == 0


@pytest.mark.parametrize("name", sorted(shipped()))
def test_no_load_makes_it_flap(name: str) -> None:
    """One shrinking for each cooldown; and fewer, where each was wrong."""
    played = play(load(read_shape(name), 16, seconds=300, days=14, seed=""), LIMITS)
    now, shrunk, sizes = 0.0, [], [step.ocpus for step in played.steps]
    for step, (size, after) in zip(played.steps, pairwise(sizes), strict=False):
        now += step.seconds
        if after < size:
            shrunk.append(now)
    assert all(b - a >= COOLDOWN_SECONDS for a, b in pairwise(shrunk))
    assert played.resizes <= 14 * 6


def test_a_season_meets_a_wave_that_it_has_seen() -> None:
    day = [0.5] * 54 + [7.0] * 48 + [0.5] * 42  # of ten minutes each
    load = of(*day * 10)
    reactive, seasonal = play(load, LIMITS, is_seasonal=False), play(load, LIMITS)
    assert reactive.exhaustions == 10
    assert seasonal.exhaustions <= 3
    assert seasonal.compute <= 1.1 * reactive.compute
