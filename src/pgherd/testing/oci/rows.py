"""What a test has written into a database, with the time of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any


class Rows(list[Any]):
    """A list that remembers when each row came, so that restores can go back."""

    def __init__(self, now: Callable[[], datetime], rows: Iterable[Any] = ()) -> None:
        super().__init__(rows)
        self._now = now
        self._at = [now() for _ in self]

    def append(self, row: Any) -> None:
        """Write a row, now."""
        super().append(row)
        self._at.append(self._now())

    def extend(self, rows: Iterable[Any]) -> None:
        """Write rows, now."""
        for row in rows:
            self.append(row)

    def until(self, at: datetime | None = None) -> Rows:
        """A copy with the rows written up to a time, and their times."""
        copy = Rows(self._now)
        for row, written in zip(self, self._at, strict=True):
            if at is None or written <= at:
                list.append(copy, row)
                copy._at.append(written)
        return copy

    def clear(self) -> None:
        """Lose all."""
        super().clear()
        self._at.clear()
