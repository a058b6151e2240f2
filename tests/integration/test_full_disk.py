"""A disk that fills: it is told of, and a reserve goes before a server has to stop."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_place import Place, answers, eventually, new_place

pytestmark = pytest.mark.integration

DATABASE = "lab/auth"
MIB = 2**20
SIZE = 1200 * MIB


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """A database on a small disk of its own, and the autopilot."""
    with new_place(has_autopilot=True) as place:
        state = place.root.parent
        state.mkdir(mode=0o755)
        disk = ["-t", "tmpfs", "-o", f"size={SIZE},mode=755", "none", str(state)]
        subprocess.run(["/bin/mount", *disk], check=True)
        try:
            more = "    backup: {when_full: drop-archive}"
            place.want(services="auth", ocpus="2", overrides="", more=more)
            place.up()
            yield place
        finally:
            place.kill_all()
            subprocess.run(["/bin/umount", "--lazy", str(state)], check=True)


def open_alerts(place: Place) -> dict[str, str]:
    found = json.loads(place.run("alerts", "--json"))["alerts"]
    return {alert["name"]: alert["summary"] for alert in found}


def filler_of(place: Place) -> Path:
    return place.root.parent / "filler"


def fill(place: Place, free: int) -> None:
    """Until no more than so many bytes are free."""
    with filler_of(place).open("ab") as file:
        while shutil.disk_usage(place.root).free > free:
            file.write(bytes(MIB))
            file.flush()


def test_a_reserve_goes_and_a_person_is_told_before_a_server_stops(tiny: Place) -> None:
    reserve = tiny.root / "run" / "reserve"
    eventually(reserve.exists, 10)
    kept = reserve.stat().st_blocks * 512
    assert kept >= SIZE // 100 - 4096

    def is_given_up() -> bool:
        """A drill that ends makes room again, so the disk is filled again."""
        if not reserve.exists():
            return True
        fill(tiny, kept - 2 * MIB)
        return False

    eventually(is_given_up, 60)
    eventually(lambda: "disk-full" in open_alerts(tiny), 60)
    assert "free" in open_alerts(tiny)["disk-full"]
    assert answers(tiny, "auth")
    with tiny.connect("auth") as client:
        client.execute("CREATE TABLE written AS SELECT generate_series(1, 1000)")
    filler_of(tiny).unlink()
    eventually(reserve.exists, 10)
    eventually(lambda: "disk-full" not in open_alerts(tiny), 60)


def kinds(place: Place) -> list[str]:
    return [e["kind"] for e in json.loads(place.run("events", DATABASE, "--json"))["events"]]


def waiting(place: Place) -> int:
    """Segments of WAL that nobody has taken."""
    return len(list(place.kept("auth").glob("*/data/pg_wal/archive_status/*.ready")))


def test_an_archive_goes_before_a_server_stops_where_the_fleet_file_says_so(tiny: Place) -> None:
    eventually(lambda: "drill" in kinds(tiny), 120)
    archive = tiny.root.with_name("tiny.backups") / "lab/repository/archive"
    away = archive.with_name("away")
    archive.rename(away)
    with tiny.connect("auth") as client:
        client.execute("CREATE TABLE filling (text text)")
        while waiting(tiny) < 17:
            client.execute(
                "INSERT INTO filling SELECT repeat('x', 1000) FROM generate_series(1, 9000)"
            )
            client.execute("TRUNCATE filling")
    assert waiting(tiny) >= 17
    fill(tiny, int(SIZE * 0.015))
    eventually(lambda: "archive-dropped" in kinds(tiny), 60)
    eventually(lambda: waiting(tiny) < 3, 60)
    assert answers(tiny, "auth")
    filler_of(tiny).unlink()
    away.rename(archive)
    before = kinds(tiny).count("backup")
    eventually(lambda: kinds(tiny).count("backup") > before, 150)
