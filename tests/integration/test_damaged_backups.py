"""Files of real backups that are damaged or gone: which ones is said, what is left is restored."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tiny_place import Place, new_place

pytestmark = pytest.mark.integration

AUTH = "lab/auth"


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """Nothing happens there that a test does not do."""
    with new_place() as place:
        place.want(ocpus="2", overrides="")
        place.up()
        with place.connect("auth") as client:
            client.execute("CREATE TABLE written (row text)")
        place.run("backup", "now", AUTH)
        yield place


def write(place: Place, *rows: str) -> str:
    """Each is in a segment of WAL of its own; a moment after the last one."""
    with place.connect("auth") as client, place.superuser("auth") as superuser:
        for row in rows:
            client.execute("INSERT INTO written VALUES (%s)", [row])
            superuser.execute("SELECT pg_catalog.pg_switch_wal()")
    time.sleep(1.1)
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    time.sleep(1.1)
    return moment


def verify(place: Place, exit_code: int = 4) -> dict[str, Any]:
    text = place.run("backup", "verify", AUTH, "--json", exit_code=exit_code)
    found: dict[str, Any]
    found, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    assert found["ok"] is (exit_code == 0)
    return found


def repository(place: Place, part: str) -> Path:
    archive = place.manifest("auth")["archive"]
    return place.root.with_name(f"{place.fleet}.backups") / "lab/repository" / part / archive


def segments(place: Place) -> list[Path]:
    """Those that were handed over, the oldest first."""
    return sorted(p for p in repository(place, "archive").rglob("*") if p.suffix == ".lz4")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


@contextmanager
def restored(place: Place, *to: str) -> Iterator[set[str]]:
    """The rows of a copy, which is removed again."""
    place.want(services="auth, order, then", ocpus="2", overrides="")
    try:
        place.run("restore", AUTH, *to, "--as", "then")
        with psycopg.connect(place.run("url", "lab/then").strip()) as client:
            yield {row for (row,) in client.execute("SELECT row FROM written")}
    finally:
        place.outcome("destroy", "--yes-destroy", "lab/then", "lab/then")
        place.want(ocpus="2", overrides="")


@pytest.mark.parametrize("trouble", ["missing", "damaged"])
def test_a_gap_in_wal_is_found_and_both_sides_of_it_are_restored(tiny: Place, trouble: str) -> None:
    tiny.run("backup", "now", AUTH)  # what an earlier test has damaged is of no matter
    early = write(tiny, f"{trouble} 1")
    edge = write(tiny, f"{trouble} 2")
    before = set(segments(tiny))
    write(tiny, f"{trouble} 3", f"{trouble} 4")
    tiny.run("backup", "point", AUTH, f"{trouble}-in-it")
    lost = sorted(set(segments(tiny)) - before)[0]
    tiny.run("backup", "now", AUTH)
    write(tiny, f"{trouble} 5")
    if trouble == "missing":
        lost.unlink()
    else:
        flip(lost)
    found = verify(tiny)
    segment = lost.name[:24]
    assert (segment, trouble) in {(f["name"], f["trouble"]) for f in found["flaws"]}
    *_, older, newer = found["reaches"]
    assert older["last_wal"] < segment < newer["last_wal"]
    assert older["begin"] < early < newer["begin"]
    with restored(tiny, "--to", early) as rows:
        assert f"{trouble} 1" in rows
        assert f"{trouble} 2" not in rows
    with restored(tiny, "--to", "latest") as rows:
        assert {f"{trouble} {n}" for n in range(1, 6)} <= rows
    tiny.want(services="auth, order, then", ocpus="2", overrides="")
    # Where the next commit is in the gap, nobody knows when it was: no more is brought back.
    for to in (("--to", edge), ("--to-point", f"{trouble}-in-it")):
        code, said = tiny.outcome("restore", AUTH, *to, "--as", "then")
        assert code in (2, 4), said
        assert "with the commit of" in said
        assert "pgherd backup verify lab/auth" in said
    tiny.want(ocpus="2", overrides="")


def test_a_gap_after_the_last_backup_is_not_taken_for_the_end(tiny: Place) -> None:
    tiny.run("backup", "now", AUTH)
    before = set(segments(tiny))
    write(tiny, "gap 1", "gap 2", "gap 3")
    lost = sorted(set(segments(tiny)) - before)[1]
    flip(lost)
    proof = tiny.run("drill", "restore", AUTH, exit_code=4)
    assert "missing or damaged: `pgherd backup verify` says which" in proof
    tiny.run("down", AUTH)
    try:
        tiny.want(services="auth, order, then", ocpus="2", overrides="")
        said = tiny.run("restore", AUTH, "--to", "latest", "--as", "then", exit_code=4)
        assert "is not in its archive, or damaged" in said
    finally:
        tiny.want(ocpus="2", overrides="")
        tiny.up()
    tiny.run("backup", "now", AUTH)
    assert json.loads(tiny.run("drill", "restore", AUTH, "--json"))["ok"]


def test_a_damaged_backup_is_found_and_the_next_needs_nothing_of_it(tiny: Place) -> None:
    tiny.run("backup", "now", AUTH)
    newest = json.loads(tiny.run("backup", "list", AUTH, "--json"))["backups"][0]["name"]
    full = repository(tiny, "backup") / newest.partition("_")[0]
    flip(max(full.glob("bundle/*"), key=lambda p: p.stat().st_size))
    found = verify(tiny)
    bad = {backup["name"] for backup in found["backups"] if not backup["ok"]}
    assert {full.name, newest} <= bad, "that is added to it"
    assert full.name in {flaw["backup"] for flaw in found["flaws"]}
    write(tiny, "after the damage")
    tiny.run("backup", "now", AUTH)
    backups = json.loads(tiny.run("backup", "list", AUTH, "--json"))["backups"]
    assert backups[0]["kind"] == "full"
    found = verify(tiny)
    assert [backup["ok"] for backup in found["backups"]][:2] == [True, False]
    with restored(tiny, "--to", "latest") as rows:
        assert "after the damage" in rows
    assert json.loads(tiny.run("drill", "restore", AUTH, "--json"))["ok"]


def test_with_another_key_nothing_is_read_and_nothing_is_lost(tiny: Place) -> None:
    key = tiny.root.with_name(f"{tiny.fleet}.backups") / "lab/encryption.key"
    served = key.with_name("pgbackrest.conf")
    right = key.read_text()
    texts = {path: path.read_text() for path in (key, served)}
    for path, text in texts.items():
        path.write_text(text.replace(right.strip(), "x" * len(right.strip())))
    try:
        for words in (("list",), ("verify",), ("now",)):
            code, said = tiny.outcome("backup", *words, AUTH)
            assert code in (3, 4), said
            assert "error:" in said
            assert right.strip() not in said
    finally:
        for path, text in texts.items():
            path.write_text(text)
    tiny.run("backup", "now", AUTH)
    assert verify(tiny)["backups"][0]["ok"]


def test_a_database_that_is_made_anew_under_its_name_has_an_archive_of_its_own(
    tiny: Place,
) -> None:
    tiny.run("backup", "now", "lab/order")
    before = tiny.manifest("order")["archive"]
    tiny.run("destroy", "--yes-destroy", "lab/order", "lab/order")
    tiny.up()
    tiny.run("backup", "now", "lab/order")
    assert tiny.manifest("order")["archive"] != before
    assert "is damaged" not in tiny.run("backup", "verify", "lab/order")
