"""What a drill has proven, as people and as programs read of it. Times are UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from decimal import Decimal
from typing import Any

from pgherd.contract.proofs import Hire, Proof
from pgherd.control.protection import Protection
from pgherd.fleet.desired import DatabaseId
from pgherd.fleet.summary import Table
from pgherd.prices.money import format_money
from pgherd.report.backups import history_json, moment_text
from pgherd.report.words import duration
from pgherd.units import number, rounded_bytes

OK, FAILED = "ok", "failed"


def hire_text(hire: Hire, cost: Decimal, currency: str) -> str:
    """One line: what is made for a drill, and what that costs."""
    what = f"{number(hire.ocpus, 'OCPU')} for about {hire.seconds / 60:.0f} min"
    storage = f", with {rounded_bytes(hire.storage_bytes)}" if hire.storage_bytes else ""
    return f"this makes a copy of {what}{storage}: about {format_money(cost, currency)}"


def checks_table(id: DatabaseId, proof: Proof) -> Table:
    """A row for each check."""
    rows = tuple((c.name, OK if c.ok else FAILED, c.detail) for c in proof.checks)
    return Table(f"{id}: drill of {moment_text(proof.at)}", ("Check", "Result", "Found"), rows)


def proof_text(proof: Proof) -> str:
    """One line: how soon it was back, and how much of the last was missing."""
    if not proof.ok:
        return "nothing is proven"
    words = ["proven"]
    if proof.rto_seconds is not None:
        words.append(f"back in {duration(proof.rto_seconds)} (RTO)")
    if proof.rpo_seconds is not None:
        lost = "nothing" if not proof.rpo_seconds else f"at most {duration(proof.rpo_seconds)}"
        words.append(f"{lost} lost (RPO)")
    else:
        words.append("what was lost is unknown (the autopilot did not run)")
    return ", ".join(words)


def protection_lines(id: DatabaseId, found: Protection) -> Iterator[str]:
    """Whether it is protected, and the last proof."""
    yield f"{id} is protected" if found.why is None else f"{id} is not protected: {found.why}"
    if found.proofs:
        last = found.proofs[0]
        yield f"last drill: {moment_text(last.at)}: {proof_text(last)}"


def protection_json(id: DatabaseId, found: Protection) -> dict[str, Any]:
    """As programs read of it. Keys are only ever added."""
    return {
        **history_json(id, found.history),
        "protected": found.why is None,
        "why": found.why,
        "proof": proof_json(id, found.proofs[0]) if found.proofs else None,
    }


def proof_json(id: DatabaseId, proof: Proof) -> dict[str, Any]:
    """As programs read of it. Keys are only ever added."""
    restored = proof.restored_to
    return {
        "database": str(id),
        "at": proof.at.isoformat(),
        "ok": proof.ok,
        "rto_seconds": rounded(proof.rto_seconds),
        "rpo_seconds": rounded(proof.rpo_seconds),
        "restored_to": restored.astimezone(UTC).isoformat() if restored else None,
        "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in proof.checks],
    }


def rounded(seconds: float | None) -> float | None:
    """To milliseconds."""
    return None if seconds is None else round(seconds, 3)
