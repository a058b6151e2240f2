"""Lines of marks: what is unknown is blank, what is near zero is the lowest mark."""

from __future__ import annotations

import math

import pytest

from pgherd.report.sparkline import BLOCKS, MOST, PLAIN, line, marks, slots, sparkline


def test_each_value_has_its_mark_and_the_unknown_has_none() -> None:
    assert sparkline([0, 50, None, 100], highest=100) == "▁▅ █"
    assert sparkline([0, 50, None, 100], PLAIN, highest=100) == "_= #"


def test_without_a_highest_value_the_highest_of_them_is_it() -> None:
    assert sparkline([0, 5, 10]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([None, None]) == "  "
    assert sparkline([]) == ""


@pytest.mark.parametrize("value", [-5, 1e300, 101])
def test_what_is_out_of_bounds_has_the_mark_at_the_edge(value: float) -> None:
    assert sparkline([value], highest=100) == (BLOCKS[0] if value < 0 else BLOCKS[-1])


def test_slots_are_means_of_equal_parts_that_begin_at_multiples() -> None:
    points = [(601.0, 10.0), (610.0, 30.0), (1150.0, 5.0), (1210.0, 1.0), (0.0, 99.0)]
    found = slots(points, now=1199.0, count=10)
    assert found == [20.0, *[None] * 8, 5.0]
    assert slots(points, now=1199.9, count=10) == found


def test_odd_points_count_as_nothing() -> None:
    points = [(1190.0, math.nan), (1190.0, math.inf), (math.nan, 1.0), (1190.0, None)]
    assert slots(points, now=1199.0, count=2) == [None, None]


def test_a_line_has_no_more_marks_than_there_can_be_values_for() -> None:
    assert len(line([(1000.0, 1.0)], now=1000.0, width=200)) == MOST
    assert len(line([], now=1000.0, width=6)) == 6


@pytest.mark.parametrize(
    ("encoding", "terminal", "expected"),
    [
        ("utf-8", "xterm-256color", BLOCKS),
        ("UTF8", "screen", BLOCKS),
        ("ascii", "xterm", PLAIN),
        ("", "xterm", PLAIN),
        ("utf-8", "linux", PLAIN),
        ("utf-8", "vt100", PLAIN),
        ("utf-8", "dumb", PLAIN),
        ("utf-8", "", PLAIN),
    ],
)
def test_each_terminal_gets_marks_that_it_has(encoding: str, terminal: str, expected: str) -> None:
    assert marks(encoding, terminal) == expected
    assert len(expected) == 8
