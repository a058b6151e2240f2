"""`alerts` with receivers: who is told, when last, and a test of each."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from shop import FLEET, NOW, Shop

from pgherd.autopilot.reading import History, ReadReceiver
from pgherd.errors import TryLater
from pgherd.fleet import apprise_urls
from pgherd.fleet.apprise_urls import Look

SECRET = "s3cr3t"
RECEIVERS = f"""\
notifications:
- {{name: hook, url: "jsons://example.com/{SECRET}"}}
- {{name: pager, url_file: /etc/pgherd/pager, environments: [production]}}
- {{command: [/bin/page]}}
"""
LOCAL = f"{NOW.astimezone():%Y-%m-%d %H:%M:%S}"


@pytest.fixture
def told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Its receivers are good: asking Apprise takes a second each time."""
    monkeypatch.setattr(apprise_urls, "looked_at", lambda urls: [Look.GOOD for _ in urls])
    shop.write(FLEET + RECEIVERS)
    read = [ReadReceiver("hook", NOW.timestamp()), ReadReceiver("pager", trouble="it is away")]
    shop.autopilot.told = History(receivers=read)
    return shop


def test_it_says_who_is_told_and_when_last(told: Shop) -> None:
    assert told.out("alerts").splitlines() == [
        "no alerts",
        f"told: hook (jsons://***), last at {LOCAL}",
        "told of production: pager (the URL in /etc/pgherd/pager), not yet; now: it is away",
        "told: page (/bin/page), not yet",
    ]


def test_programs_read_the_same(told: Shop) -> None:
    found = told.json("alerts")
    assert found["alerts"] == []
    assert found["receivers"][0] == {
        "name": "hook",
        "place": "jsons://***",
        "environments": [],
        "told_at": datetime(2026, 5, 4, 12, 3, 4, tzinfo=UTC).isoformat(),
        "trouble": None,
    }
    assert [r["trouble"] for r in found["receivers"]] == [None, "it is away", None]
    assert [r["environments"] for r in found["receivers"]] == [[], ["production"], []]


def test_each_is_tried(told: Shop) -> None:
    assert told.out("alerts", "--test").splitlines() == [
        "hook (jsons://***) has taken a message",
        "pager (the URL in /etc/pgherd/pager) has taken a message",
        "page (/bin/page) has taken a message",
    ]
    assert sorted(told.autopilot.sent) == [
        (name, "pgherd shop: test") for name in ("hook", "page", "pager")
    ]


def test_it_fails_where_one_does_not_take_it(told: Shop) -> None:
    told.autopilot.refusals["pager"] = TryLater("pager has not taken a message: it is away")
    result = told.run("alerts", "--test")
    assert result.exit_code == 3
    assert "hook (jsons://***) has taken a message" in result.stdout
    assert "error: pager has not taken a message: it is away" in result.stderr
    tried = told.run("alerts", "--test", "--json")
    assert tried.exit_code == 3
    assert '"failed": "pager has not taken a message: it is away"' in tried.stdout


def test_without_receivers_there_is_nothing_to_try(shop: Shop) -> None:
    assert shop.err("alerts", "--test", exit_code=2).startswith(
        "error: the fleet file has no notifications\nhint: "
    )


@pytest.mark.parametrize(
    "words",
    [("alerts",), ("alerts", "--test"), ("show",), ("show", "--json"), ("plan",), ("status",)],
)
def test_no_command_shows_a_secret(told: Shop, words: tuple[str, ...]) -> None:
    assert SECRET not in told.run(*words).output


def test_what_was_applied_is_shown_without_it(told: Shop) -> None:
    told.run("up")
    said = told.out("history", "1") + told.out("history", "1", "--json")
    assert "jsons://***" in said
    assert SECRET not in said
