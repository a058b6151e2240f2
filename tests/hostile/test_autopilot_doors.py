"""What the user that databases run as can make of the autopilot: its controller runs as it too."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from as_another import OPEN_TO_READ, OPEN_TO_WRITE, RENAME, is_refused
from hostile_controller import answers, autopilot_of, failure
from tiny_place import Place, eventually, new_place
from tries import DATA_PLANE

from pgherd.autopilot.questions import Status, ask
from pgherd.engines.local.layout import data_plane_owner

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="where all run as one user there is no way up"),
]
POSTGRES = data_plane_owner()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """One database of 1 to 4 OCPUs, and no autopilot yet."""
    with new_place() as place:
        place.want(services="order", overrides="")
        place.up()
        yield place


def request(kind: str, **values: object) -> dict[str, object]:
    return {"type": kind, "reason": "because", **values}


@pytest.mark.makes(DATA_PLANE, "have the autopilot's helper pass the fleet file's bounds")
def test_a_request_past_the_bounds_is_refused(place: Place) -> None:
    before = place.manifest("order")
    found = answers(
        place,
        request("Resize", database="lab/order", ocpus=64),
        request("Resize", database="lab/order", ocpus=0),
        request("Replicas", database="lab/order", count=9),
        request("Restart", database="lab/order", instance="order-1"),
        request("HandOver", database="lab/order", instance="order-1"),
    )
    said = [failure(answer) for answer in found]
    assert ["may have 1..4 OCPUs" in text for text in said[:2]] == [True, True]
    assert "may have 0..2 replicas" in said[2]
    assert ["no maintenance window" in text for text in said[3:]] == [True, True]
    assert place.manifest("order") == before


@pytest.mark.makes(DATA_PLANE, "have the autopilot's helper act on what the fleet does not have")
def test_a_request_about_something_else_is_refused(place: Place) -> None:
    names = ("lab/nobody", "prod/order", "../../etc/passwd", "lab/../order", "lab", "lab/order\n")
    found = answers(
        place,
        *(request("Mend", database=name) for name in names),
        request("Renew", environment="production"),
        request("Renew", environment="../lab"),
    )
    assert all(answer["failure"]["kind"] == "InputError" for answer in found)
    assert len(found) == len(names) + 2
    assert not (place.root / "databases/lab/nobody").exists()


@pytest.mark.makes(
    DATA_PLANE, "have the autopilot's helper sign in elsewhere, or tell what signs in"
)
def test_the_helper_looks_only_where_the_fleet_signs_in(place: Place) -> None:
    names = ("oci", "local", "../oci", "x" * 100)
    found = answers(place, *({"type": "Look", "engine": name} for name in names))
    assert ["is none to ask for" in failure(answer) for answer in found] == [True] * 4
    assert all(answer["looked"] is None for answer in found)


@pytest.mark.makes(DATA_PLANE, "have the autopilot's helper start what was stopped")
def test_what_was_stopped_stays_stopped(place: Place) -> None:
    place.run("down", "lab/order")
    try:
        (found,) = answers(place, request("Mend", database="lab/order"))
        assert "is stopped, or is not there" in failure(found)
        assert place.databases()["order"]["state"] == "stopped"
    finally:
        place.up()


@pytest.mark.makes(DATA_PLANE, "have the autopilot's helper run or read something by its request")
@pytest.mark.parametrize(
    "said",
    [
        "no json",
        "[" * 60_000,
        json.dumps({"number": 1, "what": {"type": "Delete", "database": "lab/order"}}),
        json.dumps({"number": 1, "what": request("Resize", database="lab/order", ocpus="4")}),
        json.dumps({"number": 1, "what": request("Mend", database="lab/order", path="/etc")}),
        json.dumps({"number": -1, "what": request("Mend", database="lab/order")}),
        json.dumps({"number": 1, "what": request("Mend", database="x" * 5000)}),
        "x" * 100_000,
    ],
    ids=[
        "no json",
        "deep",
        "no such kind",
        "a word for a number",
        "more",
        "below",
        "long",
        "flood",
    ],
)
def test_what_is_no_request_ends_the_controller(place: Place, said: str) -> None:
    assert answers(place, said) == [{}]


@pytest.mark.makes(DATA_PLANE, "read or write what was applied and what is paused")
def test_the_folder_of_what_was_applied_is_closed(place: Place) -> None:
    folder = autopilot_of(place).applied
    newest = max(folder.glob("*.json"))
    for path in (newest, folder / "autopilot.lock", folder / "autopilot.log"):
        for way in (OPEN_TO_READ, OPEN_TO_WRITE):
            assert is_refused(POSTGRES.uid, way, str(path))
    assert is_refused(POSTGRES.uid, RENAME, str(folder))


@pytest.mark.makes(DATA_PLANE, "end the autopilot's helper")
def test_the_helper_is_not_its_to_end(place: Place) -> None:
    place.run("up")  # without one
    from pgherd.autopilot.client import Autopilot

    autopilot = Autopilot(autopilot_of(place))
    autopilot.ensure_running()
    try:
        state = ask(autopilot_of(place), Status())
        assert state
        tried = subprocess.run(
            ["/bin/kill", "-KILL", str(state.pid)],
            user=POSTGRES.uid,
            group=POSTGRES.gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "not permitted" in tried.stderr.lower()
        assert Path(f"/proc/{state.pid}").exists()
    finally:
        autopilot.end()
        eventually(lambda: not place.autopilots(), 10)
