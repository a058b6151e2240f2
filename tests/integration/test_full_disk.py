"""A disk that fills: it is told of, and a reserve goes before a server has to stop."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from tiny_place import Place, answers, eventually, new_place

pytestmark = pytest.mark.integration

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
            place.want(services="auth", ocpus="2", overrides="")
            place.up()
            yield place
        finally:
            place.kill_all()
            subprocess.run(["/bin/umount", "--lazy", str(state)], check=True)


def open_alerts(place: Place) -> dict[str, str]:
    found = json.loads(place.run("alerts", "--json"))["alerts"]
    return {alert["name"]: alert["summary"] for alert in found}


def test_a_reserve_goes_and_a_person_is_told_before_a_server_stops(tiny: Place) -> None:
    reserve = tiny.root / "run" / "reserve"
    eventually(reserve.exists, 10)
    kept = reserve.stat().st_blocks * 512
    assert kept >= SIZE // 100 - 4096
    filler = tiny.root.parent / "filler"
    with filler.open("wb") as file:
        while shutil.disk_usage(tiny.root).free > kept - 2 * MIB:
            file.write(bytes(MIB))
            file.flush()
    eventually(lambda: not reserve.exists(), 10)
    eventually(lambda: "disk-full" in open_alerts(tiny), 60)
    assert "free" in open_alerts(tiny)["disk-full"]
    assert answers(tiny, "auth")
    with tiny.connect("auth") as client:
        client.execute("CREATE TABLE written AS SELECT generate_series(1, 1000)")
    filler.unlink()
    eventually(reserve.exists, 10)
    eventually(lambda: "disk-full" not in open_alerts(tiny), 60)
