"""`status`: every database of the file and of the world, as people and as programs read it."""

import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hostile import Screen, ensure_harmless
from msgspec.structs import replace
from shop import AUTH, FLEET, NOW, Shop

from pgherd.cli.main import cli
from pgherd.errors import TryLater


def test_what_does_not_exist_is_absent(shop: Shop) -> None:
    found = shop.json("status")["databases"]
    assert [(d["environment"], d["service"], d["state"]) for d in found] == [
        ("production", "auth", "absent"),
        ("production", "order", "absent"),
        ("staging", "auth", "absent"),
        ("staging", "order", "absent"),
    ]
    assert found[0]["instances"] == []


def test_json_has_exactly_the_documented_keys(running: Shop) -> None:
    database = running.json("status", "production/auth")["databases"][0]
    replica = database["instances"][1]
    assert database.keys() == {
        "environment",
        "service",
        "name",
        "state",
        "ocpus",
        "instances",
        "durability",
        "postgresql",
        "schema_revision",
        "protected",
        "unprotected",
        "detail",
        "restart_pending",
        "answered_at",
    }
    assert replica == {
        "name": "auth-2",
        "role": "replica",
        "state": "streaming",
        "availability_domain": 2,
        "lag_bytes": 0,
        "address": None,
    }
    assert (database["name"], database["state"]) == ("shop-production-auth-db", "running")


def test_the_autopilot_comes_first(running: Shop) -> None:
    lines = running.out("status").splitlines()
    assert lines[:2] == ["autopilot runs, last round 3.0 s ago, 0 alerts", ""]
    found = running.json("status")
    assert list(found) == ["autopilot", "databases", "notes"]
    at = datetime(2026, 5, 4, 12, 3, 1, tzinfo=UTC)
    assert found["autopilot"] == {
        "state": "running",
        "last_round_at": at.isoformat(),
        "alerts": 0,
        "history": None,
    }
    assert found["notes"] == []


@pytest.mark.parametrize(
    ("changes", "line", "state"),
    [
        ({"alerts": 2}, "autopilot runs, last round 3.0 s ago, 2 alerts", "running"),
        ({"alerts": 1, "is_paused": True}, "is paused, last round 3.0 s ago, 1 alert", "paused"),
        ({"is_dry": True}, "only tells (--dry-run), last round 3.0 s ago", "running"),
        ({"last_round_at": None}, "autopilot runs, no round yet", "running"),
        ({"last_round_at": NOW.timestamp() + 9}, "last round 0.0 s ago", "running"),
    ],
)
def test_each_state_of_the_autopilot(
    running: Shop, changes: dict[str, Any], line: str, state: str
) -> None:
    assert running.autopilot.running
    running.autopilot.running = replace(running.autopilot.running, **changes)
    assert line in running.out("status").splitlines()[0]
    said = running.json("status")["autopilot"]
    assert (said["state"], said["alerts"]) == (state, changes.get("alerts", 0))
    assert (said["last_round_at"] is None) is (changes.get("last_round_at", 1) is None)


def test_where_no_history_is_kept_the_second_line_says_why(running: Shop) -> None:
    assert running.autopilot.running
    running.autopilot.running = replace(running.autopilot.running, history="its server is away")
    lines = running.out("status").splitlines()
    assert lines[1:3] == ["no history is kept: its server is away", ""]
    assert running.json("status")["autopilot"]["history"] == "its server is away"


def test_an_autopilot_that_does_not_run_is_stopped(shop: Shop) -> None:
    assert shop.out("status").splitlines()[0] == "autopilot does not run: `pgherd up` starts it"
    stopped = {"state": "stopped", "last_round_at": None, "alerts": None, "history": None}
    assert shop.json("status")["autopilot"] == stopped


def test_each_environment_is_a_table(running: Shop) -> None:
    lines = running.out("status").splitlines()
    assert lines[2] == "production: 2 running; 4 instances serving"
    assert lines[5].split() == [
        "auth",
        "running",
        "1",
        "AD1",
        "2",
        "AD2",
        "0B",
        "2",
        "synchronous",
    ]
    assert "staging: 2 running; 2 instances serving" in lines


def test_one_environment_alone(running: Shop) -> None:
    assert "production" not in running.out("status", "staging")


def test_one_database_with_all_of_it(running: Shop) -> None:
    out = running.out("status", "production/auth")
    assert out.splitlines()[2] == "production/auth: running"
    assert "auth-2    replica  streaming" in out
    assert "PostgreSQL: 17" in out


def test_what_left_the_file_is_shown_and_marked(running: Shop) -> None:
    running.write(FLEET.replace("[auth, order]", "[auth]"))
    extra = running.json("status", "production/order")["databases"][0]
    assert (extra["name"], extra["state"]) == (None, "running")
    assert extra["detail"] == "not in the fleet file"
    assert "order: not in the fleet file" in running.out("status")


def test_what_gives_no_answer_is_unknown_with_the_reason(running: Shop) -> None:
    running.world.hide(AUTH, "no route to it")
    found = running.json("status", exit_code=3)["databases"]
    assert (found[0]["state"], found[0]["detail"]) == ("unknown", "no route to it")
    assert found[1]["state"] == "running"
    complaint = running.err("status", exit_code=3)
    assert complaint == "error: production/auth cannot be seen: no route to it\n"


def test_an_engine_that_cannot_see_makes_all_unknown(running: Shop) -> None:
    running.world.blind_next(TryLater("the cloud is down"))
    complaint = running.err("status", exit_code=3)
    assert complaint == "error: production/auth and 3 more cannot be seen: the cloud is down\n"


def test_a_broken_replica_says_so(running: Shop) -> None:
    running.world.break_instance(AUTH, "auth-2")
    out = running.out("status", "production")
    assert "1 degraded, 1 running; 3 instances serving" in out
    assert "2 AD2 failed" in out


def test_a_stopped_database_says_it_once(running: Shop) -> None:
    running.out("down", "production/auth")
    row = next(r for r in running.out("status").splitlines() if r.startswith("auth"))
    assert row.count("stopped") == 1


def test_an_impaired_environment_says_why(running: Shop) -> None:
    running.world.reboot()
    assert "production: services not running" in running.out("status")


def test_an_unknown_name_is_refused(running: Shop) -> None:
    complaint = running.err("status", "productoin", exit_code=2)
    assert "error: 'productoin' is neither an environment nor a database" in complaint
    assert "hint: write one of production, staging, or ENVIRONMENT/SERVICE" in complaint


def test_status_needs_no_lock(running: Shop) -> None:
    running.lock.unlink()
    running.out("status")
    assert not running.lock.exists()


@pytest.mark.parametrize(("width", "has_line"), [("60", False), ("80", True)])
def test_a_terminal_with_room_shows_how_busy_databases_were(
    running: Shop, monkeypatch: pytest.MonkeyPatch, width: str, has_line: bool
) -> None:
    assert running.autopilot.running
    lately = {str(AUTH): [None, 0, 50, 100]}
    running.autopilot.running = replace(running.autopilot.running, cpu=lately)
    assert "10 min" not in running.out("status")
    screen = Screen(is_terminal=True)
    for name, value in {"COLUMNS": width, "TERM": "vt100", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", screen)
        patch.setenv("PGHERD_FILE", str(running.file))
        cli.main(["status"], "pgherd", obj=running.surroundings(), standalone_mode=False)
    found = ensure_harmless(screen.getvalue())
    assert ("CPU, 10 min" in found) is has_line
    assert ("synchronous   _=#" in found) is has_line
    assert max(len(text) for text in found.splitlines()) <= int(width)
