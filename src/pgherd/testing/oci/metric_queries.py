"""A strict subset of Monitoring's query language; anything else is refused, never guessed.

Name[interval]{dimension = "value", ...}.groupBy(dimension, ...).statistic()
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pgherd.testing.oci.refusals import invalid

STATISTICS = ("mean", "max", "min", "sum", "count")
_QUERY = re.compile(
    r"\s*(?P<name>[A-Za-z][\w-]*)\s*\[(?P<interval>\d+[mhd])\]\s*"
    r"(?:\{(?P<filters>[^{}]*)\})?\s*"
    r"(?:\.groupBy\((?P<groups>[^()]*)\))?\s*"
    r"\.(?P<statistic>\w+)\(\)\s*"
)
_FILTER = re.compile(r'\s*(\w+)\s*=\s*"([^"]*)"\s*')
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Query:
    """One question about one metric."""

    name: str
    interval: timedelta
    filters: Mapping[str, str]
    groups: tuple[str, ...] | None
    statistic: str


def parse(text: str, dimensions: frozenset[str]) -> Query:
    """Read a query; `dimensions` are those that the metric has."""
    match = _QUERY.fullmatch(text)
    if match is None:
        raise invalid(f"Invalid query: {text!r}")
    if match["statistic"] not in STATISTICS:
        raise invalid(f"Invalid query: statistic {match['statistic']!r} is not known here")
    groups = None
    if match["groups"] is not None:
        groups = tuple(each.strip() for each in match["groups"].split(","))
    filters = _filters(match["filters"] or "")
    for name in (*filters, *(groups or ())):
        if name not in dimensions:
            raise invalid(f"Invalid query: {name!r} is no dimension of {match['name']}")
    interval = match["interval"]
    length = timedelta(**{_UNITS[interval[-1]]: int(interval[:-1])})
    if not timedelta(minutes=1) <= length <= timedelta(days=1):
        raise invalid(f"Invalid query: interval {interval} is not 1m..1d")
    return Query(match["name"], length, filters, groups, match["statistic"])


def _filters(text: str) -> dict[str, str]:
    if not text.strip():
        return {}
    found = {}
    for part in text.split(","):
        match = _FILTER.fullmatch(part)
        if match is None:
            raise invalid(f"Invalid query: filter {part!r}")
        found[match[1]] = match[2]
    return found
