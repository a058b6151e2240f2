"""An alert of a real fleet reaches its receiver, once, and so does its end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from listening_receivers import Webhook, webhook
from tiny_place import Place, eventually, new_place

from pgherd.autopilot.place import place_of
from pgherd.autopilot.questions import Status, ask

pytestmark = pytest.mark.integration
CLIENTS = 64
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


@pytest.mark.timeout(600)
def test_an_alert_is_told_once_and_its_end_too(place: Place, hook: Webhook) -> None:
    assert "pager (json://***) has taken a message" in place.run("alerts", "--test")
    assert hook.got.pop()["title"] == "pgherd tiny: test"
    assert "told: pager (json://***), not yet" in place.run("alerts")

    with crowd(place):
        eventually(lambda: bool(hook.got), 240)
        first = hook.got[0]
        assert first["title"].startswith("pgherd tiny: lab/order: ")
        assert "clients wait for a connection" in first["title"]
        assert "what to do: let clients use fewer sessions" in first["message"]
        eventually(lambda: "not yet" not in place.run("alerts"), 30)  # that is in the history
        before = ask(place_of(place.root.with_name("tiny.applied")), Status())
        assert before
        assert before.controller
        for pid in (before.controller, before.pid):
            os.kill(pid, signal.SIGKILL)
        time.sleep(20)  # longer than an alert waits for others, if it were new
        assert len(hook.got) == 1
    eventually(lambda: len(hook.got) > 1, 300)
    begun = [line for line in lines(hook) if line.startswith("lab/order: ")]
    ended = [line for line in lines(hook) if line.startswith("resolved: lab/order: ")]
    assert (len(begun), len(ended)) == (1, 1), hook.got

    told = json.loads(place.run("events", "lab", "--json"))["events"]
    assert [event["kind"] for event in told].count("notification") == 2
    assert re.search(r"told: pager \(json://\*\*\*\), last at 20", place.run("alerts"))
    assert_no_secret(place)


@contextlib.contextmanager
def crowd(place: Place) -> Iterator[None]:
    """More clients than the pool has connections, of whom some always wait."""
    url = place.run("url", "lab/order").strip()
    is_over = threading.Event()

    def stay() -> None:
        while not is_over.is_set():
            with contextlib.suppress(psycopg.Error), psycopg.connect(url) as client:
                client.execute("SELECT 1")
                is_over.wait()

    clients = [threading.Thread(target=stay, daemon=True) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
        time.sleep(0.3)  # so that not all waits end at once
    try:
        yield
    finally:
        is_over.set()


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
