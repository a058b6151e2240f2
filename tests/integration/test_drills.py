"""Drills on real servers: a backup is proven, or found to be no good, and never taken for good."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tiny_place import Place, eventually, new_place

from pgherd.engines.local.agent.committed import SETTLED_SECONDS
from pgherd.errors import Busy, NeedsHuman

pytestmark = pytest.mark.integration

DATABASE, ORDER = "lab/auth", "lab/order"


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """Two databases that are backed up, and the autopilot."""
    with new_place(has_autopilot=True) as place:
        place.want(ocpus="2", overrides="")
        place.up()
        with place.connect("auth") as client:
            client.execute("CREATE TABLE written (n int PRIMARY KEY)")
        for database in (DATABASE, ORDER):
            eventually(lambda of=database: {"backup", "drill"} <= kinds(place, of), 120)
        yield place


def kinds(place: Place, database: str) -> set[str]:
    """Of what has happened."""
    return {e["kind"] for e in json.loads(place.run("events", database, "--json"))["events"]}


def drill(place: Place, database: str = DATABASE, exit_code: int = 0) -> dict[str, Any]:
    """What it proves. Printed before what went wrong, if anything did."""
    text = place.run("drill", "restore", database, "--json", exit_code=exit_code)
    found: dict[str, Any]
    found, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    return found


def rows(proof: dict[str, Any]) -> int:
    """How many there are in the copy."""
    (detail,) = [c["detail"] for c in proof["checks"] if c["name"] == "tables"]
    return int(detail.split(", ")[1].split()[0])


def listed(place: Place, database: str = DATABASE) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.run("backup", "list", database, "--json"))
    return found


def is_protected(place: Place) -> bool:
    found = json.loads(place.run("status", DATABASE, "--json"))["databases"]
    return bool(found[0]["protected"])


def test_a_database_is_proven_unasked_and_then_protected(tiny: Place) -> None:
    eventually(lambda: is_protected(tiny), SETTLED_SECONDS)
    found = listed(tiny)
    assert (found["protected"], found["why"]) == (True, None)
    assert found["proof"]["ok"]
    assert all(check["ok"] for check in found["proof"]["checks"])
    assert not list((tiny.root / "instances/lab/auth").glob("drill*")), "the copy is gone"


def test_what_is_not_handed_over_yet_is_told_of_and_what_is_is_in_the_copy(tiny: Place) -> None:
    tiny.run("backup", "now", DATABASE)
    with tiny.connect("auth") as client:
        client.execute("INSERT INTO written VALUES (1)")
        written = time.monotonic()
        time.sleep(8.0)  # the agent has looked since
        late = drill(tiny)
        assert late["ok"]
        assert late["rpo_seconds"] is not None
        assert 0 < late["rpo_seconds"] < time.monotonic() - written + 10
    tiny.run("backup", "now", DATABASE)  # ends a segment of WAL
    time.sleep(8.0)
    early = drill(tiny)
    assert early["rpo_seconds"] < 6
    assert rows(early) == rows(late) + 1


def test_two_at_once_are_one(tiny: Place) -> None:
    with tiny.start("drill", "restore", DATABASE) as first:
        eventually(lambda: list((tiny.root / "instances/lab/auth").glob("drill*")), 30)
        assert "a drill of lab/auth is under way" in tiny.run(
            "drill", "restore", DATABASE, exit_code=Busy.exit_code
        )
        first.communicate(timeout=60)
        assert first.returncode == 0


def test_a_byte_that_was_flipped_in_a_backup_is_found(tiny: Place) -> None:
    tiny.run("backup", "now", ORDER)
    backups = tiny.root.with_name(f"{tiny.fleet}.backups") / "lab/repository/backup"
    archives = (folder for folder in backups.iterdir() if folder.name.startswith("order-"))
    files = [p for p in next(archives).rglob("*") if p.is_file() and "bundle" in p.parts]
    largest = max(files, key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0x10
    largest.write_bytes(content)
    found = drill(tiny, ORDER, exit_code=NeedsHuman.exit_code)
    assert not found["ok"]
    assert [c["ok"] for c in found["checks"] if c["name"] == "restored"] == [False]
    assert "its drill failed" in listed(tiny, ORDER)["why"]
