"""`pgherd backup` and `pgherd restore` as a user meets them."""

from datetime import timedelta
from pathlib import Path

import pytest
from shop import AUTH, Shop

from pgherd.errors import TryLater
from pgherd.fleet.desired import DatabaseId

MINUTE = timedelta(minutes=1)
STAGED = DatabaseId("staging", "auth")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.out("up")
    shop.world.write(AUTH, "one")
    shop.now += MINUTE
    shop.world.write(AUTH, "two")
    shop.now += MINUTE
    return shop


def test_a_backup_is_taken_and_listed(shop: Shop) -> None:
    assert "production/auth: backup auth-1 is complete" in shop.out(
        "backup", "now", "production/auth"
    )
    lines = shop.out("backup", "list", "production/auth")
    assert "auth-1  manual  available  2026-05-04 12:05:04" in lines
    assert "any second from 2026-05-04 12:03:04 to 2026-05-04 12:05:04" in lines
    found = shop.json("backup", "list", "production/auth")
    assert found["database"] == "production/auth"
    assert [b["name"] for b in found["backups"]] == ["auth-1"]
    assert found["windows"] == [
        {"begin": "2026-05-04T12:03:04+00:00", "end": "2026-05-04T12:05:04+00:00"}
    ]


def test_a_copy_of_a_moment_is_a_new_database(shop: Shop) -> None:
    at = "2026-05-04T12:03:30"
    told = shop.out("restore", "production/auth", "--to", at, "--as", "auth-old")
    assert "production/auth-old: as production/auth was at 2026-05-04 12:03:30 UTC" in told
    assert "delete it with pgherd destroy production/auth-old" in told
    (copy,) = [id for id in shop.world.databases if id.service == "auth-old"]
    assert shop.world.rows(copy) == ["one"]
    assert shop.world.rows(AUTH) == ["one", "two"]
    assert "auth-old" in shop.out("url", "production/auth-old")
    shop.out("restore", "production/auth", "--to", at, "--as", "auth-old")


def test_in_its_own_place_it_asks_for_the_name(shop: Shop) -> None:
    call = ("restore", "production/auth", "--to", "2026-05-04T14:03:30+02:00")
    assert "nobody is there to confirm" in shop.err(*call, exit_code=2)
    shop.is_interactive = True
    assert "nothing was restored" in shop.err(*call, exit_code=2, typed="production\n")
    assert "names staging/auth" in shop.err(*call, "--yes-overwrite", "staging/auth", exit_code=2)
    assert shop.world.rows(AUTH) == ["one", "two"]
    assert shop.run(*call, typed="production/auth\n").exit_code == 0
    assert shop.world.rows(AUTH) == ["one"]


def masked(shop: Shop, tmp_path: Path) -> None:
    """The fleet file names what masks copies."""
    (tmp_path / "auth.sql").write_text("UPDATE customer SET mail = ''")
    file = tmp_path / "fleet.yaml"
    file.write_text(file.read_text() + "overrides: {production/auth: {masking: auth.sql}}\n")


def test_a_copy_in_another_environment_is_masked(shop: Shop, tmp_path: Path) -> None:
    call = ("restore", "production/auth", "--to", "latest", "--as", "staging/auth")
    nothing = shop.err(*call, exit_code=2)
    assert "nothing says how production/auth is masked for staging" in nothing
    masked(shop, tmp_path)
    shop.world.write(STAGED, "staged")
    told = shop.out(*call, "--verify-only")
    assert "in the place of what staging/auth has, which is kept for --undo" in told
    assert "staging/auth: nobody is there to confirm" in shop.err(*call, exit_code=2)
    shop.is_interactive = True
    assert "nothing was restored" in shop.err(*call, exit_code=2, typed="production/auth\n")
    assert shop.world.rows(STAGED) == ["staged"]
    told = shop.run(*call, typed="staging/auth\n").output
    assert "this takes away from staging/auth all that it has, and keeps it aside" in told
    assert "staging/auth: as production/auth was at" in told
    assert ", masked (" in told
    assert "what it had until now is kept: pgherd restore staging/auth --undo" in told
    assert shop.world.rows(STAGED) == ["masked", "masked"]
    assert shop.world.rows(AUTH) == ["one", "two"]
    assert "(it was there)" in shop.out(*call)
    yes = ("--yes-overwrite", "staging/auth")
    told = shop.out(*call, "--unmasked", *yes)
    assert ", not masked (" in told
    assert shop.world.rows(STAGED) == ["one", "two"]
    shop.out("restore", "--undo", "staging/auth", *yes)
    assert shop.world.rows(STAGED) == ["masked", "masked"]


