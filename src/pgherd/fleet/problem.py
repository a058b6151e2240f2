"""What is wrong with a fleet file, where, and what to write instead.

A fleet file is checked to its end before anything is said, so that one reading by a person
mends it all. A `ProblemReport` holds every problem, in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pgherd.errors import InputError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. Line and column count from 1; 0 is the file as a whole."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        hint = f"; {self.hint}" if self.hint else ""
        # A terminal refuses what a file name or a text may hold.
        return f"{place}: {self.message}{hint}".encode("utf-8", "backslashreplace").decode()


class ProblemReport(InputError):
    """A file is wrong: the text is one line for each problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda p: (p.line, p.column, p.message)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class FleetFileError(ProblemReport):
    """The fleet file is wrong."""
