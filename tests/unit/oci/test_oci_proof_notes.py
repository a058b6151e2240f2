"""Proofs as tags: what is kept reads back as it was told, and what is no proof is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgherd.contract.proofs import Check
from pgherd.engines.oci import proof_notes

AT = datetime(2026, 5, 4, 12, 0, 7, 123456, tzinfo=UTC)
MOMENT = datetime(2026, 5, 4, 11, 59, tzinfo=UTC)
WELL = (Check("restored", ok=True), Check("tables", ok=True, detail="3 tables, 12 rows"))


def test_a_proof_reads_back_as_it_was_told() -> None:
    proof = proof_notes.proof(AT, 812.345, MOMENT, WELL)
    assert proof.ok
    assert (proof.at, proof.rto_seconds, proof.rpo_seconds) == (
        AT.replace(microsecond=0),
        812.3,
        67.0,
    )
    assert (proof.restored_to, proof.checks) == (MOMENT, WELL)
    assert proof_notes.read(proof_notes.text(proof)) == (proof,)


def test_what_was_not_restored_has_no_moment() -> None:
    checks = (Check("restored", ok=False, detail="no reason"),)
    proof = proof_notes.proof(AT, None, MOMENT, checks)
    assert (proof.ok, proof.rpo_seconds, proof.restored_to) == (False, None, None)
    assert proof_notes.read(proof_notes.text(proof)) == (proof,)


def test_nothing_checked_is_nothing_proven() -> None:
    assert not proof_notes.proof(AT, 1.0, MOMENT, ()).ok


def test_a_clock_that_is_behind_the_services_makes_no_negative_loss() -> None:
    proof = proof_notes.proof(MOMENT - timedelta(seconds=2), 1.0, MOMENT, WELL)
    assert proof.rpo_seconds == 0.0
    assert proof_notes.read(proof_notes.text(proof)) == (proof,)


def test_what_was_found_is_cut_short_and_says_which_check_failed() -> None:
    checks = tuple(
        Check(name, ok=name != "tables", detail="x" * 1000)
        for name in ("restored", "answers", "tables", "indexes")
    )
    proof = proof_notes.proof(AT, 1.0, MOMENT, checks)
    assert proof.failed is not None
    assert proof.failed.name == "tables"
    assert 10 <= len(proof.failed.detail) < 100
    assert proof_notes.read(proof_notes.text(proof)) == (proof,)


@given(st.lists(st.text(max_size=300), max_size=4), st.floats(0, 1e6))
def test_whatever_was_found_fits_and_is_plain(details: list[str], rto: float) -> None:
    names = ("restored", "answers", "tables", "indexes")
    checks = tuple(Check(n, ok=True, detail=d) for n, d in zip(names, details, strict=False))
    proof = proof_notes.proof(AT, rto, MOMENT, checks)
    text = proof_notes.text(proof)
    assert len(text) <= proof_notes.LONGEST
    assert text.isascii()
    assert text.isprintable()
    assert [c.name for c in proof.checks] == list(names[: len(details)])
    assert proof_notes.read(text) == (proof,)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "proven",
        "[]",
        "{}",
        "[1,2,3]",
        "[1e99,null,null,[]]",
        '["a",1.0,2,[]]',
        json.dumps([10**17, 1.0, 2, [["restored", True, ""]]]),
        json.dumps([1, 1.0, -(10**17), [["restored", True, ""]]]),
        json.dumps([1, 1.0, 2, [["restored", "yes", ""]]]),
        json.dumps([1, 1.0, 2, [["restored", True]]]),
    ],
)
def test_what_cannot_be_read_is_no_proof(text: str | None) -> None:
    assert proof_notes.read(text) == ()
