"""How many replicas a database is to have: rules, and laws over any sequence of samples."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pgherd.decide.replicas import (
    FEWER_COOLDOWN_SECONDS,
    FEWER_SECONDS,
    GAP_SECONDS,
    MORE_COOLDOWN_SECONDS,
    MORE_SECONDS,
    Count,
    Range,
    Readers,
    Reading,
    follow,
    judge,
)

STEP = 5.0
BOUNDS = Range(low=0, high=3, cpu_share=0.8)
CALM = Reading(
    at=0.0,
    seconds=STEP,
    replicas=1,
    cpu=[0.1],
    primary_cpu=0.1,
    clients=1,
    clients_each=25,
    is_largest=True,
    all_stream=True,
)
BUSY = replace(CALM, cpu=[0.95])


def played(samples: Iterable[Reading], bounds: Range = BOUNDS) -> tuple[Readers, Count | None]:
    """What is remembered, and wanted, after these samples, each a step after the one before."""
    readers: Readers | None = None
    at = 0.0
    for sample in samples:
        at += STEP
        readers = follow(readers, replace(sample, at=at), bounds)
    assert readers is not None
    return readers, judge(readers, bounds, at)


def wanted(sample: Reading, seconds: float, bounds: Range = BOUNDS) -> int | None:
    count = played([sample] * (int(seconds / STEP) + 1), bounds)[1]
    return count.replicas if count else None


class TestMore:
    def test_busy_replicas_get_another_one(self) -> None:
        assert wanted(BUSY, MORE_SECONDS) == 2

    def test_not_before_it_is_sure(self) -> None:
        assert wanted(BUSY, MORE_SECONDS - 2 * STEP) is None

    def test_a_larger_size_comes_first(self) -> None:
        assert wanted(replace(BUSY, is_largest=False), 10 * MORE_SECONDS) is None

    def test_clients_need_one_at_any_size(self) -> None:
        crowd = replace(CALM, clients=21, is_largest=False)
        assert wanted(crowd, MORE_SECONDS) == 2
        assert wanted(replace(crowd, clients=20), MORE_SECONDS) is None

    def test_nothing_above_the_bounds(self) -> None:
        full = replace(BUSY, replicas=3, cpu=[0.95] * 3)
        assert wanted(full, 100 * MORE_SECONDS) is None

    def test_none_while_one_does_not_stream(self) -> None:
        assert wanted(replace(BUSY, all_stream=False), 10 * MORE_SECONDS) is None

    def test_the_first_one_comes_only_where_somebody_reads(self) -> None:
        alone = replace(CALM, replicas=0, cpu=[], primary_cpu=0.95)
        assert wanted(alone, MORE_SECONDS) == 1
        assert wanted(replace(alone, clients=0), 10 * MORE_SECONDS) is None

    def test_one_reader_of_a_calm_primary_needs_none(self) -> None:
        assert wanted(replace(CALM, replicas=0, cpu=[]), 10 * MORE_SECONDS) is None

    def test_the_next_one_waits_for_what_the_last_one_does(self) -> None:
        steps = int(MORE_COOLDOWN_SECONDS / STEP)
        both = replace(BUSY, replicas=2, cpu=[0.95, 0.95])
        assert played([BUSY] * 30 + [both] * (steps - 1))[1] is None
        readers, count = played([BUSY] * 30 + [both] * (steps + 2))
        assert count == Count(3, count.why if count else "")
        assert readers.replicas == 2

    def test_it_says_why(self) -> None:
        _, count = played([BUSY] * 13)
        assert count == Count(2, "the CPU of those that are read from need 2 of 1 servers for 65 s")


class TestFewer:
    CALM_PAIR = replace(CALM, replicas=2, cpu=[0.1, 0.1])

    def test_one_that_is_not_needed_goes(self) -> None:
        assert wanted(self.CALM_PAIR, FEWER_SECONDS) == 1

    def test_the_last_one_goes_where_the_primary_can_take_its_readers(self) -> None:
        assert wanted(CALM, FEWER_SECONDS) == 0
        assert wanted(replace(CALM, primary_cpu=0.6), 3 * FEWER_SECONDS) is None

    def test_not_below_the_bounds(self) -> None:
        assert wanted(CALM, 3 * FEWER_SECONDS, replace(BOUNDS, low=1)) is None

    def test_one_that_is_new_stays(self) -> None:
        steps = int(FEWER_COOLDOWN_SECONDS / STEP)
        assert played([BUSY] * 2 + [self.CALM_PAIR] * (steps - 1))[1] is None
        assert played([BUSY] * 2 + [self.CALM_PAIR] * (steps + 1))[1] is not None

    def test_what_is_unknown_takes_none_away(self) -> None:
        for missing in (
            replace(self.CALM_PAIR, cpu=[0.1, None]),
            replace(self.CALM_PAIR, cpu=[]),
            replace(self.CALM_PAIR, clients=None),
            replace(CALM, primary_cpu=None),
        ):
            assert wanted(missing, 3 * FEWER_SECONDS) is None

    def test_a_gap_begins_anew(self) -> None:
        readers, count = played([self.CALM_PAIR] * 400)
        assert count is not None
        assert judge(readers, BOUNDS, readers.at + GAP_SECONDS + 1) is None
        late = replace(self.CALM_PAIR, at=readers.at + 10 * GAP_SECONDS)
        assert judge(follow(readers, late, BOUNDS), BOUNDS, late.at) is None


SAMPLES = st.lists(
    st.builds(
        Reading,
        at=st.just(0.0),
        seconds=st.just(STEP),
        replicas=st.just(0),
        cpu=st.lists(st.none() | st.floats(0, 1), max_size=3),
        primary_cpu=st.none() | st.floats(0, 1),
        clients=st.none() | st.integers(0, 100),
        clients_each=st.none() | st.integers(0, 50),
        is_largest=st.booleans(),
        all_stream=st.booleans(),
    ),
    max_size=20,
)


@given(SAMPLES, st.integers(1, 400))
def test_laws(samples: list[Reading], times: int) -> None:
    """Within the bounds, one at a time, and no two changes within the shorter cooldown."""
    readers: Readers | None = None
    replicas, at, changes = 1, 0.0, list[tuple[float, int]]()
    for sample in (s for one in samples for s in [one] * times):
        at += STEP
        cpu = [*sample.cpu, *[0.5] * 3][:replicas] if sample.cpu else []
        readers = follow(readers, replace(sample, at=at, replicas=replicas, cpu=cpu), BOUNDS)
        if count := judge(readers, BOUNDS, at):
            assert abs(count.replicas - replicas) == 1
            assert BOUNDS.low <= count.replicas <= BOUNDS.high
            changes.append((at, count.replicas - replicas))
            replicas = count.replicas
    for (before, _), (after, by) in pairwise(changes):
        assert after - before >= (MORE_COOLDOWN_SECONDS if by > 0 else FEWER_COOLDOWN_SECONDS)
