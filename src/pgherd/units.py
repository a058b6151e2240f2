"""Sizes, percents, days, durations, ranges and counts: read and printed here and nowhere else.

Each value has one `parse_...` and one `format_...`, and what is printed reads back as exactly
the same value. Sizes are bytes in decimal (2TB) or binary (2TiB) units, and print in the unit
in which they are shortest. `rounded_bytes` is for people's eyes only and does not read back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from pgherd.errors import InputError

UNLIMITED = "unlimited"
MAX_BYTES = 2**63 - 1

_DECIMAL_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15, "EB": 10**18}
_BINARY_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50, "EiB": 2**60}
_UNITS = {"B": 1, **_DECIMAL_UNITS, **_BINARY_UNITS}
_UNITS_BY_LOWER_CASE = {unit.lower(): factor for unit, factor in _UNITS.items()}

_SIZE = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?) ?([A-Za-z]{1,3})")
_WHOLE = re.compile(r"[0-9]{1,15}")
_PERCENT = re.compile(r"([0-9]{1,3}) ?%")
_DAYS = re.compile(r"([0-9]{1,6}) ?d")
_DURATION = re.compile(
    r"(?=[0-9])(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)s)?"
)


def quoted(text: str) -> str:
    """Somebody else's text as it may stand in a message: short, and on one line."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def number(count: int, noun: str) -> str:
    """As in: 1 database, 30 databases."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def parse_whole(text: str) -> int:
    """A whole number, as in `2`."""
    if not _WHOLE.fullmatch(text):
        raise InputError(f"{quoted(text)} is not a whole number", "write digits only, as in 2")
    return int(text)


def parse_bytes(text: str) -> int:
    """A size such as `2TB`, `1.5 GB` or `64MiB`, in bytes."""
    match = _SIZE.fullmatch(text)
    factor = _UNITS_BY_LOWER_CASE.get(match[2].lower()) if match else None
    if match is None or factor is None:
        units = ", ".join(_UNITS)
        raise InputError(
            f"{quoted(text)} is not a size", f"write a number and a unit, as in 2TB ({units})"
        )
    size = Decimal(match[1]) * factor
    if size != int(size):
        raise InputError(f"{quoted(text)} is not a whole number of bytes", "write fewer decimals")
    if size > MAX_BYTES:
        raise InputError(
            f"{quoted(text)} is more than {format_bytes(MAX_BYTES)}", "write a smaller size"
        )
    return int(size)


def format_bytes(size: int) -> str:
    """The shortest text that reads back as exactly `size`: 2TB stays 2TB, 1GiB stays 1GiB."""
    candidates = [f"{size}B"]
    for unit, factor in (*_DECIMAL_UNITS.items(), *_BINARY_UNITS.items()):
        thousandths, rest = divmod(size * 1000, factor)
        if rest == 0 and size >= factor:
            whole, part = divmod(thousandths, 1000)
            fraction = f".{part:03}".rstrip("0") if part else ""
            candidates.append(f"{whole}{fraction}{unit}")
    return min(candidates, key=len)


def rounded_bytes(size: int) -> str:
    """A measured size with three digits, as in 12.3MB. Not exact, and not to be read back."""
    for unit, factor in reversed(_DECIMAL_UNITS.items()):
        # A size that would round up to 1000 of the smaller unit takes this one.
        if size * 1000 >= factor * 999.5:
            value = size / factor
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{digits}f}{unit}"
    return f"{size}B"


def parse_percent(text: str) -> int:
    """A percentage such as `80%`, from 0 to 100."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise InputError(f"{quoted(text)} is not a percentage", "write one as in 80%")
    if int(match[1]) > 100:
        raise InputError(f"{quoted(text)} is more than 100%", "write 100% or less")
    return int(match[1])


def format_percent(percent: int) -> str:
    """As in 80%."""
    return f"{percent}%"


def parse_days(text: str) -> int:
    """A number of days such as `30d`."""
    match = _DAYS.fullmatch(text)
    if match is None:
        raise InputError(f"{quoted(text)} is not a number of days", "write one as in 30d")
    return int(match[1])


def format_days(days: int) -> str:
    """As in 30d."""
    return f"{days}d"


def parse_duration(text: str) -> timedelta:
    """A duration such as `90s`, `1h30m` or `0.5s`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise InputError(f"{quoted(text)} is not a duration", "write one as in 90s, 15m or 1h30m")
    hours, minutes, seconds = (Decimal(part or 0) for part in match.groups())
    microseconds = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000
    return timedelta(microseconds=int(microseconds))


def format_duration(duration: timedelta) -> str:
    """As in 1h30m: exact to the microsecond. Durations are never negative."""
    seconds, microseconds = divmod(duration // timedelta(microseconds=1), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{microseconds:06}".rstrip("0") if microseconds else ""
    parts = [f"{hours}h"] if hours else []
    parts += [f"{minutes}m"] if minutes else []
    parts += [f"{seconds}{fraction}s"] if seconds or fraction or not parts else []
    return "".join(parts)


def parse_range(text: str, parse: Callable[[str], int], low_name: str = "min") -> tuple[int, int]:
    """A range such as `2..128`; a value alone is a range of itself."""
    low, high = parse_open_range(text, parse, low_name)
    if high is None:
        raise InputError("max cannot be unlimited", f"write one as in {_low_text(text)}..128")
    return low, high


def parse_open_range(
    text: str, parse: Callable[[str], int], low_name: str = "min"
) -> tuple[int, int | None]:
    """A range whose upper end may be `unlimited`, which is None: `2TB..unlimited`."""
    low_text, dots, high_text = (part.strip() for part in text.partition(".."))
    low = parse(low_text)
    if not dots:
        return low, low
    if high_text.lower() == UNLIMITED:
        return low, None
    high = parse(high_text)
    if high < low:
        raise InputError(
            f"max {high_text} is below {low_name} {low_text}",
            f"write {low_text}..{low_text} or more",
        )
    return low, high


def format_range(low: int, high: int | None, form: Callable[[int], str] = str) -> str:
    """As in `2..128`, `2TB..unlimited`, or the value alone where both ends are the same."""
    if high is None:
        return f"{form(low)}..{UNLIMITED}"
    return form(low) if low == high else f"{form(low)}..{form(high)}"


def clamp(value: int, low: int, high: int) -> int:
    """The nearest value within the bounds."""
    return max(low, min(value, high))


def _low_text(text: str) -> str:
    return text.partition("..")[0].strip()
