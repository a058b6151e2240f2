"""How times, days, dates and time zones of the fleet file are read.

The document keeps every text as it was written, so a time or a date without quotes is read as one
with quotes. Other YAML tools read 22:00 as 1320: what is printed has quotes.
"""

from __future__ import annotations

import re
from datetime import date, time
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from pgherd.errors import InputError
from pgherd.fleet.calendar import YEARS, Weekday, zone
from pgherd.fleet.values import TEXT, Reads
from pgherd.units import quoted

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FULL_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _clock(text: str) -> time:
    if text == "24:00":
        raise InputError(f"{text} is not a time of day", 'write "00:00", which is of the next day')
    if not _CLOCK.fullmatch(text):
        raise InputError(
            f"{quoted(text)} is not a time of day", 'write HH:MM in quotes, as in "08:00"'
        )
    return time.fromisoformat(text)


def _day(text: str) -> Weekday:
    known = [day.value for day in Weekday]
    if text in known:
        return Weekday(text)
    began = text.strip().lower()
    near = [full[:3] for full in _FULL_NAMES if full.startswith(began) and len(began) > 1]
    hint = near[0] if near else f"one of {', '.join(known)}"
    raise InputError(f"{quoted(text)} is not a day of the week", f"write {hint}")


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text if _DATE.fullmatch(text) else "")
    except ValueError:
        raise InputError(
            f"{quoted(text)} is not a date", 'write one in quotes, as in "2026-11-27"'
        ) from None
    if day.year not in YEARS:
        first, last = YEARS[0], YEARS[-1]
        raise InputError(f"{text} is out of range", f"write a year from {first} to {last}")
    return day


def _timezone(text: str) -> str:
    zone(text)
    return text


Clock = Annotated[time, Reads(_clock, {"type": "string", "pattern": f"^({_CLOCK.pattern})$"})]
Day = Annotated[Weekday, Reads(_day, {"enum": [day.value for day in Weekday]})]
SingleDate = Annotated[date, Reads(_date, {"type": "string", "format": "date"})]
Timezone = Annotated[str, Reads(_timezone, TEXT)]


def one_or_several(what: str, example: str, schema: object) -> BeforeValidator:
    """A mapping alone is a list of itself; an example is shown to who writes neither."""

    def listed(value: object) -> object:
        if isinstance(value, str):
            message = f"{quoted(value)} is not {what}"
            context = {"message": message, "hint": f"write {example}, or [] for none"}
            raise PydanticCustomError("unreadable", "{message}", context)
        return [value] if isinstance(value, dict) else value

    return BeforeValidator(listed, json_schema_input_type=schema)
