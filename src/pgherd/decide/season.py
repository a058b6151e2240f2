"""What load is about to come, from the days and weeks before: pure, and humble.

A day and a week are parted into slots. What each slot needed is remembered, and said of the slots
to come. It is believed only as long as it has lately been nearer to the truth than whoever says
that all will stay as it is; and it only ever raises what a database is to have.

Times are seconds of one clock that only goes forward and began at midnight before a Monday; need
is in OCPUs.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

SLOT_SECONDS = 600.0
DAY = 144
WEEK = 7 * DAY
"""Slots in each."""
AHEAD = 2
"""So many slots are looked ahead: a database that grows in time has its cache before its load."""
KEPT = 0.7
"""Of what a slot needed last time, where it needs less now; where it needs more, that counts."""
RECENT = 1 / 36
"""Weight of the newest slot in the errors: they are of about six hours."""


class Season(Struct, frozen=True):
    """What is remembered of one database: of each slot of a day and of a week, what it needed.

    None where it is not known yet. `slot` is the present one, counted from the clock's beginning,
    `need` the most that it has needed so far, `before` what the last slots needed, the newest
    first. The errors are averages: of what was said here, and of `all stays as it is`.
    """

    slot: int = -1
    need: float = 0.0
    before: tuple[float, ...] = ()
    day: tuple[float | None, ...] = (None,) * DAY
    week: tuple[float | None, ...] = (None,) * WEEK
    error: float | None = None
    plain_error: float | None = None

    def expected(self, slot: int) -> float | None:
        """What that slot will need, as the same one of a week ago says, else of a day ago."""
        weekly = self.week[slot % WEEK]
        return self.day[slot % DAY] if weekly is None else weekly

    @property
    def is_trusted(self) -> bool:
        """It has been no worse than to say that all stays as it is."""
        if self.error is None or self.plain_error is None:
            return False
        return self.error <= self.plain_error


def learn(season: Season, at: float, need: float | None) -> Season:
    """The season with one more sample; an unknown one teaches nothing."""
    if need is None:
        return season
    slot = int(at // SLOT_SECONDS)
    if slot == season.slot:
        return season if need <= season.need else replace(season, need=need)
    learnt = _closed(season) if season.slot >= 0 else season
    # What lies between two slots that are apart was not seen.
    before = (learnt.need, *learnt.before)[:AHEAD] if slot == season.slot + 1 else ()
    return replace(learnt, slot=slot, need=need, before=before)


def coming(season: Season) -> float:
    """OCPUs that will be needed soon; 0 where nobody can say."""
    if not season.is_trusted:
        return 0.0
    slots = range(season.slot, season.slot + AHEAD + 1)
    return max(season.expected(slot) or 0.0 for slot in slots)


def _closed(season: Season) -> Season:
    """The present slot is over."""
    need, expected = season.need, season.expected(season.slot)
    error, plain = season.error, season.plain_error
    if expected is not None and len(season.before) == AHEAD:
        error = _recent(error, abs(expected - need))
        plain = _recent(plain, abs(season.before[-1] - need))
    return replace(
        season,
        day=_with(season.day, season.slot % DAY, need),
        week=_with(season.week, season.slot % WEEK, need),
        error=error,
        plain_error=plain,
    )


def _recent(before: float | None, now: float) -> float:
    return now if before is None else before + RECENT * (now - before)


def _with(slots: tuple[float | None, ...], place: int, need: float) -> tuple[float | None, ...]:
    old = slots[place]
    kept = need if old is None else max(need, KEPT * old + (1 - KEPT) * need)
    return (*slots[:place], kept, *slots[place + 1 :])
