"""An alert of a real fleet reaches its receiver, once, and so does its end."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from listening_receivers import Webhook, webhook
from tiny_place import Place, eventually, new_place

from pgherd.autopilot.place import place_of
from pgherd.autopilot.questions import Status, ask

pytestmark = pytest.mark.integration
SECRET = "s3cr3t-of-the-pager"


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as found:
        yield found


@pytest.fixture
def place(hook: Webhook) -> Iterator[Place]:
    with new_place(has_autopilot=True) as place:
        url = hook.url(SECRET)
        more = f'notifications: {{name: pager, url: "{url}"}}\n'
        place.want(services="order", replicas="0", overrides=more)
        place.up()
        yield place


def test_an_alert_is_told_once_and_its_end_too(place: Place, hook: Webhook) -> None:
    assert "pager (json://***) has taken a message" in place.run("alerts", "--test")
    assert hook.got.pop()["title"] == "pgherd tiny: test"
    assert "told: pager (json://***), not yet" in place.run("alerts")

    data = next(iter(place.kept("order").glob("*/data")))
    control = data / "global/pg_control"
    control.chmod(0o000)
    postmaster = int((data / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    eventually(lambda: bool(hook.got), 180)
    first = hook.got[0]
    assert re.match(r"pgherd tiny: lab(/order)?: ", first["title"])
    assert "what to do: " in first["message"]

    before = ask(place_of(place.root.with_name("tiny.applied")), Status())
    assert before
    assert before.controller
    for pid in (before.controller, before.pid):
        os.kill(pid, signal.SIGKILL)

    control.chmod(0o600)
    eventually(lambda: place.databases()["order"]["state"] == "running", 180)
    eventually(lambda: any("resolved" in got["message"] for got in hook.got), 300)
    begun = [line for line in lines(hook) if line.startswith("lab/order: it does not serve")]
    ended = [line for line in lines(hook) if line.startswith("resolved: lab/order: it does not")]
    assert (len(begun), len(ended)) == (1, 1), hook.got

    told = json.loads(place.run("events", "lab", "--json"))["events"]
    assert {"notification"} <= {event["kind"] for event in told}
    assert re.search(r"told: pager \(json://\*\*\*\), last at 20", place.run("alerts"))
    assert_no_secret(place)


def lines(hook: Webhook) -> list[str]:
    return [line for got in hook.got for line in got["message"].splitlines()]


def assert_no_secret(place: Place) -> None:
    """In all that is printed, logged or told; the applied file is root's alone."""
    for verb in ("status", "plan", "events", "alerts", "show", "history", "history 1"):
        for more in ((), ("--json",)):
            _, said = place.outcome(*verb.split(), *more)
            assert SECRET not in said, verb
    applied = place.root.with_name("tiny.applied")
    history = place.root.with_name("tiny.history")
    for path in (applied / "autopilot.log", *history.iterdir()):
        assert SECRET.encode() not in Path(path).read_bytes(), path