def test_a_copy_elsewhere_may_be_new_and_has_the_profile_of_the_file(
    shop: Shop, tmp_path: Path
) -> None:
    masked(shop, tmp_path)
    shop.out("destroy", "--yes-destroy", "staging/auth", "staging/auth")
    shop.out("restore", "production/auth", "--to", "latest", "--as", "staging/auth")
    assert shop.world.rows(STAGED) == ["masked", "masked"]
    assert shop.world.databases[STAGED].ocpus == 2
    told = shop.out("restore", "production/auth", "--to", "latest", "--as", "staging/tried")
    assert "it is not in the fleet file: write tried there to keep it" in told


def test_what_is_gone_comes_back_without_a_question(shop: Shop) -> None:
    shop.world.write(STAGED, "staged")
    shop.out("destroy", "--yes-destroy", "staging/auth", "staging/auth")
    call = ("restore", "staging/auth", "--to", "latest")
    assert "staging/auth is gone, and can be brought back so" in shop.out(*call, "--verify-only")
    assert STAGED not in shop.world.databases
    shop.out(*call)
    assert shop.world.rows(STAGED) == ["staged"]
    assert "nobody is there to confirm" in shop.err(*call, exit_code=2)


def test_an_environment_comes_back_as_far_as_it_is_gone(shop: Shop) -> None:
    call = ("restore", "staging", "--to", "latest")
    assert "all databases of staging are there" in shop.err(*call, exit_code=2)
    shop.world.write(STAGED, "staged")
    shop.out("destroy", "--yes-destroy", "staging", "staging")
    told = shop.out(*call)
    assert "staging: as it was at its last" in told
    assert told.count("serves after") == 2
    assert "`pgherd up` gives them their replicas" in told
    assert shop.world.rows(STAGED) == ["staged"]
    shop.out("up")


def test_one_that_does_not_come_back_holds_no_other_up(shop: Shop) -> None:
    shop.out("destroy", "--yes-destroy", "staging", "staging")
    shop.world.fail_next("restore", TryLater("its disk is full"))
    call = ("restore", "staging", "--to", "latest")
    said = shop.err(*call, exit_code=4)
    assert "1 database of staging did not come back: staging/auth: its disk is full" in said
    assert "run the same command again" in said
    assert shop.out(*call).count("serves after") == 1


@pytest.mark.parametrize(
    "options", [("--as", "other"), ("--to-point", "noon"), ("--undo",), ("--verify-only",)]
)
def test_an_environment_has_few_options(shop: Shop, options: tuple[str, ...]) -> None:
    said = shop.err("restore", "staging", "--to", "latest", *options, exit_code=2)
    assert "staging is an environment" in said


def test_a_point_is_named_listed_and_restored_to(shop: Shop) -> None:
    told = shop.out("backup", "point", "production/auth", "before-v2")
    assert "production/auth: point before-v2 is of 2026-05-04 12:05:04 UTC" in told
    assert "restore to it with pgherd restore production/auth --to-point before-v2" in told
    shop.now += MINUTE
    shop.world.write(AUTH, "three")
    assert "point before-v2: 2026-05-04 12:05:04" in shop.out("backup", "list", "production/auth")
    assert shop.json("backup", "list", "production/auth")["points"] == [
        {"name": "before-v2", "at": "2026-05-04T12:05:04+00:00"}
    ]
    call = ("restore", "production/auth", "--to-point", "before-v2")
    shop.is_interactive = True
    told = shop.run(*call, typed="production/auth\n").output
    assert "all that was written to production/auth since point before-v2" in told
    assert "production/auth: as production/auth was at point before-v2" in told
    assert shop.world.rows(AUTH) == ["one", "two"]
    assert "'A' is not a name" in shop.err("backup", "point", "production/auth", "A", exit_code=2)
    again = shop.err("backup", "point", "production/auth", "before-v2", exit_code=2)
    assert "has a point before-v2 already" in again


