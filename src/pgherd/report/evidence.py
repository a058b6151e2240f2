"""What proves that databases can be restored, for an audit: as programs and as people read of it.

Times are UTC. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pgherd.contract.proofs import Check, Proof
from pgherd.control.evidence import Evidence
from pgherd.decide.backups import available
from pgherd.fleet.summary import Table
from pgherd.report.backups import moment_text
from pgherd.report.pages import bars, markdown, page
from pgherd.report.proofs import rounded
from pgherd.report.words import duration
from pgherd.units import format_days, format_duration, number

YES, NO = "yes", "no"
NEVER = "never"
MISSED = "missed"
PROVEN, FAILED = "proven", "failed"
MOST_BARS = 30


def evidence_json(found: Iterable[Evidence]) -> dict[str, Any]:
    """As programs read of it. Keys are only ever added."""
    return {"databases": [_json(one) for one in found]}


def evidence_markdown(fleet: str, found: Sequence[Evidence], now: datetime) -> str:
    """A document."""
    text = markdown(_title(fleet), _lines(found, now), _tables(found))
    return f"{text}\n"


def evidence_page(fleet: str, found: Sequence[Evidence], now: datetime) -> str:
    """The same in HTML, with a chart of the drills of each database that has some."""
    charts = (_chart(one) for one in found if one.protection.proofs)
    classes = {YES: "good", NO: "bad", PROVEN: "good", FAILED: "bad"}
    return page(_title(fleet), _lines(found, now), _tables(found), charts, classes)


def _title(fleet: str) -> str:
    return f"Restoring the databases of {fleet}"


def _lines(found: Sequence[Evidence], now: datetime) -> list[str]:
    return [f"As of {moment_text(now.astimezone(UTC))} UTC.", *unprotected_lines(found)]


def _tables(found: Sequence[Evidence]) -> tuple[Table, ...]:
    return protection_table(found), drills_table(found)


def _chart(one: Evidence) -> str:
    """How soon it was back each time, the oldest first."""
    shown = list(reversed(one.protection.proofs[:MOST_BARS]))
    values = [
        (
            proof.rto_seconds if proof.ok else None,
            f"{moment_text(proof.at.astimezone(UTC))}: {_seconds(proof.rto_seconds) or FAILED}",
        )
        for proof in shown
    ]
    rto = one.database.objectives.rto
    words = [f"{one.database.id}: RTO of {number(len(values), 'drill')}"]
    words += [f"newest {duration(values[-1][0])}"] if values[-1][0] is not None else []
    words += [f"objective {format_duration(rto)}"] if rto else []
    return bars(", ".join(words), values, rto.total_seconds() if rto else None)


def protection_table(found: Sequence[Evidence]) -> Table:
    """A row for each database: whether it is protected, and what was proven last."""
    header = (
        "Database",
        "Protected",
        "Last backup",
        "Last proof",
        "RTO",
        "RPO",
        "Retention",
        "Copies",
    )
    protected = sum(one.protection.why is None for one in found)
    title = f"{protected} of {number(len(found), 'database')} protected"
    return Table(title, header, tuple(_row(one) for one in found))


def unprotected_lines(found: Iterable[Evidence]) -> Iterator[str]:
    """Why those that are not protected are not."""
    for one in found:
        if one.protection.why is not None:
            yield f"{one.database.id}: {one.protection.why}"


def drills_table(found: Iterable[Evidence]) -> Table:
    """Each drill of each database, the newest first."""
    rows = (
        (
            str(one.database.id),
            moment_text(proof.at.astimezone(UTC)),
            PROVEN if proof.ok else FAILED,
            _seconds(proof.rto_seconds),
            _seconds(proof.rpo_seconds),
            "; ".join(
                f"{c.name}: {c.detail or ('ok' if c.ok else 'failed')}" for c in _told(proof)
            ),
        )
        for one in found
        for proof in one.protection.proofs
    )
    return Table("Drills", ("Database", "At", "Result", "RTO", "RPO", "Found"), tuple(rows))


def meets(seconds: float | None, objective: timedelta | None) -> bool | None:
    """Whether what was proven is good enough; None where nothing is promised."""
    if objective is None:
        return None
    return seconds is not None and seconds <= objective.total_seconds()


def _told(proof: Proof) -> Sequence[Check]:
    """What failed; else all."""
    return [check for check in proof.checks if not check.ok] or proof.checks


def _row(one: Evidence) -> tuple[str, ...]:
    objectives, best = one.database.objectives, _last_good(one)
    backups = available(one.protection.history.backups)
    return (
        str(one.database.id),
        YES if one.protection.why is None else NO,
        moment_text(backups[0].taken_at.astimezone(UTC)) if backups else NEVER,
        moment_text(best.at.astimezone(UTC)) if best else NEVER,
        _judged(best.rto_seconds if best else None, objectives.rto),
        _judged(best.rpo_seconds if best else None, objectives.rpo),
        format_days(one.database.backup.retention_days),
        ", ".join(_copies(one)),
    )


def _judged(seconds: float | None, objective: timedelta | None) -> str:
    """As in `1.5 s of 10m`, or `12 min of 10m: missed`."""
    text = _seconds(seconds) or "unknown"
    if objective is None:
        return text
    verdict = "" if meets(seconds, objective) else f": {MISSED}"
    return f"{text} of {format_duration(objective)}{verdict}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)


def _last_good(one: Evidence) -> Proof | None:
    return next((proof for proof in one.protection.proofs if proof.ok), None)


def _copies(one: Evidence) -> list[str]:
    """The other places that have some of its backups."""
    return sorted({b.region for b in one.protection.history.backups if b.region})


def _json(one: Evidence) -> dict[str, Any]:
    database, best = one.database, _last_good(one)
    backups = available(one.protection.history.backups)
    rto = best.rto_seconds if best else None
    rpo = best.rpo_seconds if best else None
    return {
        "database": str(database.id),
        "protected": one.protection.why is None,
        "why": one.protection.why,
        "rto_seconds": rounded(rto),
        "rpo_seconds": rounded(rpo),
        "meets_rto": meets(rto, database.objectives.rto),
        "meets_rpo": meets(rpo, database.objectives.rpo),
        "last_backup_at": _iso(backups[0].taken_at) if backups else None,
        "last_proof_at": _iso(best.at) if best else None,
        "retention_days": database.backup.retention_days,
        "copies": _copies(one),
        "drills": [
            {
                "at": _iso(proof.at),
                "ok": proof.ok,
                "rto_seconds": rounded(proof.rto_seconds),
                "rpo_seconds": rounded(proof.rpo_seconds),
            }
            for proof in one.protection.proofs
        ],
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
