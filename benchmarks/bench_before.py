"""What a change costs: this version and an earlier one in turn, with the whole example fleet.

The earlier one is another clone that is set up (`make setup`), named by PGHERD_BEFORE.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from measure import Report, arguments, median, say
from sandbox import CLONE, Sandbox, sandbox

TARGET = 0.97
"""Of the earlier version's speed."""
EXAMPLE = CLONE / "examples/ecommerce/fleet.yaml"
PGBENCH = max(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
Samples = dict[str, dict[str, list[float]]]


def pgbench(url: str, *options: str) -> str:
    return subprocess.run(
        [PGBENCH, "-n", *options, url], check=True, capture_output=True, text=True
    ).stdout


def tps(url: str, seconds: int, *options: str) -> float:
    output = pgbench(url, "-c", "8", "-T", str(seconds), *options)
    found = re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)
    assert found, output
    return float(found[1])


def measure_up(fleet: Sandbox, found: dict[str, list[float]]) -> None:
    found["up, runs per minute"].append(60 / fleet.run("up").seconds)


def measure(fleet: Sandbox, seconds: int, found: dict[str, list[float]]) -> None:
    """One life of one version; times are kept as speeds, for more to be better everywhere."""
    measure_up(fleet, found)
    fleet.run("status")
    for _ in range(9):
        found["status, runs per second"].append(1 / fleet.run("status").seconds)
        found["second up, runs per second"].append(1 / fleet.run("up").seconds)
    url = fleet.run("url", "staging/auth").output.strip()
    pgbench(url, "-i", "-q", "-s", "5")
    for _ in range(2):
        found["pooled, select, tps"].append(tps(url, seconds, "-S", "-M", "prepared"))
        found["pooled, tpcb, tps"].append(tps(url, seconds, "-M", "prepared"))
    found["pooled, connect each time, tps"].append(tps(url, seconds, "-S", "-C"))


def main() -> int:
    """Run it."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=2, help="pairs of lives, in turned order")
    parser.add_argument("--ups", type=int, default=4, help="pairs of `up` alone, which varies most")
    parser.add_argument("--seconds", type=int, default=6, help="length of one run of pgbench")
    options = parser.parse_args()
    before = os.environ.get("PGHERD_BEFORE")
    if not before:
        say("nothing to compare with: set PGHERD_BEFORE to a clone of the earlier version")
        return 0
    programs = {"now": CLONE / "bin/pgherd", "before": Path(before) / "bin/pgherd"}
    report = Report("before")
    found: Samples = {name: defaultdict(list) for name in programs}
    for number in range(options.rounds + options.ups):
        # The second of two fleets finds the disk fuller: who is second changes.
        for name in ("before", "now") if number % 2 == 0 else ("now", "before"):
            say(f"round {number + 1}: {name}")
            with sandbox(EXAMPLE, options.logs, programs[name]) as fleet:
                if number < options.rounds:
                    measure(fleet, options.seconds, found[name])
                else:
                    measure_up(fleet, found[name])
    report.samples = dict(found)
    for title, values in found["now"].items():
        report.add(
            title,
            median(values),
            floor=median(found["before"][title]),
            target=TARGET,
            target_is_ratio=True,
            at_least=True,
        )
    return report.finish(options.json)


if __name__ == "__main__":
    sys.exit(main())
