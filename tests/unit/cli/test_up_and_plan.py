"""`up` and `plan`: what they print, in which order, and how they end."""

import pytest
from shop import AUTH, FLEET, Shop

from pgherd.errors import NeedsHuman, TryLater

GROWN = FLEET.replace("replicas: 1..2", "replicas: 2..2")
SHRUNK = FLEET.replace("[auth, order]", "[auth]")


def test_up_tells_each_action_and_how_to_connect(shop: Shop) -> None:
    lines = shop.out("up").splitlines()
    assert lines[0] == "production/auth: create, since it does not exist"
    assert "production/auth: created (0.0 s)" in lines
    assert "production/order: replicas 0 → 1 (0.0 s)" in lines
    assert lines[-3:] == [
        "4 databases run: 6 instances in 0.0 s",
        "connect with  pgherd connect production/auth",
        '              psql "$(pgherd url production/auth)"',
    ]


def test_a_second_up_says_that_nothing_was_to_do(running: Shop) -> None:
    taken = len(running.world.steps.taken)
    lines = running.out("up").splitlines()
    assert lines[0] == "nothing to do: 4 databases run: 6 instances (0.0 s)"
    assert len(running.world.steps.taken) == taken


def test_a_long_plan_is_a_line_for_each_environment(shop: Shop) -> None:
    shop.heads = {AUTH: "0001"}
    shop.write(FLEET.replace("[auth, order]", "[auth, order, cart, user]"))
    first, second, *_ = shop.out("up").splitlines()
    assert first == "production: create 4, replicas 4, migrate 1"
    assert second == "staging: create 4"


def test_databases_that_are_restarted_at_once_do_not_wait_for_one_another(running: Shop) -> None:
    running.write(FLEET.replace("ocpus: 2..8", "ocpus: 4..8"))
    assert "4 databases run: 6 instances" in running.out("up")
    sizes = {i["ocpus"] for i in running.json("status")["databases"][:2]}
    assert sizes == {4}


def test_trouble_with_one_database_ends_with_its_error(shop: Shop) -> None:
    shop.world.fail_next("ensure_database", NeedsHuman("it is damaged", "restore it"), id=AUTH)
    result = shop.run("up")
    assert result.exit_code == 4
    assert "production/auth: given up: it is damaged" in result.stdout
    assert "3 databases run: 4 instances" in result.stdout
    assert result.stderr == "error: production/auth: it is damaged\nhint: restore it\n"


def test_waiting_is_told_and_an_environment_only_once(shop: Shop) -> None:
    shop.world.fail_next("ensure_database", TryLater("it is busy"), id=AUTH, times=2)
    out = shop.out("up")
    assert "production/auth: tries again in 0.5 s: it is busy" in out
    assert out.count("production: what its databases share is set up") == 1


def test_what_left_the_fleet_file_is_kept_until_it_is_named(running: Shop) -> None:
    running.write(SHRUNK)
    complaint = running.err("up", exit_code=2)
    assert "production/order: it is not in the fleet file and has data" in complaint
    assert "destroy it with --yes-destroy production/order" in complaint
    both = ("--yes-destroy", "production/order", "--yes-destroy", "staging/order")
    assert "production/order: deleted (0.0 s)" in running.out("up", *both)
    assert {id.service for id in running.world.databases} == {"auth"}


def test_plan_says_what_up_would_do_and_does_nothing(running: Shop) -> None:
    running.write(GROWN)
    taken = len(running.world.steps.taken)
    lines = running.out("plan").splitlines()
    assert lines[0] == "2 steps"
    assert lines[3].split()[:4] == ["production/auth", "replicas", "1", "→"]
    assert lines[3].endswith("none")
    assert len(running.world.steps.taken) == taken


def test_plan_of_nothing_says_so(running: Shop) -> None:
    assert running.out("plan") == "nothing to do: everything is as the fleet file says\n"


def test_plan_as_json_has_a_stable_shape(running: Shop) -> None:
    running.write(GROWN.replace("[auth, order]", "[auth]"))
    running.world.hide(AUTH)
    found = running.json("plan", exit_code=2)
    assert found["steps"] == []
    assert {r["flag"] for r in found["refused"]} == {"production/order", "staging/order"}
    assert found["refused"][0].keys() == {"subject", "message", "hint", "flag"}
    assert found["unknown"] == [{"subject": "production/auth", "reason": "no answer"}]
    running.world.show(AUTH)
    (step,) = running.json("plan", exit_code=2)["steps"]
    assert step.keys() == {"subject", "action", "reason", "interruption"}
    assert (step["subject"], step["action"]) == ("production/auth", "replicas 1 → 2")


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_plan_names_what_is_refused_and_ends_as_up_does(
    running: Shop, flags: tuple[str, ...]
) -> None:
    running.write(SHRUNK)
    result = running.run("plan", *flags)
    assert result.exit_code == 2
    assert flags or result.stdout.startswith("nothing to do, but for what is below")
    assert "--yes-destroy staging/order" in result.stderr
    assert result.stderr == running.err("up", exit_code=2)
    assert running.run("plan", "--yes-destroy", "production/order", *flags).exit_code == 2
    both = ("--yes-destroy", "production/order", "--yes-destroy", "staging/order")
    assert running.run("plan", *both, *flags).exit_code == 0


def test_plan_ends_as_up_does_where_a_database_is_not_seen(running: Shop) -> None:
    running.world.hide(AUTH)
    complaint = running.err("plan", exit_code=3)
    assert complaint == "error: production/auth is not seen: no answer\n"


def test_plan_ends_with_the_gravest_error_and_says_it_first(running: Shop) -> None:
    running.write(SHRUNK)
    running.world.hide(AUTH)
    complaint = running.err("plan", exit_code=2)
    assert "it is not in the fleet file and has data" in complaint.splitlines()[0]
    assert "error: production/auth is not seen: no answer\n" in complaint
