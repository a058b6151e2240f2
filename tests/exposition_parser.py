"""A small reader of Prometheus' text format, written from its description and not from ours."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r'(?:\{(?P<labels>(?:[^"}]|"(?:\\.|[^"\\])*")*)\})?'
    r" (?P<value>\S+)"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:\\.|[^"\\])*)"(,|$)')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Labels = tuple[tuple[str, str], ...]


@dataclass
class Parsed:
    """One family."""

    help: str
    kind: str
    samples: dict[Labels, float] = field(default_factory=dict)


def parse(document: str) -> dict[str, Parsed]:
    """By name; AssertionError for what is not the format, or said twice."""
    assert not document or document.endswith("\n")
    found: dict[str, Parsed] = {}
    for line in document.split("\n")[:-1]:
        if line.startswith("# HELP "):
            name, help = line.removeprefix("# HELP ").split(" ", 1)
            assert name not in found, f"{name} is there twice"
            found[name] = Parsed(_unescaped(help), "")
        elif line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert kind in ("gauge", "counter")
            found[name].kind = kind
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            family = found[match["name"]]
            labels = _labels(match["labels"] or "")
            assert labels not in family.samples, f"{line} is there twice"
            family.samples[labels] = float(match["value"])
    return found


def _labels(text: str) -> Labels:
    found, position = [], 0
    while position < len(text):
        match = _LABEL.match(text, position)
        assert match, text
        found.append((match[1], _unescaped(match[2])))
        position = match.end()
    return tuple(found)


def _unescaped(text: str) -> str:
    return re.sub(r'\\[\\"n]', lambda match: _ESCAPES[match[0]], text)
