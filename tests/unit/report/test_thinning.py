"""Thinned lines: few points, and none of the peaks lost; spans that are joined."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.report.thinning import FEWEST, Point, Span, joined, thinned

values = st.floats(-1e9, 1e9)
lines = st.lists(st.tuples(st.floats(0, 1e6), values)).map(
    lambda points: sorted(points, key=lambda point: point[0])
)
limits = st.integers(FEWEST, 50)
spans = st.lists(st.floats(0, 1e6), unique=True).map(
    lambda times: list(zip(sorted(times)[::2], sorted(times)[1::2], strict=False))
)
gaps = st.floats(0, 1e5)


@given(lines, limits)
def test_there_are_no_more_points_than_wanted(points: list[Point], most: int) -> None:
    assert len(thinned(points, most)) <= most


@given(lines, limits)
def test_it_is_the_same_line_less_some_points(points: list[Point], most: int) -> None:
    rest = iter(points)
    assert all(point in rest for point in thinned(points, most))


@given(lines, limits)
def test_ends_and_peaks_stay(points: list[Point], most: int) -> None:
    found = thinned(points, most)
    assert found[:1] == tuple(points[:1])
    assert found[-1:] == tuple(points[-1:])
    for peak in (min, max):
        heights = [value for _, value in points]
        assert peak(heights, default=None) == peak((v for _, v in found), default=None)


@given(lines, limits)
def test_a_line_of_few_points_stays_as_it_is(points: list[Point], most: int) -> None:
    assert thinned(points, max(most, len(points))) == tuple(points)


@given(lines, limits)
def test_what_is_thin_stays_so(points: list[Point], most: int) -> None:
    found = thinned(points, most)
    assert thinned(found, most) == found


def test_each_stretch_of_time_keeps_its_own_peak() -> None:
    points = [(float(n), 9.0 if n in (25, 75) else 1.0) for n in range(101)]
    assert [time for time, value in thinned(points, 10) if value == 9.0] == [25.0, 75.0]


def test_stretches_are_of_time_and_not_of_points() -> None:
    """One looks at a database more often while it is near its size."""
    points = [*((n / 1000, 1.0) for n in range(1000)), (50.0, 3.0), (51.0, 2.0), (100.0, 1.0)]
    assert (50.0, 3.0) in thinned(points, 6)


@given(spans, gaps)
def test_joined_spans_cover_all_and_lie_apart(found: list[Span], gap: float) -> None:
    parts = joined(found, gap)
    assert all(any(a <= start and end <= b for a, b in parts) for start, end in found)
    assert all(start - end > gap for (_, end), (start, _) in pairwise(parts))
    assert sum(b - a for a, b in parts) <= sum(b - a for a, b in found) + gap * len(found)


@pytest.mark.parametrize(
    ("gap", "parts"), [(0.5, ((0, 1), (2, 3))), (1, ((0, 3),)), (0, ((0, 1), (2, 3)))]
)
def test_spans_with_no_more_than_the_gap_between_them_are_one(
    gap: float, parts: tuple[Span, ...]
) -> None:
    assert joined([(0, 1), (2, 3)], gap) == parts
