"""What the peaks of a fleet file need at a moment, and how long before they begin."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.decide.peaks import LEAD, floor, known_peaks
from pgherd.fleet.calendar import Peak, Weekday, Window, contains

FRIDAYS = Peak(Window((Weekday.FRI,), time(8), time(23)), 16)
BLACK_FRIDAY = Peak(Window((), time(20), time(2), dates=(date(2026, 11, 27),)), 32)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "needed"),
    [
        ("2026-11-20T07:49:59", 0),
        ("2026-11-20T07:50", 16),
        ("2026-11-20T22:59:59", 16),
        ("2026-11-20T23:00", 0),
        ("2026-11-27T19:49", 16),
        ("2026-11-27T19:50", 32),
        ("2026-11-27T23:30", 32),
        ("2026-11-28T02:00", 0),
    ],
)
def test_the_largest_peak_counts_from_ten_minutes_before(moment: str, needed: int) -> None:
    assert floor((FRIDAYS, BLACK_FRIDAY), at(moment)) == needed
    assert floor((BLACK_FRIDAY, FRIDAYS), at(moment)) == needed


def test_without_peaks_nothing_is_needed() -> None:
    assert floor((), at("2026-11-27T12:00")) == 0


@given(
    st.datetimes(datetime(2026, 10, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    st.timedeltas(timedelta(), LEAD),
)
def test_nobody_waits_for_a_peak_that_has_begun(moment: datetime, before: timedelta) -> None:
    for peak in (FRIDAYS, BLACK_FRIDAY):
        if contains(peak.window, moment):
            assert floor([peak], moment - before) == peak.ocpus


def test_a_load_that_is_played_has_the_clocks_of_its_peaks() -> None:
    tokyo = Peak(Window((), time(8), time(9), "Asia/Tokyo", (date(2026, 11, 27),)), 4)
    known = known_peaks((tokyo,), date(2026, 11, 2))
    day = 25 * 86_400
    assert [known(day + hour * 3600) for hour in (7.8, 7.9, 8.9, 9.0)] == [0, 4, 4, 0]
    assert known(8 * 3600) == 0
