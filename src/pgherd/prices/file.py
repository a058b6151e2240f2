"""A price table as a file.

A wrong one is told by line and key, with what to write instead, and all of it at once.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pgherd.errors import InputError
from pgherd.fleet.document import Document, parse, shown
from pgherd.fleet.problem import Problem, ProblemReport
from pgherd.prices.table import PriceTable

SHIPPED = Path(__file__).with_name("prices.yaml")
"""The table that holds unless the user names another."""

_MAX_BYTES = 1_000_000
_START_HINT = "start with a copy of the table that pgherd has: currency:, as_of:, source:, engines:"
_NO_SHARE_HINT = "write the value itself"
_PLACE_HINTS = {"start with fleet": _START_HINT, "write values that are shared": _NO_SHARE_HINT}
"""The fleet file's reader reads this one too, but some of its advice is for fleet files."""


def load_prices(path: Path = SHIPPED) -> PriceTable:
    """The table in a file; InputError with everything that is wrong with it."""
    return read_prices(_text(path), str(path))


def read_prices(text: str, file: str) -> PriceTable:
    """The same for a text that is in the file of that name."""
    document = parse(text, file)
    if document.problems:
        raise ProblemReport(_said_of_prices(problem) for problem in document.problems)
    try:
        return TypeAdapter(PriceTable).validate_python(document.data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise ProblemReport(_problem(document, file, details) for details in found) from None


def _text(path: Path) -> str:
    hint = "name another with --prices"
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or "no reason given").lower()
        raise InputError(f"price table {path} cannot be read: {reason}", hint) from None
    except UnicodeDecodeError:
        raise InputError(f"price table {path} is not UTF-8", "save the file as UTF-8") from None
    if len(content) > _MAX_BYTES:
        raise InputError(f"price table {path} is too large for one", hint)
    return text


def _said_of_prices(problem: Problem) -> Problem:
    message = problem.message.replace("is not a fleet", "is not a price table")
    for start, hint in _PLACE_HINTS.items():
        if problem.hint.startswith(start):
            return replace(problem, message=message, hint=hint)
    return problem


def _problem(document: Document, file: str, details: ErrorDetails) -> Problem:
    path = tuple(part for part in details["loc"])
    message, hint = _words(details, str(path[-1]))
    # The file states no place for what is missing, nor for the inside of a plain number.
    stated = path
    while stated not in document.places:
        stated = stated[:-1]
    place = document.place(stated)
    named = path if details["type"] == "missing" else stated
    head = ".".join(shown(str(part)) for part in named)
    return Problem(file, place.line, place.column, f"{head}: {message}", hint)


def _words(details: ErrorDetails, key: str) -> tuple[str, str]:
    match details["type"]:
        case "missing":
            return "is missing", f"write {key}: and a value"
        case "unexpected_keyword_argument":
            return "unknown key", "remove it, or see docs/cost.md for those that there are"
        case "too_short":
            return "is empty", "write at least one below it"
        case "unreadable":
            return details["ctx"]["message"], details["ctx"]["hint"]
        case _:
            return "this is not a mapping", "write KEY: VALUE below it"
