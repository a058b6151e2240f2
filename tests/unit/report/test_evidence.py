"""The report of what proves that databases can be restored: true, and text in every form."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from pgherd.contract.backups import BackupHistory, BackupState, ObservedBackup
from pgherd.contract.proofs import Check, Proof
from pgherd.control.evidence import Evidence
from pgherd.control.protection import Protection
from pgherd.fleet.desired import Objectives
from pgherd.report.evidence import evidence_json, evidence_markdown, evidence_page
from pgherd.report.pages import plain
from pgherd.testing.fleets import database

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> | `rm` [a](http://b) \x1b[31m\n# no"
BACKUP = ObservedBackup("a", NOW - timedelta(hours=2), BackupState.AVAILABLE, "full")
GOOD = Proof(NOW - timedelta(hours=1), True, 2.5, 30.0, None, (Check("tables", True, "3 rows"),))
BAD = Proof(NOW, False, None, None, None, (Check("tables", False, HOSTILE),))
PROMISED = Objectives(rto=timedelta(seconds=10), rpo=timedelta(seconds=20))


def evidence(*proofs: Proof, why: str | None = None) -> Evidence:
    return Evidence(
        replace(database("auth"), objectives=PROMISED),
        Protection(BackupHistory((BACKUP,)), proofs, why),
    )


def test_what_was_proven_last_stands_beside_what_is_promised() -> None:
    found = evidence_json([evidence(BAD, GOOD, why="its drill failed")])["databases"][0]
    assert (found["protected"], found["why"]) == (False, "its drill failed")
    assert (found["rto_seconds"], found["rpo_seconds"]) == (2.5, 30.0)
    assert (found["meets_rto"], found["meets_rpo"]) == (True, False)
    assert found["last_proof_at"] == GOOD.at.isoformat()
    assert found["last_backup_at"] == BACKUP.taken_at.isoformat()
    assert [drill["ok"] for drill in found["drills"]] == [False, True]


def test_what_was_never_proven_meets_no_objective() -> None:
    found = evidence_json([evidence(why="no proof")])["databases"][0]
    assert (found["meets_rto"], found["rto_seconds"], found["last_proof_at"]) == (False, None, None)
    unpromised = replace(evidence(GOOD), database=database("auth"))
    assert evidence_json([unpromised])["databases"][0]["meets_rto"] is None


def test_people_read_the_same() -> None:
    text = evidence_markdown("shop", [evidence(GOOD)], NOW)
    assert "1 of 1 database protected" in text
    assert "| production/auth | yes | 2026-11-28 10:00:00 | 2026-11-28 11:00:00 |" in text
    assert "30.0 s of 20s: missed" in text


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_a_tenant_writes_is_text_in_the_page() -> None:
    tags = Tags()
    tags.feed(evidence_page("shop", [evidence(BAD, GOOD, why=HOSTILE)], NOW))
    assert not {"script", "a", "img"} & set(tags.tags)
    assert not [name for name in tags.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in tags.text
    assert "\x1b" not in tags.text
    assert tags.tags.count("rect") == 2
    assert tags.tags.count("line") == 1


def test_what_a_tenant_writes_is_text_in_markdown() -> None:
    text = evidence_markdown("shop", [evidence(BAD, why=HOSTILE)], NOW)
    assert "\n# no" not in text
    rows = [line for line in text.splitlines() if line.startswith("| production")]
    assert len(rows) == 2
    assert all(line.replace("\\|", "").count("|") in (7, 9) for line in rows)
    assert "\\<script\\>" in text


@pytest.mark.parametrize("character", list("\\`*_{}[]<>()#+!|~&"))
def test_no_character_means_anything(character: str) -> None:
    assert plain(f"a{character}b") == f"a\\{character}b"
