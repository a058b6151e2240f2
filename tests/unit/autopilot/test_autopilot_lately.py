"""How busy databases were lately, by minute: what the helper is told with each round."""

from __future__ import annotations

import math

from pgherd.autopilot.lately import Lately
from pgherd.autopilot.requests import MOST_DATABASES

ID = "production/auth"


def test_it_has_the_mean_of_each_of_the_last_minutes() -> None:
    lately = Lately()
    for at, percent in ((0, 90.0), (600, 10.0), (659, 30.0), (1199, 50.4)):
        lately.add(at, {ID: percent})
    assert lately.told(1199) == {ID: [20, *[None] * 8, 50]}
    assert lately.told(1260) == {ID: [*[None] * 7, 50, None, None]}


def test_what_is_unknown_is_none_and_what_is_odd_has_bounds() -> None:
    lately = Lately()
    lately.add(60, {ID: None, "a/b": math.nan, "a/c": 250.0, "a/d": -1.0})
    assert lately.told(60) == {"a/c": [*[None] * 9, 100], "a/d": [*[None] * 9, 0]}


def test_a_clock_that_is_put_back_leaves_nothing_behind() -> None:
    lately = Lately()
    lately.add(6000, {ID: 1.0})
    lately.add(600, {ID: 2.0})
    assert lately.told(600) == {ID: [*[None] * 9, 2]}


def test_what_has_left_is_forgotten_and_a_beat_has_a_length() -> None:
    lately = Lately()
    lately.add(0, {f"a/{n:04}": 1.0 for n in range(300)})
    assert len(lately.told(0)) == MOST_DATABASES
    lately.keep({"a/0001"})
    assert list(lately.told(0)) == ["a/0001"]
