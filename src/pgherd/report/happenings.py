"""What a place did by itself, in words: `failover auth-1 → auth-2`, `held after 12 ms`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PHASES: Mapping[str, str] = {
    "fenced_ms": "fenced",
    "held_ms": "held",
    "writable_ms": "promoted",
    "errors_ms": "hold given up",
    "released_ms": "served",
    "started_ms": "started",
    "streaming_ms": "streaming",
}
"""Those that are shown, in this order; programs read all of them."""
MOST_MS = 1e12


def happening(kind: str, details: Mapping[str, Any]) -> str:
    """What it was, and of whom."""
    words = [kind]
    before, after = details.get("from"), details.get("to")
    program, instance = details.get("program"), details.get("instance")
    if isinstance(before, str) and isinstance(after, str):
        words.append(f"{before} → {after}")
    elif isinstance(program, str):
        words.append(f"{program} of {instance}" if isinstance(instance, str) else program)
    elif isinstance(instance, str):
        words.append(instance)
    count = details.get("count")
    if isinstance(count, int) and not isinstance(count, bool) and 1 < count < MOST_MS:
        words.append(f"({count} times)")
    return " ".join(words)


def phases(details: Mapping[str, Any]) -> str:
    """After how long what was so; empty where nothing is known of that."""
    found = details.get("phases")
    if not isinstance(found, dict):
        return ""
    known = {name: found[name] for name in PHASES if _is_known(found.get(name))}
    if "released_ms" not in known and _is_known(routed := found.get("routed_ms")):
        known["released_ms"] = routed
    ordered = sorted(known.items(), key=lambda phase: phase[1])
    return ", ".join(f"{PHASES[name]} after {_milliseconds(ms)}" for name, ms in ordered)


def _milliseconds(ms: float) -> str:
    return f"{ms:.0f} ms" if ms < 10_000 else f"{ms / 1000:.1f} s"


def _is_known(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < MOST_MS
