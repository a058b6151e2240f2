"""What a hostile controller can make of the history's secret: a real helper, and real files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from as_another import OPEN_TO_READ, is_refused
from hostile_controller import answers, failure
from test_notifications_doors import record
from tiny_place import Place, new_place
from tries import DATA_PLANE

from pgherd.engines.local.layout import data_plane_owner

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="where all run as one user there is no way up"),
]
POSTGRES = data_plane_owner()
FILE = Path("/run/pgherd-test-history")
URL = "postgresql://keeper:s3cr3t@127.0.0.1/history"


@pytest.fixture
def place() -> Iterator[Place]:
    """A fleet with its history on a server, which nobody asks here."""
    FILE.touch(0o600)
    FILE.write_text(f"{URL}\n")
    try:
        with new_place() as place:
            place.want(services="order", overrides=f"history: {{url_file: {FILE}}}\n")
            record(place)
            yield place
    finally:
        FILE.unlink()


@pytest.mark.makes(DATA_PLANE, "have the autopilot's helper tell what is in another file")
def test_the_url_of_the_history_is_told_and_nothing_else(place: Place) -> None:
    assert is_refused(POSTGRES.uid, OPEN_TO_READ, str(FILE))
    find = {"type": "FindHistory"}
    (found,) = answers(place, find)
    assert found["history"] == {"fleet": "tiny", "services": ["order"], "url": URL}
    assert answers(place, json.dumps({"number": 1, "what": {**find, "path": "/etc/shadow"}})) == [
        {}
    ]

    for secret in ("root:$6$secret:19000:0:99999:7:::\n", "json://me:secret@h/d", f"{URL} secret"):
        FILE.write_text(secret)
        (found,) = answers(place, find)
        assert not found.get("history")
        assert "secret" not in json.dumps(found)
        assert str(FILE) in failure(found)
    FILE.chmod(0o644)
    (found,) = answers(place, find)
    assert "may be read by others" in failure(found)
