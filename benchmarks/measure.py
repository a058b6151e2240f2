"""What all benchmarks share: arguments, and how results are shown and kept.

A measurement is a number beside its floor, measured in the same run on the same machine, and
beside its target where it has one. Absolute times differ from machine to machine, ratios little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number. `ratio` is value / floor; `target` bounds the ratio, or the value itself.

    `at_least` says that more is better.
    """

    name: str
    value: float
    unit: str = ""
    floor: float | None = None
    target: float | None = None
    target_is_ratio: bool = False
    at_least: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the floor."""
        return self.value / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        number = self.ratio if self.target_is_ratio else self.value
        if number is None:
            return False
        return number >= self.target if self.at_least else number <= self.target


@dataclass(slots=True)
class Report:
    """All measurements of one benchmark, in the order in which they are shown.

    `samples` holds the single results that they were made from.
    """

    benchmark: str
    measurements: list[Measurement] = field(default_factory=list)
    samples: dict[str, Any] = field(default_factory=dict)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])

    def add(self, name: str, value: float, unit: str = "", **rest: Any) -> None:
        """Keep one measurement."""
        self.measurements.append(Measurement(name, value, unit, **rest))

    def table(self) -> str:
        """A table to read."""
        header = ("", "measured", "floor", "ratio", "target", "", "")
        rows = [header, *(_row(m) for m in self.measurements)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        return "\n".join(_line(row, widths) for row in rows)

    def finish(self, path: Path | None) -> int:
        """Print the table, write the JSON; the exit code: 1 where a target is missed."""
        print(f"\n{self.machine()}\n\n{self.table()}")
        if path:
            path.write_text(json.dumps(self.as_json(), indent=1) + "\n")
        missed = [m.name for m in self.measurements if m.met is False]
        print(f"\nmissed: {', '.join(missed)}" if missed else "\nall targets met")
        return 1 if missed else 0

    def machine(self) -> str:
        """Where and when it was measured."""
        return (
            f"{os.cpu_count()} cores, {_memory_gib():.0f} GiB, {platform.release()}, "
            f"load {self.load_before:.1f} before, {self.began:%Y-%m-%d %H:%M} UTC"
        )

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "benchmark": self.benchmark,
            "began": self.began.isoformat(timespec="seconds"),
            "machine": self.machine(),
            "measurements": [
                {**asdict(m), "ratio": m.ratio, "met": m.met} for m in self.measurements
            ],
            "samples": self.samples,
        }


def arguments(description: str) -> argparse.ArgumentParser:
    """The arguments that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    parser.add_argument(
        "--logs", type=Path, metavar="FOLDER", help="copy the logs of the fleet there at the end"
    )
    return parser


def median(values: Sequence[float]) -> float:
    """The median; not a number for none."""
    return statistics.median(values) if values else float("nan")


def say(text: str) -> None:
    """One line about what is being done."""
    print(text, flush=True)


def _row(m: Measurement) -> tuple[str, ...]:
    ratio = "" if m.ratio is None else f"{m.ratio:.2f}"
    sign = "" if m.target is None else (">=" if m.at_least else "<=")
    bound = "" if m.target is None else f"{sign} {m.target:g}"
    if bound:
        bound += " x" if m.target_is_ratio else f" {m.unit}"
    verdict = {None: "", True: "met", False: "MISSED"}[m.met]
    floor = "" if m.floor is None else _number(m.floor, m.unit)
    return (m.name, _number(m.value, m.unit), floor, ratio, bound.rstrip(), verdict, m.note)


def _number(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".rstrip() if value == value else "-"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        cell.ljust(width) if column in (0, 5, 6) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
