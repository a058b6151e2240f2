"""When windows are open, by the clocks of their places, across midnight and changes of a clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, reset_tzpath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pgherd.errors import InputError
from pgherd.fleet.calendar import Peak, Weekday, Window, contains, next_begin, zone, zone_names

BERLIN = "Europe/Berlin"
EVERY_DAY = tuple(Weekday)
MINUTE, QUARTER = timedelta(minutes=1), timedelta(minutes=15)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
"""Berlin's clock goes from 02:00 to 03:00 on the one, and from 03:00 to 02:00 on the other."""


def window(
    begin: str, end: str, *, days: str = "", dates: tuple[date, ...] = (), timezone: str = BERLIN
) -> Window:
    named = tuple(Weekday(day) for day in days.split()) if days or dates else EVERY_DAY
    return Window(named, time.fromisoformat(begin), time.fromisoformat(end), timezone, dates)


def at(text: str, place: str = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(place))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def opened(window: Window, day: date) -> tuple[datetime, datetime] | None:
    """From when to when it is open, of what begins on that day: looked for every quarter."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - DAY
    moments = [start + n * QUARTER for n in range(4 * 24 * 4)]
    found = [moment for moment in moments if contains(window, moment)]
    return (found[0], found[-1] + QUARTER) if found else None


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-06-07T02:59", False),
        ("2026-06-07T03:00", True),
        ("2026-06-07T04:59:59", True),
        ("2026-06-07T05:00", False),
        ("2026-06-06T04:00", False),
        ("2026-06-08T04:00", False),
    ],
)
def test_it_is_open_from_its_begin_until_its_end(moment: str, is_open: bool) -> None:
    assert contains(window("03:00", "05:00", days="sun"), at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-06-05T21:59", False),
        ("2026-06-05T22:00", True),
        ("2026-06-06T01:59", True),
        ("2026-06-06T02:00", False),
        ("2026-06-06T22:00", False),
        ("2026-06-05T01:00", False),
    ],
)
def test_an_end_before_its_begin_is_on_the_next_day(moment: str, is_open: bool) -> None:
    assert contains(window("22:00", "02:00", days="fri"), at(moment)) is is_open


def test_it_is_the_clock_of_its_own_place_that_counts() -> None:
    tokyo = window("08:00", "09:00", days="mon", timezone="Asia/Tokyo")
    assert contains(tokyo, utc("2026-06-07T23:30"))
    assert contains(tokyo, at("2026-06-07T19:30", "America/New_York"))
    assert not contains(tokyo, utc("2026-06-08T08:30"))


def test_dates_are_single_days() -> None:
    friday = window("20:00", "04:00", dates=(date(2026, 11, 27),))
    assert contains(friday, at("2026-11-27T20:00"))
    assert contains(friday, at("2026-11-28T03:59"))
    assert not contains(friday, at("2026-11-20T20:00"))
    assert not contains(friday, at("2027-11-27T20:00"))


def test_it_is_open_early_for_whoever_asks_so() -> None:
    short = window("08:00", "08:05")
    early = timedelta(minutes=10)
    assert contains(short, at("2026-06-05T07:50"), early=early)
    assert contains(short, at("2026-06-05T07:57"), early=early)
    assert not contains(short, at("2026-06-05T07:49:59"), early=early)
    assert not contains(short, at("2026-06-05T08:05"), early=early)
    assert contains(window("00:05", "01:00"), at("2026-06-05T23:56"), early=early)


@pytest.mark.parametrize(
    ("begin", "end", "day", "expected"),
    [
        # The clock passes over 02:00 to 03:00.
        ("02:30", "04:00", SPRING, ("2026-03-29T01:00", "2026-03-29T02:00")),
        ("01:00", "02:30", SPRING, ("2026-03-29T00:00", "2026-03-29T01:00")),
        ("01:00", "05:00", SPRING, ("2026-03-29T00:00", "2026-03-29T03:00")),
        ("02:15", "02:45", SPRING, None),
        ("23:00", "02:30", SPRING - DAY, ("2026-03-28T22:00", "2026-03-29T01:00")),
        # It shows 02:00 to 03:00 twice.
        ("02:30", "04:00", AUTUMN, ("2026-10-25T00:30", "2026-10-25T03:00")),
        ("01:00", "02:30", AUTUMN, ("2026-10-24T23:00", "2026-10-25T00:30")),
        ("02:15", "02:45", AUTUMN, ("2026-10-25T00:15", "2026-10-25T00:45")),
        ("01:00", "05:00", AUTUMN, ("2026-10-24T23:00", "2026-10-25T04:00")),
    ],
)
def test_it_is_one_piece_where_the_clock_changes(
    begin: str, end: str, day: date, expected: tuple[str, str] | None
) -> None:
    found = opened(window(begin, end, dates=(day,)), day)
    assert found == (expected and (utc(expected[0]), utc(expected[1])))


def test_a_day_that_a_place_left_out_has_no_window() -> None:
    """Samoa had no 30 December 2011."""
    left_out = date(2011, 12, 30)
    assert opened(
        window("08:00", "09:00", dates=(left_out,), timezone="Pacific/Apia"), left_out
    ) is (None)


def test_the_next_begin() -> None:
    weekly = window("03:00", "05:00", days="sun")
    assert next_begin(weekly, at("2026-06-07T02:59")) == at("2026-06-07T03:00")
    assert next_begin(weekly, at("2026-06-07T03:00")) == at("2026-06-14T03:00")
    assert next_begin(weekly, at("2026-10-20T12:00")) == utc("2026-10-25T02:00")
    found = next_begin(weekly, at("2026-06-07T02:59"))
    assert found and found.tzinfo is UTC


def test_what_the_clock_passes_over_begins_a_week_later() -> None:
    weekly = window("02:15", "02:45", days="sun")
    assert next_begin(weekly, at("2026-03-28T12:00")) == at("2026-04-05T02:15")


def test_dates_that_are_over_have_no_next_begin() -> None:
    two = window("08:00", "09:00", dates=(date(2026, 11, 30), date(2026, 11, 27)))
    assert next_begin(two, utc("2020-01-01T00:00")) == at("2026-11-27T08:00")
    assert next_begin(two, at("2026-11-27T08:00")) == at("2026-11-30T08:00")
    assert next_begin(two, at("2026-11-30T08:00")) is None


def test_a_moment_without_a_place_is_refused() -> None:
    with pytest.raises(TypeError):
        contains(window("08:00", "09:00"), datetime(2026, 6, 5, 8, 30))


ZONES = st.sampled_from(
    # One sets its clock by half an hour, one at midnight, one is far ahead.
    ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Auckland"]
)
CLOCKS = st.times().map(lambda t: t.replace(second=0, microsecond=0))
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    begin, end = draw(CLOCKS), draw(CLOCKS)
    assume(begin != end)
    days = draw(st.sets(st.sampled_from(Weekday), min_size=1))
    dates = draw(st.sets(st.dates(date(2024, 1, 1), date(2028, 1, 1)), max_size=3))
    return Window(() if dates else tuple(days), begin, end, draw(ZONES), tuple(sorted(dates)))


@given(windows(), MOMENTS)
def test_it_opens_when_it_begins_and_not_before(window: Window, moment: datetime) -> None:
    begin = next_begin(window, moment)
    assume(begin is not None)
    assert begin and begin > moment
    assert contains(window, begin)
    second = timedelta(seconds=1)
    if not contains(window, begin - second):
        assert contains(window, begin - second, early=second)
    between = moment + (begin - moment) / 2
    assert next_begin(window, between) == begin


@given(windows(), MOMENTS)
def test_what_is_closed_stays_so_until_it_begins(window: Window, moment: datetime) -> None:
    assume(not contains(window, moment))
    begin = next_begin(window, moment)
    until = begin or moment + 8 * DAY
    for part in range(10):
        assert not contains(window, moment + (until - moment) * part / 10)


@given(windows(), MOMENTS)
def test_the_place_that_tells_the_moment_changes_nothing(window: Window, moment: datetime) -> None:
    elsewhere = moment.astimezone(ZoneInfo("America/New_York"))
    at_home = moment.astimezone(ZoneInfo(window.timezone))
    for same in (elsewhere, at_home):
        assert contains(window, same) == contains(window, moment)
        assert next_begin(window, same) == next_begin(window, moment)


@given(CLOCKS, CLOCKS, MOMENTS)
def test_without_changes_of_the_clock_it_is_open_as_long_as_it_says(
    begin: time, end: time, moment: datetime
) -> None:
    assume(begin != end)
    daily = Window(EVERY_DAY, begin, end)
    opens = next_begin(daily, moment)
    assert opens and opens - moment <= DAY
    length = (datetime.combine(SPRING, end) - datetime.combine(SPRING, begin)) % DAY
    assert contains(daily, opens + length - MINUTE)
    assert not contains(daily, opens + length)
    assert not contains(daily, opens - MINUTE) or length == DAY - MINUTE


@given(windows(), MOMENTS)
def test_where_the_clock_is_steady_it_is_open_when_the_clock_says_so(
    window: Window, moment: datetime
) -> None:
    place = zone(window.timezone)
    offsets = {(moment + n * HOUR).astimezone(place).utcoffset() for n in range(-50, 51)}
    assume(len(offsets) == 1)
    shown = moment.astimezone(place).replace(tzinfo=None)
    expected = False
    for day in (shown.date() - DAY, shown.date()):
        is_its = day in window.dates or tuple(Weekday)[day.weekday()] in window.days
        last = day + DAY if window.end < window.begin else day
        began = datetime.combine(day, window.begin) <= shown
        expected |= is_its and began and shown < datetime.combine(last, window.end)
    assert contains(window, moment) == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("europe/berlin", "write Europe/Berlin"),
        ("Berlin", "write Europe/Berlin"),
        ("New York", "write America/New_York"),
        (" UTC", "write UTC"),
        *(
            (bad, "write one as in Europe/Berlin, or UTC")
            for bad in (
                *(
                    "",
                    "+02:00",
                    "Europe",
                    "Mars/Base",
                    "../Europe/Berlin",
                    "/etc/localtime",
                    "a\0b",
                ),
                *("right/Europe/Berlin", "posix/UTC", "localtime", "Factory", "posixrules"),
                *("leapseconds", "tzdata.zi", "x" * 5000, "\ud800"),
            )
        ),
    ],
)
def test_a_zone_that_nobody_knows(name: str, hint: str) -> None:
    with pytest.raises(InputError, match="is not a known time zone") as caught:
        zone(name)
    assert caught.value.hint == hint


def test_a_machine_without_zones_knows_utc_alone(tmp_path: Path) -> None:
    zone_names.cache_clear()
    ZoneInfo.clear_cache()
    reset_tzpath([str(tmp_path)])
    try:
        if not zone_names():  # the package tzdata may be there
            assert zone("UTC") is UTC
            with pytest.raises(InputError, match="this machine has no time zones") as caught:
                zone(BERLIN)
            assert caught.value.hint == "install tzdata, or write UTC"
    finally:
        reset_tzpath()
        zone_names.cache_clear()
    assert zone(BERLIN) is ZoneInfo(BERLIN)


def test_programs_get_every_key() -> None:
    peak = Peak(window("08:00", "23:00", dates=(date(2026, 11, 27),)), 32)
    assert peak.as_json() == {
        "days": [],
        "dates": ["2026-11-27"],
        "from": "08:00",
        "to": "23:00",
        "timezone": "Europe/Berlin",
        "ocpus": 32,
    }
    assert window("08:00", "09:00", days="mon sun").as_json()["days"] == ["mon", "sun"]
