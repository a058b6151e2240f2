"""`events`, `why`, `alerts`, `pause`, `resume`, `run`, and which commands begin or end it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from shop import NOW, Shop

from pgherd.autopilot.now import Now, NowOfDatabase
from pgherd.autopilot.reading import History, ReadAlert, ReadEvent, Wanted
from pgherd.errors import NeedsHuman

AUTH = "production/auth"
GREW = ReadEvent(
    NOW,
    "scale",
    "cpu 97% of 2 OCPUs for 12 s, above 80%",
    "production",
    AUTH,
    {"ocpus": {"from": 2, "to": 4}, "seconds": 1.5, "throughput": {"before": 900, "after": 1702.6}},
)
MENDED = ReadEvent(NOW - timedelta(hours=1), "repair", "1 of 2 instances serve", "staging")
LAGS = ReadAlert("replica-lags", f"{AUTH}/auth-2", NOW, "it is 300MB behind", "look for a query")
SIZE = NowOfDatabase(2, 4, "cpu", "cpu 97%", 2, 8, True, None, 97.0, 40.0, 900.0)


def told(shop: Shop) -> Shop:
    now = Now(NOW.timestamp() - 1, {AUTH: SIZE})
    shop.autopilot.told = History([GREW, MENDED], [LAGS], now)
    return shop


def test_events_are_a_table_the_newest_first(shop: Shop) -> None:
    lines = told(shop).out("events").splitlines()
    assert lines[0] == "2 events"
    grew, mended = lines[-2:]
    assert "ocpus 2 → 4" in grew
    assert AUTH in grew
    assert grew.rstrip().endswith(GREW.reason)
    assert "repair" in mended
    assert "staging" in mended


def test_without_events_it_says_so(shop: Shop) -> None:
    assert shop.out("events") == "nothing has happened by itself yet\n"
    assert shop.json("events") == {"events": []}


def test_events_for_programs_have_fixed_names(shop: Shop) -> None:
    grew, mended = told(shop).json("events", AUTH)["events"]
    assert grew == {
        "at": "2026-05-04T12:03:04+00:00",
        "kind": "scale",
        "environment": "production",
        "database": AUTH,
        "reason": GREW.reason,
        "ocpus": {"from": 2, "to": 4},
        "seconds": 1.5,
        "throughput": {"before": 900, "after": 1702.6},
    }
    assert (mended["database"], mended["environment"]) == (None, "staging")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ((), Wanted(limit=50)),
        ((AUTH,), Wanted(AUTH, limit=50)),
        (("staging", "--limit", "3"), Wanted(environment="staging", limit=3)),
        (("--follow",), Wanted(limit=50, follow=True)),
    ],
)
def test_what_is_asked_of_the_history(shop: Shop, words: tuple[str, ...], wanted: Wanted) -> None:
    shop.out("events", *words)
    assert shop.autopilot.asked == [wanted]


def test_events_that_are_followed_come_a_line_each_the_oldest_first(shop: Shop) -> None:
    lines = told(shop).out("events", "--follow").splitlines()
    assert lines[0].endswith("staging: repair: 1 of 2 instances serve")
    assert lines[1].endswith(f"{AUTH}: ocpus 2 → 4: {GREW.reason}")
    assert len(shop.out("events", "--follow", "--json").splitlines()) == 2


def test_ctrl_c_ends_following_quietly(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(wanted: Wanted) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(shop.autopilot, "follow", interrupted)
    assert shop.out("events", "--follow") == ""


@pytest.mark.parametrize("verb", ["events", "why", "pause", "resume"])
def test_what_is_nowhere_is_refused(shop: Shop, verb: str) -> None:
    more = ("--reason", "x") if verb == "pause" else ()
    complaint = shop.err(verb, "production/cart", *more, exit_code=2)
    assert complaint.startswith("error: ")
    assert "cart" in complaint
    assert shop.autopilot.asked == []
    assert shop.autopilot.paused == []


@pytest.mark.parametrize("limit", ["0", "10001", "many"])
def test_a_limit_has_limits(shop: Shop, limit: str) -> None:
    assert shop.run("events", "--limit", limit).exit_code == 2


def test_why_says_how_it_is_and_what_was_done(shop: Shop) -> None:
    lines = told(shop).out("why", AUTH).splitlines()
    assert lines[0] == f"{AUTH}: 2 OCPUs of 2..8, to be 4: cpu 97%"
    end = f"ocpus 2 → 4: {GREW.reason}, done in 1.5 s, throughput 900 → 1703/s"
    assert lines[1].endswith(end)
    assert shop.autopilot.asked == [Wanted(AUTH, limit=10)]


def test_why_for_programs_has_fixed_names(shop: Shop) -> None:
    found = told(shop).json("why", AUTH)
    events = found.pop("events")
    assert [event["kind"] for event in events] == ["scale", "repair"]
    assert found == {
        "database": AUTH,
        "at": "2026-05-04T12:03:03+00:00",
        "ocpus": 2,
        "wanted": 4,
        "bounds": [2, 8],
        "rule": "cpu",
        "reason": "cpu 97%",
        "paused": None,
        "cpu_percent": 97.0,
        "memory_percent": 40.0,
        "transactions_per_second": 900.0,
    }


def test_why_of_what_was_not_measured_has_the_same_names(shop: Shop) -> None:
    assert shop.out("why", AUTH) == f"{AUTH}: the autopilot has not measured it yet\n"
    found = shop.json("why", AUTH)
    assert found.keys() == told(shop).json("why", AUTH).keys()
    assert (found["at"], found["ocpus"], found["bounds"], found["events"]) == (None, None, None, [])


def test_alerts_for_people_and_for_programs(shop: Shop) -> None:
    assert shop.out("alerts") == "no alerts\n"
    assert shop.json("alerts") == {"alerts": []}
    lines = told(shop).out("alerts").splitlines()
    assert lines[0] == "1 alert"
    assert LAGS.summary in lines[-1]
    assert LAGS.remedy in lines[-1]
    assert shop.json("alerts") == {
        "alerts": [
            {
                "name": "replica-lags",
                "database": f"{AUTH}/auth-2",
                "since": "2026-05-04T12:03:04+00:00",
                "summary": LAGS.summary,
                "remedy": LAGS.remedy,
            }
        ]
    }


def test_up_begins_it(shop: Shop) -> None:
    shop.out("up")
    assert shop.autopilot.running
    assert shop.json("status")["autopilot"]["state"] == "running"


def test_up_without_it_ends_it(running: Shop) -> None:
    running.out("up", "--no-autopilot")
    assert running.autopilot.running is None
    assert running.json("status")["autopilot"]["state"] == "stopped"


def test_an_up_that_fails_has_begun_it_all_the_same(shop: Shop) -> None:
    shop.world.fail_next("ensure_database", NeedsHuman("no"))
    assert shop.run("up").exit_code != 0
    assert shop.autopilot.running


def test_down_of_everything_ends_it_and_of_a_part_does_not(running: Shop) -> None:
    running.out("down", "staging")
    assert running.autopilot.running
    running.out("down")
    assert running.autopilot.running is None


def test_destroy_of_everything_ends_it_and_of_a_part_does_not(running: Shop) -> None:
    running.out("destroy", "staging/auth", "--yes-destroy", "staging/auth")
    running.out("destroy", "staging", "--yes-destroy", "staging")
    assert running.autopilot.running
    running.out("destroy", "--yes-destroy", "shop", "--yes-destroy", "production")
    assert running.autopilot.running is None


def test_a_destroy_that_is_refused_lets_it_run(running: Shop) -> None:
    running.err("destroy", exit_code=2)
    running.err("destroy", "--yes-destroy", "production", exit_code=2)  # nobody confirms the rest
    assert running.autopilot.running


def test_destroy_of_nothing_ends_it_too(shop: Shop) -> None:
    shop.autopilot.begin()
    assert shop.out("destroy", "staging") == "nothing to do: nothing is there\n"
    assert shop.autopilot.running
    assert shop.out("destroy") == "nothing to do: nothing is there\n"
    assert shop.autopilot.running is None


def test_pause_and_resume(shop: Shop) -> None:
    said = shop.out("pause", AUTH, "--reason", "holidays")
    assert said.startswith(f"{AUTH} is left alone until `pgherd resume {AUTH}")
    (pause,) = shop.autopilot.paused
    assert (pause.subject, pause.reason, pause.by) == (AUTH, "holidays", "alice")
    assert (pause.since, pause.until) == (NOW.timestamp(), None)
    assert shop.out("resume", AUTH) == f"{AUTH} goes on\n"
    assert shop.out("resume", AUTH) == "nothing to do: it is not paused\n"
    assert shop.autopilot.paused == []


def test_a_pause_of_everything(running: Shop) -> None:
    said = running.out("pause", "--reason", "an audit")
    assert said.startswith("shop is left alone until `pgherd resume")
    assert [p.subject for p in running.autopilot.paused] == [""]
    running.out("up")
    assert running.json("status")["autopilot"]["state"] == "paused"
    assert running.out("resume") == "shop goes on\n"


def test_resume_goes_on_with_what_is_inside(shop: Shop) -> None:
    for target in (AUTH, "production", "staging"):
        shop.out("pause", target, "--reason", "x")
    shop.out("resume", "production")
    assert [p.subject for p in shop.autopilot.paused] == ["staging"]


def test_a_pause_wants_a_reason(shop: Shop) -> None:
    assert shop.run("pause", "staging").exit_code == 2
    assert shop.autopilot.paused == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("2h", 7200), ("7d", 604_800), ("1 h", 3600), ("999999d", 86_399_913_600)],
)
def test_a_pause_for_a_time(shop: Shop, text: str, seconds: int) -> None:
    said = shop.out("pause", "staging", "--reason", "x", "--for", text)
    assert said == f"staging is left alone for {text}\n"
    assert shop.autopilot.paused[0].until == NOW.timestamp() + seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0m",
        "05m",
        "-1h",
        "1.5h",
        "2",
        "h",
        "2H",
        "2w",
        "1h30m",
        "2h\n",
        "٣h",
        "1e3h",
        "9" * 400,
    ],
)
def test_what_is_no_time_pauses_nothing(shop: Shop, text: str) -> None:
    complaint = shop.err("pause", "--reason", "x", "--for", text, exit_code=2)
    assert "is not a time" in complaint
    assert "hint: write one as in 30m, 2h or 7d" in complaint
    assert len(complaint) < 200
    assert shop.autopilot.paused == []


def test_run_before_anything_was_applied_is_for_later(shop: Shop) -> None:
    complaint = shop.err("run", exit_code=3)
    assert complaint.startswith("error: nothing was applied to shop yet\n")
    assert shop.autopilot.ran == []


def test_run_runs_it_here(running: Shop) -> None:
    assert running.out("run").startswith("the autopilot of shop runs until Ctrl-C")
    running.out("run", "--dry-run")
    assert running.autopilot.ran == [("shop", False), ("shop", True)]


def test_run_stop_ends_the_one_that_runs(running: Shop) -> None:
    assert running.out("run", "--stop") == "the autopilot has ended\n"
    assert running.autopilot.running is None
    assert running.out("run", "--stop") == "nothing to do: it does not run\n"
    assert running.autopilot.ran == []
