"""Shapes of load: what they say of a time, and what is refused as one."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev

import pytest

from pgherd.errors import InputError
from pgherd.shapes.file import read_shape, shipped
from pgherd.shapes.shape import DAY_SECONDS, Event, Leak, Shape, Wave, load

RISING = tuple(hour / 100 for hour in range(24))


def ocpus(shape: Shape, *, days: float = 7, seconds: float = 3600, seed: str = "") -> list[float]:
    return list(load(shape, 100, seconds=seconds, days=days, seed=seed).ocpus)


def test_every_shape_that_there_is_can_be_played() -> None:
    assert set(shipped()) == {"black-friday", "day-week", "leak", "noise", "square-wave"}
    for name in shipped():
        shape = read_shape(name)
        played = load(shape, 16, seconds=600, days=30, seed="production/auth")
        assert len(played.ocpus) == len(played.memory) == 30 * 144
        assert all(value >= 0 for value in played.ocpus)
        assert any(value > 0 for value in played.ocpus)
        assert shape.means


def test_a_day_goes_evenly_from_hour_to_hour() -> None:
    found = ocpus(Shape("", hours=RISING), days=1, seconds=1800)
    assert found[:4] == pytest.approx([0, 0.5, 1, 1.5])
    assert found[-2:] == pytest.approx([23, 11.5])  # and back to midnight


def test_weekdays_events_growth_and_waves() -> None:
    days = (1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.0)
    found = ocpus(Shape("", weekdays=days))
    assert found[:24] == pytest.approx([20.0] * 24)
    assert found[24:48] == pytest.approx([10.0] * 24)
    assert found[-24:] == [0.0] * 24
    event = Event(day=2, times=3.0, days=2, start=8.0, end=20.0)
    found = ocpus(Shape("", events=(event,)), days=4)
    busy = [n for n, value in enumerate(found) if value > 21]
    assert busy == [*range(24 + 8, 24 + 20), *range(48 + 8, 48 + 20)]
    assert ocpus(Shape("", grows=0.1), days=2)[24] == pytest.approx(22)
    assert ocpus(Shape("", wave=Wave(high=0.5, minutes=120)), days=0.2)[:3] == [50, 20, 50]


def test_memory_leaks_and_is_not_given_back() -> None:
    shape = Shape("", leak=Leak(start=0.1, daily=0.05))
    found = load(shape, 100, seconds=DAY_SECONDS, days=3, seed="")
    assert found.memory == pytest.approx((10, 15, 20))


def test_noise_is_around_the_load_and_the_same_again() -> None:
    shape = Shape("", noise=0.1)
    found = ocpus(shape, days=100, seed="a")
    assert stdev(found) / mean(found) == pytest.approx(0.1, rel=0.1)
    assert ocpus(shape, days=100, seed="a") == found
    assert ocpus(shape, days=100, seed="b") != found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no shape: Expected `object`"),
        ("means: [a", "is no shape: "),
        ("means: a\nhours: [1, 2]\n", r"Expected `array` of length >= 24 - at `\$\.hours`"),
        ("means: a\nnoise: much\n", r"Expected `float`, got `str` - at `\$\.noise`"),
        ("means: a\nnois: 0.1\n", "unknown field `nois`"),
        ("means: a\nnoise: .nan\n", "is no shape: "),
        ("means: a\nevents: [{day: 0, times: 2}]\n", r"`int` >= 1 - at `\$\.events\[0\]\.day`"),
        ("means: " + 100_000 * "a", "is too large"),
    ],
)
def test_what_is_no_shape_says_why(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "shape.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_shape(str(path))


@pytest.mark.parametrize("name", ["", "no-such-shape", "/", "a\0b"])
def test_a_name_that_nothing_has_names_those_that_there_are(name: str) -> None:
    with pytest.raises(InputError, match="there is no shape") as refused:
        read_shape(name)
    assert refused.value.hint == (
        "write one of black-friday, day-week, leak, noise, square-wave, or the path of a file"
    )
