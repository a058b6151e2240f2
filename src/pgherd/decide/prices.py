"""What a place charges: a table with a date and a source, shipped with pgherd or the user's own.

The types are the file: each field is a key, so a wrong table is told by line and key, with what
to write instead, and all of it at once. Amounts are exact decimals; only sums of money that are
shown are rounded, to cents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from pgherd.errors import InputError
from pgherd.fleet.document import Document, parse, shown
from pgherd.fleet.problem import Problem, ProblemReport
from pgherd.units import parse_bytes, parse_whole, quoted

SHIPPED = Path(__file__).with_name("prices.yaml")
"""The table that holds unless the user names another."""

CENT = Decimal("0.01")

_MAX_BYTES = 1_000_000
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_START_HINT = "start with a copy of the table that pgherd has: currency:, as_of:, source:, engines:"
_NO_SHARE_HINT = "write the value itself"
_PLACE_HINTS = {"start with fleet": _START_HINT, "write values that are shared": _NO_SHARE_HINT}
"""The fleet file's reader reads this one too, but some of its advice is for fleet files."""


def _reads(parse: Callable[[str], Any]) -> PlainValidator:
    """Marks a key whose value `parse` reads from the text in the file."""

    def read(value: object) -> Any:
        try:
            if value is None:
                raise InputError("has no value", "write one, or remove the key")
            if not isinstance(value, str):
                raise InputError("this is not a single value", "write one after the colon")
            return parse(value)
        except InputError as error:
            context = {"message": error.message, "hint": error.hint}
            raise PydanticCustomError("unreadable", "{message}", context) from None

    return PlainValidator(read)


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise InputError(f"{quoted(text)} is not a number", "write one as in 0.098")
    return Decimal(text)


def _positive(text: str) -> int:
    if (number := parse_whole(text)) == 0:
        raise InputError("0 is too small", "write 1 or more")
    return number


def _currency(text: str) -> str:
    if not _CURRENCY.fullmatch(text):
        raise InputError(f"{quoted(text)} is not a currency", "write its code, as in USD")
    return text


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise InputError(f"{quoted(text)} is not a day", "write one as in 2026-08-21") from None


def _line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise InputError(f"{quoted(text)} is not a line of text", "write some words")
    return text


def _priced(value: object) -> object:
    return value if isinstance(value, dict) else {"price": value}


Number = Annotated[Decimal, _reads(_number)]
Line = Annotated[str, _reads(_line)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Price:
    """An amount of money; `estimate` says why it is not certain, and is empty where it is."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    price: Number
    estimate: Line = ""


Priced = Annotated[Price, BeforeValidator(_priced)]


@dataclass(frozen=True, slots=True)
class Series:
    """One series of shapes: what an hour of an OCPU and of a GB of memory costs."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    service_per_ocpu_hour: Priced
    compute_per_ocpu_hour: Priced
    memory_per_gb_hour: Priced
    memory_gb_per_ocpu: Number
    up_to_ocpus: Annotated[int | None, _reads(_positive)] = None


@dataclass(frozen=True, slots=True)
class Performance:
    """What a month of one performance unit on a GB costs, and how many each GB has."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    unit_per_gb_month: Priced
    units_per_gb: Number


@dataclass(frozen=True, slots=True)
class PoolerPrices:
    """What an hour of a pooler's virtual machine costs."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    compute_per_ocpu_hour: Priced
    memory_per_gb_hour: Priced


@dataclass(frozen=True, slots=True)
class EnginePrices:
    """What one engine charges. `storage_limit` is where storage ends that the file leaves open."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    series: Annotated[Mapping[str, Series], Field(min_length=1)]
    storage_per_gb_month: Priced
    storage_gb_per_tb: Annotated[int, _reads(_positive)]
    storage_limit: Annotated[int, _reads(parse_bytes)]
    performance: Performance | None = None
    poolers: PoolerPrices | None = None

    def series_for(self, ocpus: int) -> str:
        """The smallest series that has so many OCPUs, or the largest where none has."""

        def reach(name: str) -> float:
            return self.series[name].up_to_ocpus or float("inf")

        enough = [name for name in self.series if reach(name) >= ocpus]
        return min(enough, key=reach) if enough else max(self.series, key=reach)


@dataclass(frozen=True, slots=True)
class PriceTable:
    """All prices, in one currency, as they were on one day."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    currency: Annotated[str, _reads(_currency)]
    as_of: Annotated[date, _reads(_day)]
    source: Line
    engines: Annotated[Mapping[str, EnginePrices], Field(min_length=1)]

    def priced_as(self, engine: str) -> str:
        """The engine whose prices hold for `engine`: its own, else the first of the table."""
        return engine if engine in self.engines else next(iter(self.engines))


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


def format_money(amount: Decimal, currency: str, *, signed: bool = False) -> str:
    """As in $16,965.12, or EUR 1,234.00; `signed` puts a plus before what is not negative."""
    cents = to_cents(amount)
    sign = "-" if cents < 0 else "+" if signed else ""
    symbol = "$" if currency == "USD" else f"{currency} "
    return f"{sign}{symbol}{abs(cents):,.2f}"


def to_cents(amount: Decimal) -> Decimal:
    """Rounded as money is: half a cent goes up."""
    return amount.quantize(CENT, ROUND_HALF_UP)


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
