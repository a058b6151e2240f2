"""The message that a receiver gets, made of what the controller asks for. Pure.

A subject, a summary or a remedy may have been written by anybody. So each is on one line, as long
as it may be, and without what mail or a chat would take for a command, a link, or a person to call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pgherd.autopilot.requests import LONGEST_SENTENCE, Notify, ToldAlert
from pgherd.decide.notifications import MOST_AN_HOUR
from pgherd.units import number

LONGEST_SUBJECT = 150
_BROKEN = {"://": "[:]//", "@": "(at)", "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}"}
_BROKEN |= {">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"}


@dataclass(frozen=True, slots=True)
class Notice:
    """A message. `document` is the same for programs; `is_good` where nothing in it is open."""

    subject: str
    body: str
    document: dict[str, Any]
    is_good: bool = False


def notice_of(request: Notify, fleet: str) -> Notice:
    """What a receiver is told."""
    firing, ended = tuple(map(_harmless, request.firing)), tuple(map(_harmless, request.ended))
    environment = harmless(request.environment, 100)
    subject = _subject(request, environment, firing, ended)
    body = "\n".join(_lines(request, firing, ended))
    document = {
        "fleet": fleet,
        "environment": environment,
        "subject": f"pgherd {fleet}: {subject}",
        "body": body,
        "firing": [_document(alert) for alert in firing],
        "resolved": [_document(alert) for alert in ended],
        "more_firing": request.more_firing,
        "more_resolved": request.more_ended,
        "is_repeat": request.is_repeat,
        "is_test": False,
    }
    whole = harmless(f"pgherd {fleet}: {subject}", LONGEST_SUBJECT)
    return Notice(whole, body, document, is_good=not firing)


def trial(fleet: str) -> Notice:
    """What a receiver gets that is tried."""
    subject = f"pgherd {fleet}: test"
    body = f"This is a test of the notifications of fleet {fleet}. Nothing has happened."
    document = {"fleet": fleet, "subject": subject, "body": body, "is_test": True}
    return Notice(subject, body, document, is_good=True)


def harmless(text: str, longest: int = LONGEST_SENTENCE) -> str:
    """It on one line, cut, and with nothing that acts."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    for sign, other in _BROKEN.items():
        line = line.replace(sign, other)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _harmless(alert: ToldAlert) -> ToldAlert:
    return ToldAlert(
        harmless(alert.name),
        harmless(alert.subject),
        alert.since,
        harmless(alert.summary),
        harmless(alert.remedy),
    )


def _subject(
    request: Notify, environment: str, firing: Sequence[ToldAlert], ended: Sequence[ToldAlert]
) -> str:
    open_count = len(firing) + request.more_firing
    end_count = len(ended) + request.more_ended
    if open_count + end_count == 1:
        one = (*firing, *ended)[0]
        lead = "resolved: " if ended else "still: " if request.is_repeat else ""
        return f"{lead}{one.subject}: {one.summary}"
    if not open_count:
        return f"resolved: {environment}: {number(end_count, 'alert')}"
    more = f", {end_count} resolved" if end_count else ""
    lead = "still: " if request.is_repeat else ""
    return f"{lead}{environment}: {number(open_count, 'alert')}{more}"


def _lines(
    request: Notify, firing: Sequence[ToldAlert], ended: Sequence[ToldAlert]
) -> Iterator[str]:
    for alert in firing:
        yield f"{alert.subject}: {alert.summary}"
        yield f"  since {_time(alert)}"
        yield f"  what to do: {alert.remedy}"
    if request.more_firing:
        yield f"and {request.more_firing} more, see `pgherd alerts`"
    for alert in ended:
        yield f"resolved: {alert.subject}: {alert.summary}"
        yield f"  since {_time(alert)}"
    if request.more_ended:
        yield f"and {request.more_ended} more that are resolved"
    if request.is_last:
        yield f"This is the last of {MOST_AN_HOUR} messages within an hour: others wait until"
        yield "that hour is over. See `pgherd alerts`."


def _document(alert: ToldAlert) -> dict[str, Any]:
    return {
        "name": alert.name,
        "database": alert.subject,
        "since": datetime.fromtimestamp(alert.since, UTC).isoformat(timespec="seconds"),
        "summary": alert.summary,
        "remedy": alert.remedy,
    }


def _time(alert: ToldAlert) -> str:
    return f"{datetime.fromtimestamp(alert.since, UTC):%Y-%m-%d %H:%M:%S} UTC"
