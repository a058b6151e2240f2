"""What the autopilot did and saw, as people and as programs read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pgherd.autopilot.now import NowOfDatabase
from pgherd.autopilot.reading import History, ReadAlert, ReadEvent
from pgherd.fleet.summary import Table
from pgherd.report.happenings import happening, phases
from pgherd.report.words import duration
from pgherd.units import number

STALE_SECONDS = 30.0
MOST = 1e12
"""No number of the history is larger."""


def events_json(found: Sequence[ReadEvent]) -> dict[str, Any]:
    """The newest first. Keys are only ever added."""
    return {"events": [event_json(event) for event in found]}


def event_json(event: ReadEvent) -> dict[str, Any]:
    """One of them, with its details beside its fixed keys."""
    return {
        **event.details,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "environment": event.environment,
        "database": event.database,
        "reason": event.reason,
    }


def events_table(found: Sequence[ReadEvent]) -> Table:
    """A row for each, the newest first."""
    rows = tuple(
        (_local(event.at), event.database or event.environment or "", _what(event), _why(event))
        for event in found
    )
    return Table(number(len(found), "event"), ("At", "Of", "What", "Why"), rows)


def event_line(event: ReadEvent) -> str:
    """The same in one line."""
    subject = event.database or event.environment or "fleet"
    return f"{_local(event.at)} {subject}: {_what(event)}: {_why(event)}"


def event_brief(event: ReadEvent) -> str:
    """The same in fewer words, beside the name of what it is about."""
    return f"{_local(event.at)[5:16]} {_what(event)}: {event.reason}"


def why_lines(id: str, found: History, now: datetime) -> Iterator[str]:
    """How it is now and why, then what was last done to it, the newest first."""
    one = found.now.databases.get(id) if found.now else None
    if found.now is None or one is None:
        yield f"{id}: the autopilot has not measured it yet"
    else:
        yield f"{id}: {_state(one)}"
        age = now.timestamp() - found.now.at
        if age > STALE_SECONDS:
            yield f"this was {duration(age)} ago: the autopilot does not run, or is late"
    for event in found.events:
        yield f"{_local(event.at)} {_what(event)}: {_why(event)}{_effect(event)}"


def why_json(id: str, found: History) -> dict[str, Any]:
    """For programs. Keys are only ever added."""
    one = found.now.databases.get(id) if found.now else None
    return {
        "database": id,
        "at": datetime.fromtimestamp(found.now.at, UTC).isoformat() if found.now else None,
        "ocpus": one and one.ocpus,
        "wanted": one and one.wanted,
        "bounds": [one.low, one.high] if one else None,
        "rule": one and one.rule,
        "reason": one and one.why,
        "paused": one and one.paused,
        "cpu_percent": one and one.cpu_percent,
        "memory_percent": one and one.memory_percent,
        "transactions_per_second": one and one.transactions_per_second,
        "events": [event_json(event) for event in found.events],
    }


def alerts_json(found: Sequence[ReadAlert]) -> dict[str, Any]:
    """For programs. Keys are only ever added."""
    return {
        "alerts": [
            {
                "name": alert.name,
                "database": alert.subject,
                "since": alert.since.isoformat(),
                "summary": alert.summary,
                "remedy": alert.remedy,
            }
            for alert in found
        ]
    }


def alerts_table(found: Sequence[ReadAlert]) -> Table:
    """A row for each."""
    rows = tuple((_local(a.since), a.subject, a.summary, a.remedy) for a in found)
    return Table(number(len(found), "alert"), ("Since", "Of", "What", "What to do"), rows)


def _state(one: NowOfDatabase) -> str:
    if one.paused is not None:
        return f"{_size(one)}, left alone: {one.paused}"
    if not one.is_scaled:
        return f"{_size(one)}, never changed: the fleet file says autoscale: false"
    if one.wanted is not None and one.wanted != one.ocpus:
        return f"{_size(one)}, to be {one.wanted}: {one.why}"
    return f"{_size(one)}: {one.why or 'nothing is known of its load'}"


def _size(one: NowOfDatabase) -> str:
    size = "unknown size" if one.ocpus is None else number(one.ocpus, "OCPU")
    return f"{size} of {one.low}..{one.high}"


def _what(event: ReadEvent) -> str:
    change = event.details.get("ocpus")
    if isinstance(change, dict):
        text = f"ocpus {change.get('from')} → {change.get('to')}"
        return f"{text} failed" if "failed" in event.details else text
    return happening(event.kind, event.details)


def _why(event: ReadEvent) -> str:
    """With what was so after how long, where that is known."""
    return "; ".join(part for part in (event.reason, phases(event.details)) if part)


def _effect(event: ReadEvent) -> str:
    """How long it took, and what came of it."""
    words = []
    if (seconds := _known(event.details.get("seconds"))) is not None:
        words.append(f"done in {duration(seconds)}")
    if isinstance(said := event.details.get("throughput"), dict):
        before, after = _known(said.get("before")), _known(said.get("after"))
        if before is not None and after is not None:
            words.append(f"throughput {before:.0f} → {after:.0f}/s")
    if isinstance(failed := event.details.get("failed"), str):
        words.append(failed)
    return "".join(f", {word}" for word in words)


def _known(value: Any) -> float | None:
    """A number that can be shown; whoever wrote the history may have put anything there."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) < MOST else None


def _local(at: datetime) -> str:
    with suppress(OverflowError, ValueError):  # in the first and the last year that there is
        at = at.astimezone()
    return at.strftime("%Y-%m-%d %H:%M:%S")
