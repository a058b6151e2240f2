"""A proof as a tag of the system that it proves, since nothing is kept on any machine. Pure.

There is one, the last: a tag has 256 characters, and a thing ten tags. What was found is cut short
where it does not fit; what else is in a proof is kept whole, to the second. A system that is made
from another begins without one, and a restore in its own place takes it away.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from pgherd.contract.proofs import Check, Proof

LONGEST = 256
"""Characters of a tag."""
_CUTS = (200, 150, 100, 75, 50, 25, 10, 0)
_Kept = tuple[int, float | None, int | None, tuple[tuple[str, bool, str], ...]]


def proof(
    at: datetime, rto: float | None, restored_to: datetime, checks: tuple[Check, ...]
) -> Proof:
    """What the checks prove, as it can be kept. The first says whether it was restored at all."""
    until = restored_to.replace(microsecond=0) if checks and checks[0].ok else None
    checks = tuple(replace(check, detail=_plain(check.detail)) for check in checks)
    whole = _proof(at, rto and round(rto, 1), until, checks)
    for most in _CUTS:
        cut = tuple(replace(check, detail=check.detail[:most]) for check in checks)
        fitting = replace(whole, checks=cut)
        if len(text(fitting)) <= LONGEST:
            return fitting
    return replace(whole, checks=())


def text(proof: Proof) -> str:
    """What the tag says."""
    restored = proof.restored_to
    return json.dumps(
        [
            int(proof.at.timestamp()),
            proof.rto_seconds,
            int(restored.timestamp()) if restored else None,
            [[check.name, check.ok, check.detail] for check in proof.checks],
        ],
        separators=(",", ":"),
    )


def read(text: str | None) -> tuple[Proof, ...]:
    """The proof in a tag. What cannot be read is none."""
    try:
        at, rto, restored, checks = msgspec.json.decode(text or "", type=_Kept)
        until = None if restored is None else datetime.fromtimestamp(restored, UTC)
        found = tuple(Check(*check) for check in checks)
        return (_proof(datetime.fromtimestamp(at, UTC), rto, until, found),)
    except (msgspec.MsgspecError, ValueError, OverflowError, OSError):
        return ()


def _proof(
    at: datetime, rto: float | None, until: datetime | None, checks: tuple[Check, ...]
) -> Proof:
    at = at.astimezone(UTC).replace(microsecond=0)
    return Proof(
        at,
        bool(checks) and all(check.ok for check in checks),
        rto_seconds=rto,
        # The service's clock may be a little ahead of this machine's.
        rpo_seconds=None if until is None else max(0.0, (at - until).total_seconds()),
        restored_to=until,
        checks=checks,
    )


def _plain(detail: str) -> str:
    """In characters that any tag takes."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in detail)
