"""How large a database is to be: tables of loads, and laws that hold for any load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.decide.sizing import (
    COOLDOWN_SECONDS,
    GAP_SECONDS,
    ROOMY_SECONDS,
    Limits,
    Rule,
    Trend,
    Use,
    Verdict,
    follow,
    judge,
)

MIB = 2**20
LIMITS = Limits(low=2, high=16, cpu_share=0.8, memory_share=0.8, memory_per_ocpu=64 * MIB)
Load = Callable[[float], float | None]
"""OCPUs that are wanted at a time."""


class Life:
    """One database that gets what it is said to need, at once."""

    def __init__(self, limits: Limits = LIMITS, ocpus: int = 2, memory: float | None = 0.0) -> None:
        self.limits, self.ocpus, self.memory = limits, ocpus, memory
        self.hot = 0.0
        self.now = 0.0
        self.trend: Trend | None = None
        self.changes: list[tuple[float, int, Verdict]] = []

    def live(self, load: Load, seconds: float, step: float = 1.0, floor: int = 0) -> Life:
        for _ in range(round(seconds / step)):
            self.now += step
            wanted = load(self.now)
            used = None if wanted is None else min(wanted, float(self.ocpus))
            use = Use(self.now, step, used, self.memory, self.hot)
            self.trend = follow(self.trend, use, self.ocpus, self.limits)
            verdict = judge(self.trend, self.limits, self.now, floor)
            assert verdict
            if verdict.ocpus != self.ocpus:
                self.changes.append((self.now, verdict.ocpus, verdict))
                self.ocpus = verdict.ocpus
        return self

    @property
    def sizes(self) -> list[int]:
        return [ocpus for _, ocpus, _ in self.changes]


def constant(value: float | None) -> Load:
    return lambda _: value


def test_a_ladder_doubles_and_ends_with_the_largest() -> None:
    assert LIMITS.ladder == (2, 4, 8, 16)
    assert Limits(2, 12, 0.8, 0.8, MIB).ladder == (2, 4, 8, 12)
    assert Limits(4, 4, 0.8, 0.8, MIB).ladder == (4,)


def test_a_step_to_saturation_climbs_rung_by_rung_within_seconds() -> None:
    life = Life().live(constant(0.2), 600)
    assert life.sizes == []
    life.live(constant(7.0), 30)
    assert life.sizes == [4, 8, 16]
    first, second, third = (at - 600 for at, _, _ in life.changes)
    assert first <= 5
    assert second - first <= 5
    assert third - second <= 16  # 7 of 8 is above the threshold, and not saturated
    _, _, verdict = life.changes[0]
    assert verdict.rule is Rule.SATURATED
    assert verdict.why.endswith("% of 2 OCPUs for 4 s, above 80%")


def test_above_its_threshold_it_grows_after_a_while() -> None:
    life = Life(ocpus=4).live(constant(3.0), 300).live(constant(3.7), 30)
    ((at, ocpus, verdict),) = life.changes
    assert ocpus == 8
    assert verdict.rule is Rule.CPU
    assert 300 + 10 <= at <= 300 + 30


def test_a_spike_is_none_of_its_business() -> None:
    assert Life().live(lambda t: 9.0 if t % 60 < 3 else 0.5, 3600).sizes == []


def test_noise_below_the_threshold_moves_nothing() -> None:
    random = Random(1)
    life = Life(ocpus=4).live(lambda _: max(0.0, random.gauss(2.4, 0.5)), 2 * 3600)
    assert life.sizes == []


def test_it_shrinks_slowly_and_a_rung_at_a_time() -> None:
    life = Life(ocpus=16).live(constant(0.1), 3 * 3600, step=5)
    assert life.sizes == [8, 4, 2]
    times = [at for at, _, _ in life.changes]
    assert times[0] >= ROOMY_SECONDS
    assert all(b - a >= COOLDOWN_SECONDS for a, b in pairwise(times))
    assert life.changes[0][2].why == "0.12 of 16 OCPUs are needed, for 15 min"


def test_a_load_that_flaps_at_the_threshold_flaps_no_size() -> None:
    life = Life().live(lambda t: 1.8 if t % 240 < 120 else 1.0, 4 * 3600, step=5)
    assert life.sizes == [4]


@pytest.mark.parametrize("missing", [None, 0.0])
def test_what_is_missing_shrinks_nothing(missing: float | None) -> None:
    life = Life(ocpus=8, memory=missing)
    life.live(lambda t: None if missing is not None and t % 50 < 5 else 0.1, 4 * 3600, step=5)
    # With CPU missing for five of fifty seconds there is no time without a break.
    assert life.sizes == []


def test_a_time_of_which_nothing_is_known_does_not_count() -> None:
    life = Life(ocpus=8).live(constant(0.1), ROOMY_SECONDS - 60, step=5)
    life.now += GAP_SECONDS + 5
    life.live(constant(0.1), ROOMY_SECONDS - 60, step=5)
    assert life.sizes == []
    life.live(constant(0.1), 120, step=5)
    assert life.sizes == [4]


def test_old_news_decides_nothing() -> None:
    life = Life(ocpus=8).live(constant(0.1), ROOMY_SECONDS, step=5)
    verdict = judge(life.trend, LIMITS, life.now + GAP_SECONDS + 1)
    assert verdict
    assert (verdict.ocpus, verdict.rule) == (8, Rule.UNKNOWN)
    assert judge(None, LIMITS, 0.0) is None


def test_memory_that_cannot_be_reclaimed_makes_it_grow_at_once_to_what_is_enough() -> None:
    life = Life(memory=300 * MIB).live(constant(0.1), 60)
    assert life.sizes == [8]  # 300 MiB are 80 % of 375, which are 5.9 OCPUs
    assert life.changes[0][2].rule is Rule.MEMORY
    assert "memory for 5.9 OCPUs" in life.changes[0][2].why


def test_cache_alone_needs_less_room_than_what_cannot_be_reclaimed() -> None:
    life = Life(memory=64 * MIB)
    life.hot = 50 * MIB
    assert life.live(constant(0.1), 60).sizes == []
    life.hot = 60 * MIB
    assert life.live(constant(0.1), 60).sizes == [4]


def test_the_fleet_files_bounds_come_first() -> None:
    assert Life(ocpus=1).live(constant(0.0), 1).sizes == [2]
    assert Life(ocpus=64).live(constant(64.0), 1).sizes == [16]
    assert Life(ocpus=16).live(constant(99.0), 600).sizes == []


def test_what_is_about_to_be_needed_is_there_before_it_is() -> None:
    life = Life().live(constant(0.1), 60, floor=5)
    assert life.sizes == [8]
    assert life.changes[0][2].rule is Rule.FLOOR
    assert life.live(constant(0.1), 3 * 3600, step=5, floor=5).sizes == [8]
    assert life.live(constant(0.1), 2 * 3600, step=5).sizes == [8, 4, 2]


def test_a_size_that_somebody_changed_begins_its_own_time() -> None:
    life = Life(ocpus=4).live(constant(0.1), 3 * 3600, step=5)
    assert life.sizes == [2]
    life.ocpus = 16
    at = life.now
    life.live(constant(0.1), 3600, step=5)
    assert life.changes[1][0] - at >= COOLDOWN_SECONDS


def test_who_should_not_have_shrunk_waits_longer_next_time() -> None:
    """Up for ten minutes every hour: each shrinking is regretted."""
    life = Life().live(lambda t: 3.0 if t % 3600 < 600 else 0.1, 48 * 3600, step=20)
    shrunk = [at for at, ocpus, _ in life.changes if ocpus == 2]
    pauses = [b - a for a, b in pairwise(shrunk)]
    assert pauses == sorted(pauses)
    assert len(shrunk) <= 6
    life.changes.clear()
    life.live(constant(0.1), 48 * 3600, step=20)
    assert life.sizes in ([2], [])


@st.composite
def lives(draw: st.DrawFn) -> Iterator[tuple[float, float | None, float | None]]:
    size = st.floats(0, 40)
    known = st.one_of(st.none(), size)
    step = st.sampled_from([1.0, 5.0, 60.0, 600.0])
    return draw(  # type: ignore[no-any-return]
        st.lists(st.tuples(step, known, known), min_size=1, max_size=120)
    )


@given(lives(), st.integers(1, 4), st.integers(1, 32))
def test_laws(samples: list[tuple[float, float | None, float | None]], low: int, more: int) -> None:
    """Always a rung; one shrinking for each cooldown; nothing follows from what is unknown."""
    limits = Limits(low, low + more, 0.8, 0.8, MIB)
    ocpus, now, trend = low, 0.0, None
    shrunk_at, changed_at = -COOLDOWN_SECONDS, -COOLDOWN_SECONDS
    for seconds, cpu, memory in samples:
        now += seconds
        use = Use(now, seconds, cpu, None if memory is None else memory * MIB)
        trend = follow(trend, use, ocpus, limits)
        verdict = judge(trend, limits, now)
        assert verdict
        assert verdict.ocpus in limits.ladder
        if verdict.ocpus < ocpus:
            assert verdict.rule is Rule.ROOMY
            assert cpu is not None
            assert memory is not None
            assert now - changed_at >= COOLDOWN_SECONDS
            shrunk_at = now
        if verdict.ocpus > ocpus:
            assert cpu is not None or memory is not None
        if verdict.ocpus != ocpus:
            changed_at = now
        ocpus = verdict.ocpus
    assert shrunk_at <= now