def test_whether_it_would_work_is_said_and_nothing_is_done(shop: Shop) -> None:
    shop.out("backup", "now", "production/auth")
    call = ("restore", "production/auth", "--to", "2026-05-04T12:03:30", "--verify-only")
    told = shop.out(*call)
    assert "production/auth can be restored so to its own place" in told
    assert "from backup auth-1, and the WAL since" in told
    assert "times from 2026-05-04 12:03:04 to 2026-05-04 12:05:04" in told
    assert "1B are needed there, 1.07GB are free" in told
    assert "it takes about 0.0 s, and what was written since, a guess" in told
    assert "can be restored so to production/x" in shop.out(*call, "--as", "x")
    assert {id.service for id in shop.world.databases} == {"auth", "order"}
    assert shop.world.rows(AUTH) == ["one", "two"]
    shop.out(*call[:-1], "--as", "x")
    assert "production/x is there already" in shop.out(*call, "--as", "x")
    early = ("restore", "production/auth", "--to", "2026-05-01", "--as", "y")
    assert shop.err(*early, exit_code=2) == shop.err(*early, "--verify-only", exit_code=2)


def test_a_restore_is_undone_and_what_it_kept_discarded(shop: Shop) -> None:
    yes = ("--yes-overwrite", "production/auth")
    assert "nothing is kept" in shop.err("restore", "--undo", "production/auth", *yes, exit_code=2)
    shop.out("restore", "production/auth", "--to", "2026-05-04T12:03:30", *yes)
    listed = shop.out("backup", "list", "production/auth")
    assert "before its restore at 2026-05-04 12:05:04 is kept until 2026-05-11 12:05:04" in listed
    assert "`pgherd restore --undo production/auth` brings it back" in listed
    assert shop.json("backup", "list", "production/auth")["kept"] == {
        "since": "2026-05-04T12:05:04+00:00",
        "until": "2026-05-11T12:05:04+00:00",
        "is_undone": False,
    }
    undo = ("restore", "--undo", "production/auth")
    assert "nobody is there to confirm" in shop.err(*undo, exit_code=2)
    shop.is_interactive = True
    assert "nothing was restored" in shop.err(*undo, exit_code=2, typed="no\n")
    told = shop.run(*undo, typed="production/auth\n").output
    assert "all that was written since its restore" in told
    assert "production/auth: as it was before its restore" in told
    assert shop.world.rows(AUTH) == ["one", "two"]
    assert "restore was undone at" in shop.out("backup", "list", "production/auth")
    told = shop.out("restore", "--discard", "production/auth", *yes)
    assert "production/auth: nothing is kept" in told
    assert shop.json("backup", "list", "production/auth")["kept"] is None
    for more in (("--discard",), ("--to", "latest"), ("--verify-only",), ("--as", "x")):
        assert "stand alone" in shop.err(*undo, *more, *yes, exit_code=2)


def test_the_latest_says_since_when_it_is_that(shop: Shop) -> None:
    call = ("restore", "production/auth", "--to", "latest", "--as", "auth-now")
    at = "production/auth-now: as production/auth was at 2026-05-04 12:05:04 UTC, the latest then"
    assert at in shop.out(*call)
    shop.now += MINUTE
    shop.world.write(AUTH, "three")
    assert f"{at} (it was there)" in shop.out(*call)
    (copy,) = [id for id in shop.world.databases if id.service == "auth-now"]
    assert shop.world.rows(copy) == ["one", "two"]


