"""How the autopilot is, as `status` says it to people and to programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pgherd.report.words import duration
from pgherd.units import number

if TYPE_CHECKING:
    from pgherd.autopilot.questions import State


def autopilot_text(state: State | None, now: float) -> str:
    """One line; `now` is in seconds since 1970."""
    if state is None:
        return "autopilot does not run: `pgherd up` starts it"
    verb = "is paused" if state.is_paused else "only tells (--dry-run)" if state.is_dry else "runs"
    if state.last_round_at is None:
        return f"autopilot {verb}, no round yet"
    ago = duration(max(0.0, now - state.last_round_at))
    return f"autopilot {verb}, last round {ago} ago, {number(state.alerts, 'alert')}"


def history_text(state: State | None) -> str | None:
    """One line where no history is kept; None where it is, or none runs that would."""
    return f"no history is kept: {state.history}" if state and state.history else None


def autopilot_json(state: State | None) -> dict[str, Any]:
    """For programs. Keys are only ever added."""
    if state is None:
        return {"state": "stopped", "last_round_at": None, "alerts": None, "history": None}
    last = state.last_round_at
    return {
        "state": "paused" if state.is_paused else "running",
        "last_round_at": datetime.fromtimestamp(last, UTC).isoformat() if last else None,
        "alerts": state.alerts,
        "history": state.history or None,
    }
