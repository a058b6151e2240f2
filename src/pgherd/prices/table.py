"""The types of a price table. They are its file too: each field is a key, amounts are exact."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
)
from pydantic_core import PydanticCustomError

from pgherd.errors import InputError
from pgherd.units import parse_bytes, parse_whole, quoted

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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