def test_a_position_and_a_transaction(shop: Shop) -> None:
    for option, value in (("--to-lsn", "0/1"), ("--to-transaction", "1")):
        shop.out("restore", "production/auth", option, value, "--as", "auth-old")
        (copy,) = [id for id in shop.world.databases if id.service == "auth-old"]
        assert shop.world.rows(copy) == ["one"]
        shop.out("destroy", "--yes-destroy", "production/auth-old", "production/auth-old")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("production/auth", "--to", "yesterday"), "'yesterday' is not a time"),
        (("production/auth", "--to", "2026-05-04T12:06:00"), "12:06:00 UTC is in the future"),
        (("production/auth", "--to", "2026-05-01", "--as", "auth"), "production/auth is itself"),
        (("production/auth", "--to", "2026-05-01", "--as", "a b"), "'a b' is not a name"),
        (("production/auth", "--to", "latest", "--as", "staging/a b"), "'a b' is not a name"),
        (("production/auth", "--to", "latest", "--as", "nowhere/auth"), "not an environment"),
        (("production/auth", "--to", "latest", "--as", "/auth"), "'/auth' is not a database"),
        (("production/auth", "--to", "latest", "--as", "production/auth"), "auth is itself"),
        (
            ("production/auth", "--to", "latest", "--as", "x", "--unmasked"),
            "--unmasked is for a copy in another environment",
        ),
        (("production/auth", "--to", "2026-05-01", "--as", "x"), "cannot be restored to"),
        (("production/nobody", "--to", "2026-05-01"), "'nobody' is not a service"),
        (("production/auth", "--as", "x"), "one thing to restore to is needed"),
        (("production/auth", "--to", "latest", "--to-point", "a"), "it is restored to one thing"),
        (("production/auth", "--to-point", "A b", "--as", "x"), "'A b' is not a name for a point"),
        (("production/auth", "--to-point", "a", "--as", "x"), "production/auth has no point a"),
        (("production/auth", "--to-lsn", "3000148", "--as", "x"), "'3000148' is not a position"),
        (("production/auth", "--to-transaction", "-1", "--as", "x"), "'-1' is not the number of"),
        (
            ("production/auth", "--to-transaction", "9", "--as", "x"),
            "has not reached transaction",
        ),
        (
            ("production/auth", "--to", "2026-05-04T12:04", "--as", "order"),
            "production/order is there already",
        ),
        (
            ("production/auth", "--to", "2026-05-04T12:04", "--as", "x", "--from-region", "moon"),
            "moon has no copies",
        ),
    ],
)
def test_what_cannot_be_restored_is_one_clear_line(
    shop: Shop, arguments: tuple[str, ...], message: str
) -> None:
    assert message in shop.err("restore", *arguments, exit_code=2)


def test_a_drill_proves_a_backup_or_says_what_is_no_good(shop: Shop) -> None:
    assert "has no backup yet" in shop.err("drill", "restore", "production/auth", exit_code=2)
    shop.out("backup", "now", "production/auth")
    found = shop.json("backup", "list", "production/auth")
    assert (found["protected"], found["proof"]) == (False, None)
    told = shop.out("drill", "restore", "production/auth")
    assert "proven, back in" in told
    assert "nothing lost (RPO)" in told
    assert shop.json("drill", "restore", "production/auth")["ok"] is True
    shop.world.found_in_copies = "block 7: line pointer redirection"
    said = shop.err("drill", "restore", "production/auth", exit_code=4)
    assert "is not proven: tables: block 7" in said
    found = shop.json("backup", "list", "production/auth")
    assert found["why"] == "its drill failed: tables: block 7: line pointer redirection"
    assert [c["ok"] for c in found["proof"]["checks"]] == [True, False]


def test_files_of_backups_are_looked_at_and_what_is_wrong_is_said(shop: Shop) -> None:
    assert "has no backup yet" in shop.err("backup", "verify", "production/auth", exit_code=2)
    shop.out("backup", "now", "production/auth")
    shop.now += MINUTE
    shop.out("backup", "now", "production/auth")
    told = shop.out("backup", "verify", "production/auth")
    assert "times from 2026-05-04 12:05:04 to about 2026-05-04 12:06:" in told
    shop.world.found_in_copies = "pg_data/base/5/16384.lz4"
    told = shop.run("backup", "verify", "production/auth")
    assert told.exit_code == 4
    assert "backup auth-2: pg_data/base/5/16384.lz4 is damaged" in told.output
    assert "production/auth: 1 backup is damaged" in told.output
    assert "times from 2026-05-04 12:05:04" in told.output


def test_a_database_that_is_not_there_has_no_backups(shop: Shop) -> None:
    assert "production/nobody is not here" in shop.err(
        "backup", "list", "production/nobody", exit_code=2
    )
    assert "'nowhere' is not an environment" in shop.err(
        "backup", "list", "nowhere/auth", exit_code=2
    )
