"""Prometheus' text format, version 0.0.4. Pure.

Whatever a label says, there is one line for each sample: the format has escapes for backslashes,
quotes and line feeds, and all else that does not print is shown as an escape beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value; bools are 1 and 0."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one name. `kind` is `gauge` or `counter`."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


def text(families: Iterable[Family]) -> str:
    """The document. Families without a sample are left out, and no sample is there twice."""
    return "".join(line for family in families for line in _lines(family))


def printable(value: str) -> str:
    """The same without characters that do not print; line feeds stay."""
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() or c == "\n" else _shown(c) for c in value)


def _lines(family: Family) -> Iterator[str]:
    # A number that is none is not known. Names that differ in what does not print are alike.
    found = {_labels(s.labels): s.value for s in family.samples if isfinite(s.value)}
    if not found:
        return
    help = printable(family.help).replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {family.name} {help}\n# TYPE {family.name} {family.kind}\n"
    for labels, value in sorted(found.items()):
        yield f"{family.name}{labels} {_number(value)}\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    shown = printable(value)
    return shown.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if isinstance(value, int) else repr(float(value))


def _shown(character: str) -> str:
    return character.encode("unicode_escape").decode()
