"""What `up` would do, as people and as programs read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgherd.control.up import Preview
from pgherd.decide.actions import Action, subject, summary
from pgherd.decide.plan import Plan
from pgherd.fleet.summary import Table
from pgherd.report.status import notes
from pgherd.units import number


def plan_table(found: Plan) -> Table:
    """A row for each step. What is the same as in the row above is left away."""
    header = ("Database", "Action", "Reason", "Interruption")
    return Table(number(len(found.steps), "step"), header, tuple(_rows(found)))


def concessions(found: Preview) -> dict[str, list[str]]:
    """In what less is made than was asked for, each with the databases that it is so for."""
    ids: dict[str, list[str]] = {}
    for id, text in found.concessions:
        ids.setdefault(text, []).append(str(id))
    return ids


def plan_json(found: Preview) -> dict[str, Any]:
    """As programs read it. Keys are only ever added."""
    plan = found.plan
    return {
        "steps": [_step_json(step) for step in plan.steps],
        "refused": [
            {"subject": r.subject, "message": r.message, "hint": r.hint, "flag": r.flag}
            for r in plan.refused
        ],
        "unknown": [{"subject": u.subject, "reason": u.reason} for u in plan.unknown],
        "troubles": [
            {"subject": t.subject, "message": t.error.message, "hint": t.error.hint}
            for t in found.troubles
        ],
        "concessions": [{"subject": str(id), "message": text} for id, text in found.concessions],
        "notes": list(notes(found.seen)),
    }


def _step_json(step: Action) -> dict[str, str]:
    return {
        "subject": subject(step),
        "action": summary(step),
        "reason": step.reason,
        "interruption": step.interruption.value,
    }


def _rows(found: Plan) -> Iterator[tuple[str, ...]]:
    last = ""
    for step in found.steps:
        name = subject(step)
        yield ("" if name == last else name, summary(step), step.reason, step.interruption.value)
        last = name
