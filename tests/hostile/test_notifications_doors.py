"""What a hostile controller can make of notifications: a real helper, and real receivers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from as_another import OPEN_TO_READ, is_refused
from hostile_controller import answers, autopilot_of, failure
from listening_receivers import Webhook, webhook
from tiny_place import Place, new_place
from tries import DATA_PLANE

from pgherd.autopilot.ledger import MOST_TRIES
from pgherd.engines.local import processes
from pgherd.engines.local.layout import data_plane_owner

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="where all run as one user there is no way up"),
]
POSTGRES = data_plane_owner()
SECRET = "s3cr3t-of-the-pager"
FILE = Path("/run/pgherd-test-pager")
MORE = """\
notifications:
- {{name: hook, url: "{url}"}}
- {{name: pager, url_file: {file}}}
- {{name: elsewhere, command: [/bin/false], environments: [other]}}
"""


@pytest.fixture(scope="module")
def hook() -> Iterator[Webhook]:
    with webhook() as found:
        yield found


@pytest.fixture(scope="module")
def place(hook: Webhook) -> Iterator[Place]:
    """Two environments, whose databases never ran: messages need none."""
    FILE.touch(0o600)
    FILE.write_text(hook.url(SECRET))
    try:
        with new_place() as place:
            text = MORE.format(url=hook.url(SECRET), file=FILE)
            other = "  other: {network: 10.1.0.0/16, ocpus: 1, storage: 1TB}\n"
            place.want(services="order", overrides=text, more=other)
            record(place)
            yield place
    finally:
        FILE.unlink()


def record(place: Place) -> None:
    """As `up` does, without its databases."""
    program = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from pgherd.control.applied import History
from pgherd.engines import known
from pgherd.fleet.load import load
fleet = load(Path(sys.argv[1]), known.sections())
History(Path(sys.argv[2]), known.values, None).record(fleet, datetime.now(UTC), "test")
"""
    folder = autopilot_of(place).applied
    subprocess.run(
        [sys.executable, "-I", "-c", program, str(place.folder / "fleet.yaml"), str(folder)],
        check=True,
    )


def alert(subject: str = "lab/order", text: str = "full") -> dict[str, object]:
    return {"name": "storage", "subject": subject, "since": 1, "summary": text, "remedy": text}


def notify(receiver: str = "hook", number: int = 1, **values: object) -> dict[str, object]:
    base = {"type": "Notify", "receiver": receiver, "environment": "lab", "number": number}
    return {**base, "firing": [alert()], **values}


@pytest.mark.makes(DATA_PLANE, "be told how a receiver of alerts is reached")
def test_the_controller_is_told_no_secret(place: Place, hook: Webhook) -> None:
    (found,) = answers(place, {"type": "LookUp"})
    assert [r["name"] for r in receivers(found)] == ["hook", "pager", "elsewhere"]
    assert SECRET not in str(found)
    hook.status = 500
    try:
        said = [failure(a) for a in answers(place, notify(), notify("pager"))]
    finally:
        hook.status = 200
    assert ["it answers with 500" in text for text in said] == [True, True]
    assert SECRET not in str(said)
    for path in (autopilot_of(place).log, *autopilot_of(place).history.glob("*")):
        assert not path.exists() or SECRET.encode() not in path.read_bytes()


def receivers(answer: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer["applied"]["resolved"]["fleet"]["notifications"]
    return found


@pytest.mark.makes(DATA_PLANE, "read the file of a receiver's secret")
def test_the_file_is_closed(place: Place) -> None:
    assert is_refused(POSTGRES.uid, OPEN_TO_READ, str(FILE))


@pytest.mark.makes(DATA_PLANE, "have others told, or of what is not theirs to hear")
def test_what_the_fleet_does_not_say_is_refused(place: Place, hook: Webhook) -> None:
    before = len(hook.got)
    found = answers(
        place,
        notify("nobody"),
        notify("json://127.0.0.1:1/x"),
        notify("elsewhere"),
        notify(environment="nowhere"),
        notify(firing=[alert("other/order")]),
    )
    assert [a["failure"]["kind"] for a in found] == ["InputError"] * 5
    assert answers(place, notify(url="json://127.0.0.1:1/x")) == [{}]
    assert answers(place, notify(firing=[alert()] * 11)) == [{}]
    assert len(hook.got) == before


@pytest.mark.makes(DATA_PLANE, "add a header, a link or a call to a message")
def test_a_hostile_text_arrives_harmless(place: Place, hook: Webhook) -> None:
    evil = "x\r\nBcc: a@b.example\x1b]0;owned\x07 https://evil.example <!channel> \u202e"
    (found,) = answers(place, notify(firing=[alert(text=evil)], number=7))
    assert found["failure"] is None
    got = hook.got[-1]
    assert got["title"].startswith("pgherd tiny: lab/order: x Bcc: a(at)b.example")
    for text in (got["title"], *got["message"].split("\n")):
        assert text.isprintable()
        assert not [sign for sign in ("@", "://", "<") if sign in text]


@pytest.mark.makes(DATA_PLANE, "flood a receiver with messages")
def test_nobody_is_flooded_and_nothing_goes_twice(place: Place, hook: Webhook) -> None:
    before = len(hook.got)
    same = answers(place, *[notify(number=100)] * 3)
    assert [a["failure"] for a in same] == [None] * 3
    assert len(hook.got) == before + 1
    found = answers(
        place,
        *(notify("elsewhere", n, environment="other", firing=[]) for n in range(MOST_TRIES + 3)),
    )
    refused = [failure(a) for a in found if "enough was sent" in failure(a)]
    assert len(refused) == 3


@pytest.mark.makes(DATA_PLANE, "read a receiver's secret while it is told")
def test_nothing_can_be_read_meanwhile(place: Place, hook: Webhook) -> None:
    hook.is_open.clear()
    count = len(hook.got)
    asking = threading.Thread(target=answers, args=(place, notify("pager", 200)))
    asking.start()
    try:
        deadline = time.monotonic() + 20
        while len(hook.got) == count:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        senders = [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit()
            and "pgherd.autopilot.sender" in processes.title(int(entry.name)).split("\0")
        ]
        assert senders
        for pid in senders:
            assert SECRET not in Path(f"/proc/{pid}/cmdline").read_text()
            assert SECRET not in Path(f"/proc/{pid}/environ").read_text()
            for name in ("environ", "mem", "fd/0"):
                assert is_refused(POSTGRES.uid, OPEN_TO_READ, f"/proc/{pid}/{name}")
    finally:
        hook.is_open.set()
        asking.join()
