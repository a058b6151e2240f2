"""`down` and `destroy`: what is kept, what is asked, and what is refused."""

import pytest
from shop import FLEET, Shop

ALL = ("--yes-destroy", "production", "--yes-destroy", "staging")


def test_down_keeps_everything_and_says_so(running: Shop) -> None:
    lines = running.out("down").splitlines()
    assert "staging/auth: stopped (0.0 s)" in lines
    assert lines[-1] == "4 databases stopped in 0.0 s, all data kept"
    assert running.out("down") == "nothing to do: nothing runs\n"
    running.out("up")


def test_down_of_one_environment(running: Shop) -> None:
    assert running.out("down", "staging").endswith("2 databases stopped in 0.0 s, all data kept\n")
    states = [d["state"] for d in running.json("status")["databases"]]
    assert states == ["running", "running", "stopped", "stopped"]


def test_down_of_what_is_nowhere_is_refused(running: Shop) -> None:
    assert "'qa' is neither" in running.err("down", "qa", exit_code=2)


def test_destroy_refuses_what_is_protected_and_says_what_to_write(running: Shop) -> None:
    before = running.world.picture()
    running.is_interactive = True
    assert running.err("destroy", exit_code=2, typed="shop\n") == (
        "error: production has 2 databases with deletion protection: "
        "production/auth, production/order\n"
        "hint: write pgherd destroy --yes-destroy production\n"
    )
    assert running.world.picture() == before


def test_destroy_asks_for_the_name_of_the_fleet(running: Shop) -> None:
    running.is_interactive = True
    result = running.run("destroy", "--yes-destroy", "production", typed="shop\n")
    assert result.exit_code == 0
    assert "staging: 2 databases with all data" in result.stdout
    assert "type shop to delete it:" in result.stdout
    assert result.stdout.endswith("4 databases deleted in 0.0 s\n")
    assert running.world.databases == {}


@pytest.mark.parametrize("typed", ["\n", "yes\n", "production\n"])
def test_any_other_answer_deletes_nothing(running: Shop, typed: str) -> None:
    running.is_interactive = True
    complaint = running.err("destroy", "--yes-destroy", "production", exit_code=2, typed=typed)
    assert "error: not confirmed: nothing was deleted" in complaint
    assert len(running.world.databases) == 4


def test_destroy_of_one_environment_asks_for_its_name(running: Shop) -> None:
    running.is_interactive = True
    result = running.run("destroy", "staging", typed="staging\n")
    assert result.exit_code == 0
    assert {id.environment for id in running.world.databases} == {"production"}


def test_destroy_of_several_asks_for_their_names(running: Shop) -> None:
    running.is_interactive = True
    names = ("staging/order", "staging/auth")
    assert "not confirmed" in running.err("destroy", *names, exit_code=2, typed="shop\n")
    result = running.run("destroy", *names, typed="staging/order staging/auth\n")
    assert result.exit_code == 0
    assert "type staging/order staging/auth to delete them:" in result.stdout
    assert {id.environment for id in running.world.databases} == {"production"}


def test_where_one_environment_is_all_that_is_there_its_name_is_asked_for(running: Shop) -> None:
    running.out("destroy", "production", "--yes-destroy", "production")
    running.is_interactive = True
    result = running.run("destroy", typed="staging\n")
    assert result.exit_code == 0
    assert "type staging to delete it:" in result.stdout
    assert running.world.databases == {}


def test_who_allows_one_environment_is_told_how_to_destroy_it_alone(running: Shop) -> None:
    alone = "pgherd destroy staging --yes-destroy staging"
    hint = f"hint: write {alone} to delete that alone"
    everything = "pgherd destroy --yes-destroy staging --yes-destroy production"
    complaint = running.err("destroy", "--yes-destroy", "staging", exit_code=2)
    assert f"{hint}, or {everything}\n" in complaint
    assert "alone" not in running.err("destroy", "--yes-destroy", "shop", exit_code=2)
    running.write(FLEET.replace("deletion_protection: true", "deletion_protection: false"))
    running.is_interactive = True
    asked = ("destroy", "--yes-destroy", "staging")
    assert f"{hint}\n" in running.err(*asked, exit_code=2, typed="staging\n")
    assert len(running.world.databases) == 4
    running.out(*alone.split()[1:])
    assert {id.environment for id in running.world.databases} == {"production"}


def test_where_nobody_is_there_to_ask_the_exact_command_is_told(running: Shop) -> None:
    complaint = running.err("destroy", "staging", exit_code=2)
    assert "error: staging: nobody is there to confirm" in complaint
    command = "pgherd destroy staging --yes-destroy staging"
    assert f"hint: write {command}\n" in complaint
    running.out(*command.split()[1:])
    assert {id.environment for id in running.world.databases} == {"production"}


def test_the_command_to_write_names_the_file_that_was_named(running: Shop) -> None:
    complaint = running.err("destroy", "-f", str(running.file), exit_code=2)
    assert f"pgherd destroy -f {running.file} --yes-destroy production" in complaint


def test_destroy_by_name_asks_nothing(running: Shop) -> None:
    assert running.out("destroy", *ALL).endswith("4 databases deleted in 0.0 s\n")
    assert (running.world.databases, running.world.environments) == ({}, {})
    assert running.out("destroy", *ALL) == "nothing to do: nothing is there\n"


def test_what_left_the_fleet_file_counts_as_protected(running: Shop) -> None:
    running.write(FLEET.replace("[auth, order]", "[auth]"))
    complaint = running.err("destroy", "production/order", exit_code=2)
    assert "production/order has no place in the fleet file" in complaint
