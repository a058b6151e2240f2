"""What a chart of a simulation shows, as values: one database over the time played.

Its load and its OCPUs, when it was short of them, and what it has cost so far, beside sizes that
never change. `drawing` makes a picture of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from pgherd.decide.comparison import DAY_SECONDS, Way
from pgherd.decide.simulation import Played
from pgherd.fleet.desired import Database
from pgherd.prices.money import format_money
from pgherd.report.thinning import Point, Span, joined, thinned
from pgherd.units import number

MOST_POINTS = 400
"""Of a line. One that goes in steps has two corners for each, so it has half of them."""
MOST_SPANS = 200
LONGEST_TITLE = 120
FEW_DAYS = 2


@dataclass(frozen=True, slots=True)
class Line:
    """What a line is called, and where it goes."""

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that is drawn; times are in `unit`, from 0 to `end`."""

    title: str
    unit: str
    end: float
    wanted: Line
    given: Line
    short_label: str
    short: tuple[Span, ...]
    costs: tuple[Line, ...]
    currency: str


def simulation_chart(
    database: Database,
    ways: Mapping[Way, Played],
    load: str,
    hour_cost: Decimal,
    currency: str,
) -> Chart:
    """The autopilot's load and OCPUs, and the cost each way.

    `load` is what the load means, `hour_cost` is of an OCPU of one instance.
    """
    played = ways[Way.AUTOPILOT]
    days = played.seconds / DAY_SECONDS
    unit, seconds = ("hours", 3600) if days <= FEW_DAYS else ("days", DAY_SECONDS)
    wanted = _scaled(_wanted(played), seconds)
    given = _scaled(_given(played), seconds)
    spans = tuple((start / seconds, end / seconds) for start, end in _short(played))
    end = played.seconds / seconds
    hour = float(hour_cost) * (1 + database.replicas.min)
    return Chart(
        title=_title(database, load, days),
        unit=unit,
        end=end,
        wanted=Line("wanted", thinned(wanted, MOST_POINTS)),
        given=Line("given", thinned(given, MOST_POINTS // 2)),
        short_label=f"short of OCPUs: {played.throttled_minutes:,.0f} min",
        short=joined(spans, end / MOST_SPANS),
        costs=tuple(_cost(way, of, hour, seconds, currency) for way, of in ways.items()),
        currency=currency,
    )


def _title(database: Database, load: str, days: float) -> str:
    low, high = database.ocpus.initial, database.ocpus.max
    bounds = f"{low}..{high} OCPUs" if database.autoscale else f"always {number(low, 'OCPU')}"
    means = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in load)
    if len(means) > LONGEST_TITLE:
        means = f"{means[: LONGEST_TITLE - 1]}…"
    return f"{means}\n{database.id}, {number(round(days), 'day')}, {bounds}"


def _scaled(points: Iterator[Point], seconds: float) -> list[Point]:
    return [(time / seconds, value) for time, value in points]


def _wanted(played: Played) -> Iterator[Point]:
    now = 0.0
    for step in played.steps:
        yield now, step.wanted
        now += step.seconds
    if played.steps:
        yield now, played.steps[-1].wanted


def _given(played: Played) -> Iterator[Point]:
    """Where it changes, and the end."""
    now, before = 0.0, None
    for step in played.steps:
        if step.ocpus != before:
            yield now, step.ocpus
            before = step.ocpus
        now += step.seconds
    if before is not None:
        yield now, before


def _short(played: Played) -> Iterator[Span]:
    now = 0.0
    for step in played.steps:
        if step.wanted > step.ocpus:
            yield now, now + step.seconds
        now += step.seconds


def _cost(way: Way, played: Played, hour: float, seconds: float, currency: str) -> Line:
    """What has been paid so far: straight for as long as a size stays."""
    points: list[Point] = [(0.0, 0.0)]
    for (start, ocpus), (end, _) in pairwise(_given(played)):
        points.append((end / seconds, points[-1][1] + (end - start) / 3600 * ocpus * hour))
    total = format_money(Decimal(points[-1][1]), currency)
    size = "" if way is Way.AUTOPILOT else f" ({number(_size(played), 'OCPU')})"
    short = f"{played.throttled_minutes:,.0f} min short"
    return Line(f"{way}{size}: {total}, {short}", thinned(points, MOST_POINTS))


def _size(played: Played) -> int:
    return played.steps[0].ocpus if played.steps else 0
