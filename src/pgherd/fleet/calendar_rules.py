"""What must hold for windows of maintenance and for peaks, wherever the file states them.

What a window says of itself is judged where it is written, once. Whether a peak is within bounds
is judged for each database, since its `ocpus` may be written elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from pgherd.fleet.calendar import clock_text
from pgherd.fleet.desired import Ocpus
from pgherd.fleet.document import Path, in_one_line
from pgherd.fleet.draft import Draft, subject
from pgherd.fleet.models import PEAKS_EXAMPLE, PeakProfile, WindowProfile
from pgherd.fleet.problem import Problem
from pgherd.units import format_range

_PEAK_EXAMPLE = PEAKS_EXAMPLE[0]


def windows_begin_and_end(draft: Draft) -> Iterator[Problem]:
    """A window has two ends, which differ; a peak says what is needed in it."""
    for path, window in _windows(draft):
        needed = ["from", "to", *(["ocpus"] if isinstance(window, PeakProfile) else [])]
        for key in needed:
            if not draft.is_stated(*path, key):
                write = in_one_line({key: _PEAK_EXAMPLE[key]}).strip("{}")
                yield draft.problem(path, _key(path), f"{key} is missing", f"write {write}")
        if window.begin is not None and window.begin == window.end:
            clock = clock_text(window.begin)
            hint = "write another time, as a minute earlier for almost a whole day"
            yield draft.problem((*path, "to"), "to", f"{clock} is when it begins, too", hint)


def windows_have_days(draft: Draft) -> Iterator[Problem]:
    """A window without a day would never open."""
    for path, window in _windows(draft):
        if window.days == ():
            hint = "write [mon, tue], or remove the key for every day"
            yield draft.problem((*path, "days"), "days", "is empty", hint)
        if not isinstance(window, PeakProfile):
            continue
        if window.dates == ():
            hint = 'write ["2026-11-27"], or remove the key'
            yield draft.problem((*path, "dates"), "dates", "is empty", hint)
        if draft.is_stated(*path, "days") and draft.is_stated(*path, "dates"):
            message, hint = "dates stand in place of days", "remove one of the two"
            yield draft.problem((*path, "dates"), "dates", message, hint)


def days_are_stated_once(draft: Draft) -> Iterator[Problem]:
    """Of two that are equal, one is probably mistyped."""
    for path, window in _windows(draft):
        dates = window.dates if isinstance(window, PeakProfile) else None
        for key, days in (("days", window.days), ("dates", dates)):
            for index, day in enumerate(days or ()):
                if day is not None and day in (days or ())[:index]:
                    message = f"{day} is stated twice"
                    yield draft.problem((*path, key, index), key, message, "remove one")


def peaks_are_within_bounds(draft: Draft) -> Iterator[Problem]:
    """No peak makes a database smaller or larger than its `ocpus` allow."""
    for id in draft.databases():
        peaks, ocpus = draft.setting(id, "peaks"), draft.setting(id, "ocpus")
        if peaks.path is None or not isinstance(ocpus.value, Ocpus):
            continue
        low, high = ocpus.value.initial, ocpus.value.max
        for path, peak in _items(draft, peaks.path, peaks.value):
            needed = peak.ocpus if isinstance(peak, PeakProfile) else None
            if needed is None or low <= needed <= high:
                continue
            whose = subject(id, peaks, ocpus)
            bound = f"{high} or less" if needed > high else f"{low} or more"
            wider = format_range(min(low, needed), max(high, needed))
            message = f"{needed} is outside {format_range(low, high)}, the ocpus of {whose}"
            hint = f"write {bound}, or for {whose} ocpus: {wider} or peaks: []"
            yield draft.problem((*path, "ocpus"), "ocpus", message, hint)


CALENDAR_RULES = (
    windows_begin_and_end,
    windows_have_days,
    days_are_stated_once,
    peaks_are_within_bounds,
)


def _windows(draft: Draft) -> Iterator[tuple[Path, WindowProfile]]:
    """Each window and peak that could be read, and where it is."""
    for (prefix, section), key in product(draft.profiles(), ("maintenance", "peaks")):
        yield from _items(draft, (*prefix, key), getattr(section, key))


def _items(
    draft: Draft, path: Path, windows: tuple[WindowProfile | None, ...] | None
) -> Iterator[tuple[Path, WindowProfile]]:
    for index, window in enumerate(windows or ()):
        if window is not None:
            # One alone need not be in a list.
            yield ((*path, index) if draft.is_stated(*path, index) else path), window


def _key(path: Path) -> str:
    return next(part for part in reversed(path) if isinstance(part, str))
