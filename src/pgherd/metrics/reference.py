"""The tables of docs/metrics.md, made from the series and the rules themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pgherd.metrics.families import INFO
from pgherd.metrics.rules import RULES
from pgherd.metrics.series import (
    OF_AUTOPILOT,
    OF_DATABASE,
    OF_ENGINE,
    OF_ENVIRONMENT,
    OF_INSTANCE,
    Series,
)

_OF: tuple[tuple[str, Sequence[Series[Any]]], ...] = (
    ("", OF_AUTOPILOT),
    ("engine", OF_ENGINE),
    ("environment", OF_ENVIRONMENT),
    ("environment, service", OF_DATABASE),
    ("environment, service, instance, role", OF_INSTANCE),
)


def with_reference(page: str) -> str:
    """The page with its tables made anew."""
    return _with(_with(page, "series", series_table()), "rules", rules_table())


def series_table() -> Iterator[str]:
    """A row of Markdown for each series."""
    yield from ("| name | type | labels | means |", "|---|---|---|---|")
    yield f"| `{INFO.name}` | {INFO.kind} | fleet, version | {INFO.help} |"
    for labels, found in _OF:
        for one in found:
            more = ", state" if one.name == "pgherd_database_state" else ""
            yield f"| `{one.name}` | {one.kind} | {labels}{more} | {one.help} |"


def rules_table() -> Iterator[str]:
    """A row of Markdown for each alert rule."""
    yield from ("| alert | after | severity | when |", "|---|---|---|---|")
    for rule in RULES:
        expr = rule.expr.replace("|", "\\|")
        yield f"| {rule.name} | {rule.lasts} | {rule.severity} | `{expr}` |"


def _with(page: str, name: str, table: Iterator[str]) -> str:
    before, begin, rest = page.partition(f"<!-- {name}: made by make docs -->")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    lines = "\n".join(table)
    return f"{before}{begin}\n\n{lines}\n\n{end}{after}"
