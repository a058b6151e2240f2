"""What is about to come, from days and weeks before, and when that is not believed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from pgherd.decide.season import DAY, SLOT_SECONDS, Season, coming, learn

DAYS = 86_400.0


def lived(
    need: Callable[[float], float | None], days: float, season: Season | None = None
) -> Season:
    season = season or Season()
    count = int(days * DAYS / 300)
    start = (season.slot + 1) * SLOT_SECONDS
    for n in range(count):
        at = start + n * 300
        season = learn(season, at, need(at))
    return season


def office(at: float) -> float:
    """Busy from nine to five."""
    return 8.0 if 9 <= at % DAYS / 3600 < 17 else 1.0


def test_nothing_is_known_of_the_first_day() -> None:
    assert coming(Season()) == 0.0
    assert coming(lived(office, 0.9)) == 0.0


def test_the_third_morning_is_expected_before_it_comes() -> None:
    season = lived(office, 2 + 8.75 / 24)
    assert season.slot == 2 * DAY + 52  # 8:40 to 8:50
    assert season.is_trusted
    assert coming(season) == 8.0
    early = lived(office, 2 + 8 / 24)
    assert coming(early) == 1.0


def test_a_week_says_more_than_a_day() -> None:
    def weekly(at: float) -> float:
        return office(at) if at // DAYS % 7 < 5 else 1.0

    season = lived(weekly, 14 + 5 + 9 / 24)  # a Saturday
    assert season.is_trusted
    assert coming(season) < 4.0


def test_what_has_been_worse_than_to_expect_no_change_is_not_believed() -> None:
    random = Random(1)
    level = [5.0]

    def wandering(_: float) -> float:
        level[0] = max(0.0, level[0] + random.gauss(0, 0.2))
        return level[0]

    season = lived(wandering, 4)
    assert season.error is not None
    assert not season.is_trusted
    assert coming(season) == 0.0


def test_an_unknown_sample_teaches_nothing() -> None:
    season = lived(office, 3)
    assert learn(season, 4 * DAYS, None) == season


def test_after_a_gap_no_slot_is_compared_with_one_of_long_ago() -> None:
    season = lived(office, 3)
    later = learn(season, 5 * DAYS, 1.0)
    assert later.before == ()
    assert learn(later, 5 * DAYS + SLOT_SECONDS, 1.0).error == later.error
