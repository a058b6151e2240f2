"""What deciding sizes takes, and what it is worth: no server runs, time is played.

A round of the controller's rules for 100 to 10,000 databases; and a month of days and weeks, noise
and a square wave for a thousand databases, with the autopilot, with its forecast and without,
beside the size that people choose who know the load. What is published for comparison: 2.4 times
less compute than that size (Neon).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measure import Report, arguments, median, say

from pgherd.autopilot import sizes
from pgherd.autopilot.sizes import Memory
from pgherd.contract.meter import Usage
from pgherd.decide.comparison import Way, limits_of, ways
from pgherd.decide.simulation import Played, play
from pgherd.decide.sizing import COOLDOWN_SECONDS
from pgherd.fleet.desired import Database
from pgherd.shapes.file import read_shape
from pgherd.shapes.shape import load
from pgherd.testing.fleets import database, environment

SHAPES = ("day-week", "noise", "square-wave")
LARGEST = 32
MONDAY = date(2026, 11, 2)
STEP_SECONDS = 300.0
AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
PRODUCTION = environment("production", engine="memory")


def databases(count: int) -> Iterator[Database]:
    """So many, each with 2 to 32 OCPUs."""
    return (database(f"s{number}", PRODUCTION, ocpus=(2, LARGEST)) for number in range(count))


def round_seconds(count: int) -> float:
    """A round of deciding for so many busy databases, once each has a history: the median."""
    wanted = list(databases(count))
    memories = [Memory() for _ in wanted]
    took = []
    for number in range(8):
        at = AT + timedelta(seconds=2 * number)
        usage = Usage(at, cpu_percent=70.0 + number, memory_percent=40.0, seconds=2.0)
        began = time.perf_counter()
        for place, one in enumerate(wanted):
            memory = sizes.remembered(memories[place], one, usage, 4, at, 1000.0 + 2 * number)
            memories[place] = memory
            sizes.verdict(memory, one, at, 1000.0 + 2 * number)
        took.append(time.perf_counter() - began)
    return median(took)


def without_forecast(one: Database, shape: str, days: int) -> Played:
    """The same load, with nothing known of the days before."""
    limits = limits_of(one, memory_per_ocpu=1)
    assert limits
    return play(_load(one, shape, days), limits, is_seasonal=False)


def _load(one: Database, shape: str, days: int):  # type: ignore[no-untyped-def]
    seed = str(one.id)
    return load(read_shape(shape), one.ocpus.max, seconds=STEP_SECONDS, days=days, seed=seed)


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--databases", type=int, default=1000, help="of the month")
    parser.add_argument("--days", type=int, default=30, help="of the month")
    options = parser.parse_args()
    report = Report("deciding")
    small = round_seconds(100)
    for count in (1000, 10_000):
        report.add(
            f"a round of deciding for {count:,} databases",
            round_seconds(count),
            "s",
            floor=small * count / 100,
            target=1.0 if count == 10_000 else None,
            note="floor: that of 100, times as many",
        )
    found: dict[Way, list[Played]] = {way: [] for way in Way}
    plain = []
    for place, one in enumerate(databases(options.databases)):
        shape = SHAPES[place % len(SHAPES)]
        for way, played in ways(one, _load(one, shape, options.days), MONDAY):
            found[way].append(played)
        plain.append(without_forecast(one, shape, options.days))
        if (place + 1) % 100 == 0:
            say(f"{place + 1}/{options.databases} databases")
    ours = found[Way.AUTOPILOT]
    months = options.databases * options.days * 12 / 365
    most = max(played.scale_downs for played in ours)
    report.add(
        "compute of the size that people choose, to the autopilot's",
        sum(p.compute for p in found[Way.PROVISIONED]),
        "h",
        floor=sum(p.compute for p in ours),
        target=2.4,
        target_is_ratio=True,
        at_least=True,
    )
    for name, those in (("autopilot", ours), ("without forecast", plain)):
        report.add(f"exhaustions, {name}", sum(p.exhaustions for p in those) / months, "a month")
        minutes = sum(p.throttled_minutes for p in those) / months
        report.add(f"throttled, {name}", minutes, "min a month")
    people = sum(p.exhaustions for p in found[Way.PROVISIONED]) / months
    report.add("exhaustions, the size that people choose", people, "a month")
    report.add(
        "scale-downs of the database with the most",
        most,
        target=options.days * 86_400 / COOLDOWN_SECONDS,
        note="one for each cooldown",
    )
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
