"""`history`: what was applied, and what each fleet file changed."""

import pytest
from shop import FLEET, Shop

from pgherd.fleet import load

GROWN = FLEET.replace("ocpus: 2..8", "ocpus: 4..8")


def test_nothing_was_applied_before_the_first_up(shop: Shop) -> None:
    assert shop.out("history") == "nothing was applied to shop yet\n"
    assert shop.json("history") == {"applied": []}


def test_it_lists_what_was_applied_and_shows_each_difference(running: Shop) -> None:
    running.write(GROWN)
    assert len(running.json("history")["applied"]) == 1  # it is written, not applied
    running.out("up")
    running.out("up")
    newest, first = running.json("history")["applied"]
    assert (newest["number"], first["number"]) == (2, 1)
    assert (newest["added"], newest["removed"], newest["by"]) == (1, 1, "alice")
    assert first["added"] == len(FLEET.splitlines())
    assert first["removed"] == 0
    title, header, _, row, *_ = running.out("history").splitlines()
    assert title == "2 fleet files applied"
    assert header.split() == ["Number", "At", "By", "Lines", "File"]
    assert row.split()[:1] + row.split()[3:5] == ["2", "alice", "+1"]
    lines = running.out("history", "2").splitlines()
    assert "-    ocpus: 2..8" in lines
    assert "+    ocpus: 4..8" in lines
    assert running.json("history", "2")["difference"] == lines


def test_a_file_that_was_moved_is_another_one(running: Shop) -> None:
    running.file = running.file.rename(running.file.with_name("moved.yaml"))
    running.out("up")
    assert running.out("history", "2") == f"the same text as 1, in {running.file}\n"


def test_a_number_that_nothing_has_is_refused(running: Shop) -> None:
    complaint = running.err("history", "7", exit_code=2)
    assert "nothing was applied under the number 7\nhint: there are 1 to 1" in complaint


def test_an_earlier_fleet_file_is_text_and_nothing_else(running: Shop) -> None:
    running.write(FLEET + "# \u202etxet\n")
    running.out("up")
    assert "+# \\u202etxet" in running.out("history", "2").splitlines()


def test_what_is_applied_is_not_checked_again(
    running: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(load, "load_text")
    assert running.json("status")
