"""The logs of databases: an ability that an engine may lack."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from pgherd.fleet.desired import DatabaseId


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log of one component (`postgresql`, `patroni`, `pooler`, ...)."""

    source: str
    text: str


class Logs(Protocol):
    """What the components of databases wrote."""

    def read(
        self, id: DatabaseId, *, instance: str | None = None, lines: int = 50, follow: bool = False
    ) -> AsyncIterator[LogLine]:
        """The last lines of every component's log, then those that come, if `follow`.

        InputError for a database that is not there, at the latest with the first line.
        """
        ...
