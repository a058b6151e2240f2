"""Lines of logs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log of one component (`postgresql`, `patroni`, `pooler`, ...)."""

    source: str
    text: str
