"""`pgherd import` as a user meets it; what it copies is only remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from shop import AUTH, SOURCE, Shop

from pgherd.cli.importing import FROM_VARIABLE
from pgherd.control.importing.judging import Checked, Verdict
from pgherd.control.importing.moving import Seen

URI = "postgresql://me@old.example.com/shop"
CALL = ("import", "production/auth", "--from", URI)
SECRET = "postgresql://me:s3cret@old.example.com/shop"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.out("up")
    return shop


def test_it_says_what_it_copies_and_what_came_of_it(shop: Shop) -> None:
    result = shop.run(*CALL)
    assert result.exit_code == 0, result.output
    assert "shop at old.example.com: PostgreSQL 15, 50.0MB" in result.stderr
    assert "not copied: event trigger 'audit'" in result.stderr
    assert "it takes 5.0 s; what is written to the source from now on" in result.stderr
    assert "public.accounts" in result.stdout
    assert "1 table with 3 rows as at the source; 1 sequence (copy 1.5 s)" in result.stdout
    assert "do it again with --stop-writes" in result.stdout
    (wish,) = shop.wishes
    assert (wish.id, wish.stops_writes, wish.check_seconds) == (AUTH, False, 3600)


def test_with_stopped_writes_it_says_how_to_allow_them(shop: Shop) -> None:
    shop.moved = replace(shop.moved, written=False)
    result = shop.run(*CALL, "--stop-writes")
    assert "the source takes no writes from now on" in result.stderr
    assert "ALTER DATABASE ... RESET default_transaction_read_only" in result.stdout
    shop.moved = replace(shop.moved, written=True)
    assert "written to all the same" in shop.out(*CALL, "--stop-writes")


def test_its_json_has_each_table(shop: Shop) -> None:
    found = shop.json(*CALL)
    assert found["ok"] is True
    assert found["source"] == {
        "name": "old at db.example.com",
        "postgresql": 15,
        "bytes": 50_000_000,
        "takes_no_writes": False,
        "written_since": True,
    }
    (table,) = found["tables"]
    assert (table["name"], table["check"], table["rows"]) == (
        "accounts",
        "same",
        {"source": 3, "copy": 3},
    )


def test_a_copy_that_differs_is_shown_and_fails(shop: Shop) -> None:
    shop.moved = replace(
        shop.moved, tables=(Checked("public", "accounts", Verdict.DIFFERENT, 3, 2),)
    )
    result = shop.run(*CALL)
    assert result.exit_code == 4
    assert "different" in result.stdout
    assert "table public.accounts is different" in result.stderr


def test_rows_in_the_way_are_replaced_by_name_only(shop: Shop) -> None:
    shop.seen = Seen(SOURCE, SOURCE, "public.accounts has rows")
    assert "public.accounts has rows" in shop.err(*CALL, exit_code=2)
    wrong = shop.err(*CALL, "--yes-overwrite", "staging/auth", exit_code=2)
    assert "names staging/auth" in wrong
    shop.is_interactive = True
    assert "nothing was changed" in shop.err(*CALL, exit_code=2, typed="auth\n")
    assert shop.run(*CALL, typed="production/auth\n").exit_code == 0
    assert shop.run(*CALL, "--yes-overwrite", "production/auth").exit_code == 0


def test_a_password_on_the_command_line_is_refused_and_not_repeated(shop: Shop) -> None:
    said = shop.err("import", "production/auth", "--from", SECRET, exit_code=2)
    assert "can be read by every login" in said
    assert "s3cret" not in said
    assert shop.wishes == []


def test_a_password_in_a_private_place_is_taken(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "uri"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o644)
    assert "may be read by others" in shop.err(
        "import", "production/auth", "--from-file", str(file), exit_code=2
    )
    file.chmod(0o600)
    shop.out("import", "production/auth", "--from-file", str(file))
    monkeypatch.setenv(FROM_VARIABLE, SECRET)
    shop.out("import", "production/auth")
    assert [w.source.password for w in shop.wishes] == ["s3cret", "s3cret"]
    assert "s3cret" not in repr(shop.wishes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nobody says where the database comes from"),
        (("--from", URI, "--from-file", "x"), "exclude each other"),
        (("--from", "mysql://me@there/x"), "not a URI of PostgreSQL"),
    ],
)
def test_what_names_no_source_is_refused(
    shop: Shop, arguments: tuple[str, ...], message: str
) -> None:
    assert message in shop.err("import", "production/auth", *arguments, exit_code=2)


def test_a_place_that_lets_nobody_in_is_refused(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = shop.engine("local")
    engine.reach = None  # type: ignore[misc]
    monkeypatch.setattr(shop, "engine", lambda name: engine)
    assert "does not let pgherd into its databases" in shop.err(*CALL, exit_code=2)


def test_who_has_migrations_is_told_where_the_source_has_none(shop: Shop, tmp_path: Path) -> None:
    for service in ("auth", "order"):
        (tmp_path / service).mkdir()
    shop.write(f"{shop.file.read_text()}migrations: '{{service}}'\n")
    assert "has no public.alembic_version" in shop.run(*CALL).stderr
