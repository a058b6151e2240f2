"""Every unit reads back as exactly what was printed, and says plainly what it cannot read."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.errors import InputError
from pgherd.units import (
    MAX_BYTES,
    format_bytes,
    format_days,
    format_duration,
    format_percent,
    format_range,
    number,
    parse_bytes,
    parse_days,
    parse_duration,
    parse_open_range,
    parse_percent,
    parse_range,
    parse_whole,
    quoted,
    rounded_bytes,
)

SIZES = [
    ("0B", 0),
    ("999B", 999),
    ("1kB", 1_000),
    ("1KiB", 1_024),
    ("1536B", 1_536),
    ("1.5MiB", 3 * 2**19),
    ("2TB", 2_000_000_000_000),
    ("1.5TB", 1_500_000_000_000),
    ("2TiB", 2 * 2**40),
    ("64MiB", 64 * 2**20),
    ("1000MiB", 1000 * 2**20),
    ("1234567B", 1_234_567),
    ("7EiB", 7 * 2**60),
]


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_a_size_prints_as_it_is_best_written(text: str, size: int) -> None:
    assert parse_bytes(text) == size
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2 TB", 2 * 10**12),
        ("2tb", 2 * 10**12),
        ("1Kb", 1000),
        ("1mib", 2**20),
        ("007GB", 7 * 10**9),
    ],
)
def test_a_size_may_be_written_in_other_ways(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@given(st.integers(0, MAX_BYTES))
def test_every_size_reads_back(size: int) -> None:
    assert parse_bytes(format_bytes(size)) == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a size"),
        ("2", "'2' is not a size"),
        ("2XB", "'2XB' is not a size"),
        ("-2TB", "'-2TB' is not a size"),
        ("٢TB", "'٢TB' is not a size"),
        ("0.5B", "'0.5B' is not a whole number of bytes"),
        ("8EiB", "'8EiB' is more than 9223372036854775807B"),
        ("9" * 50 + "TB", "'" + "9" * 37 + "...' is not a size"),
    ],
)
def test_what_is_no_size_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_bytes(text)
    assert caught.value.message == message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (512, "512B"),
        (999, "999B"),
        (1_000, "1.00kB"),
        (12_345_678, "12.3MB"),
        (123_456_789, "123MB"),
        (9_994_999, "9.99MB"),
        (9_996_000, "10.0MB"),
        (99_960_000, "100MB"),
        (999_499, "999kB"),
        (999_600, "1.00MB"),
        (3 * 10**18, "3.00EB"),
    ],
)
def test_a_measured_size_is_rounded(size: int, text: str) -> None:
    assert rounded_bytes(size) == text


@pytest.mark.parametrize("text", ["0", "2", "128", "999999999999999"])
def test_whole_numbers(text: str) -> None:
    assert str(parse_whole(text)) == text


@pytest.mark.parametrize("text", ["", "-1", "2.0", "1e3", "0x10", "two", "²", "1" * 5000])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a whole number"):
        parse_whole(text)


@given(st.integers(0, 100))
def test_every_percentage_reads_back(percent: int) -> None:
    assert parse_percent(format_percent(percent)) == percent


@pytest.mark.parametrize("text", ["80", "%", "8o%", "-1%", "1000%"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a percentage"):
        parse_percent(text)


def test_more_than_all_is_refused() -> None:
    with pytest.raises(InputError, match="'101%' is more than 100%"):
        parse_percent("101%")


@given(st.integers(0, 999_999))
def test_every_number_of_days_reads_back(days: int) -> None:
    assert parse_days(format_days(days)) == days


@pytest.mark.parametrize("text", ["30", "d", "30h", "1.5d"])
def test_what_is_no_number_of_days_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a number of days"):
        parse_days(text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0s", timedelta()),
        ("0.5s", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("1h30m", timedelta(minutes=90)),
        ("30h1s", timedelta(hours=30, seconds=1)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration
    assert format_duration(duration) == text


@given(st.timedeltas(timedelta(), timedelta(days=3000)))
def test_every_duration_reads_back(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("text", ["", "s", "90", "-1s", "1m1h", "1s "])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "ends"),
    [("2..128", (2, 128)), ("2", (2, 2)), ("0", (0, 0)), ("2 .. 128", (2, 128)), ("2..2", (2, 2))],
)
def test_ranges(text: str, ends: tuple[int, int]) -> None:
    assert parse_range(text, parse_whole) == ends


def test_a_range_may_be_open() -> None:
    assert parse_open_range("2TB..unlimited", parse_bytes) == (2 * 10**12, None)
    assert parse_open_range("2TB..Unlimited", parse_bytes) == (2 * 10**12, None)
    assert format_range(2 * 10**12, None, format_bytes) == "2TB..unlimited"


@given(st.integers(0, MAX_BYTES), st.one_of(st.none(), st.integers(0, MAX_BYTES)))
def test_every_range_reads_back(low: int, more: int | None) -> None:
    high = None if more is None else max(low, more)
    text = format_range(low, high, format_bytes)
    assert parse_open_range(text, parse_bytes) == (low, high)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("2..1", "max 1 is below initial 2", "write 2..2 or more"),
        ("2..unlimited", "max cannot be unlimited", "write one as in 2..128"),
        ("..2", "'' is not a whole number", "write digits only, as in 2"),
        ("2..", "'' is not a whole number", "write digits only, as in 2"),
        ("2..3..4", "'3..4' is not a whole number", "write digits only, as in 2"),
    ],
)
def test_what_is_no_range_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_range(text, parse_whole, "initial")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_one_thing_is_not_counted_as_many() -> None:
    assert [number(n, "alert") for n in (0, 1, 2)] == ["0 alerts", "1 alert", "2 alerts"]


def test_quoted_text_is_short_and_on_one_line() -> None:
    assert quoted("a\nb") == r"'a\nb'"
    assert len(quoted("x" * 500)) == 42
