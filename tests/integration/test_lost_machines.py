"""What is gone comes back from the backups that are left: a database, or all of a machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from test_copies_of_backups import is_copied
from tiny_place import Place, answers, eventually, new_place

from pgherd.engines.local.backup.repository import repository_owner
from pgherd.engines.local.engine import LocalEngine
from pgherd.engines.local.layout import Layout
from pgherd.fleet.desired import DatabaseId

pytestmark = pytest.mark.integration
SETTINGS = """\
    local: {{regions: {{vault: {vault}}}}}
    backup: {{copy_to: [vault], retention: 7d}}"""


@pytest.fixture
def place() -> Iterator[Place]:
    """Two databases with copies, each with a row that names it."""
    with new_place() as place:
        vault, owner = place.folder / "vault", repository_owner()
        vault.mkdir(mode=0o750)
        os.chown(vault, owner.uid, owner.gid)
        place.want(overrides="", more=SETTINGS.format(vault=vault))
        place.up()
        for service in ("auth", "order"):
            write(place, service, service)
            place.run("backup", "now", f"lab/{service}")
        yield place


def write(place: Place, service: str, row: str) -> None:
    with place.connect(service) as client:
        client.execute("CREATE TABLE IF NOT EXISTS written (row text)")
        client.execute("INSERT INTO written VALUES (%s)", (row,))


def rows(place: Place, service: str) -> list[str]:
    with place.connect(service) as client:
        return [row for (row,) in client.execute("SELECT row FROM written")]


def backups(place: Place) -> Path:
    return place.root.with_name(f"{place.fleet}.backups")


def test_a_machine_that_is_lost_comes_back_from_copies_and_the_key(place: Place) -> None:
    eventually(lambda: is_copied(place), 60)
    lab = backups(place) / "lab"
    key = (lab / "encryption.key").read_text()
    place.kill_all()
    shutil.rmtree(place.root.parent)
    place.root.parent.mkdir(mode=0o755)

    restore = ("restore", "lab", "--to", "latest", "--from-region", "vault")
    for call in (("up",), restore):
        said = place.run(*call, exit_code=2)
        assert "vault has copies of backups of lab, and the key to them is not here" in said
        assert str(lab / "encryption.key") in said
    assert not (lab / "encryption.key").exists()

    lab.mkdir(parents=True)
    (lab / "encryption.key").write_text(key)
    said = place.run(*restore)
    assert "lab: as it was at its last" in said
    assert said.count("serves after") == 2
    assert (rows(place, "auth"), rows(place, "order")) == (["auth"], ["order"])
    assert "all databases of lab are there" in place.run(*restore, exit_code=2)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (lab, lab / "encryption.key")}
    assert modes == {"lab": 0o750, "encryption.key": 0o600}
    assert lab.stat().st_gid == repository_owner().gid
    place.up()
    write(place, "auth", "later")
    place.run("backup", "now", "lab/auth")
    assert rows(place, "auth") == ["auth", "later"]


def test_a_wrong_key_brings_nothing_back_and_says_why(place: Place) -> None:
    eventually(lambda: is_copied(place), 60)
    place.kill_all()
    shutil.rmtree(place.root.parent)
    (backups(place) / "lab").mkdir(parents=True, mode=0o755)
    place.root.parent.chmod(0o755)
    (backups(place) / "lab/encryption.key").write_text("another key\n")
    call = ("restore", "lab", "--to", "latest", "--from-region", "vault")
    code, said = place.outcome(*call)
    assert code != 0
    assert "did not come back" in said
    assert "cannot be read" in said
    assert {d["state"] for d in place.databases().values()} == {"absent"}


def test_a_database_that_was_destroyed_comes_back_from_its_own_backups(place: Place) -> None:
    place.run("destroy", "--yes-destroy", "lab/order", "lab/order")
    said = place.run("restore", "lab/order", "--to", "latest", "--verify-only")
    assert "lab/order is gone, and can be brought back so" in said
    said = place.run("restore", "lab/order", "--to", "latest", "--as", "other", exit_code=2)
    assert "lab/order does not exist here" in said
    place.run("restore", "lab/order", "--to", "latest")
    assert rows(place, "order") == ["order"]
    place.run("backup", "now", "lab/order")
    assert rows(place, "auth") == ["auth"]


def test_of_a_stopped_database_what_is_kept_is_what_was_ahead(place: Place) -> None:
    """Not that of its first instance, whose disk was lost."""
    then = datetime.now(UTC)
    place.want(more=SETTINGS.format(vault=place.folder / "vault"))
    place.up()
    write(place, "auth", "later")
    place.run("down", "lab/auth")
    shutil.rmtree(place.kept("auth", "1", "data"))
    itself = ("--yes-overwrite", "lab/auth")
    place.run("restore", "lab/auth", "--to", then.isoformat(), *itself)
    assert rows(place, "auth") == ["auth"]
    place.run("restore", "--undo", "lab/auth", *itself)
    assert rows(place, "auth") == ["auth", "later"]


def test_a_time_in_an_earlier_incarnation_is_restored_and_the_incarnation_ends(
    place: Place,
) -> None:
    time.sleep(1.1)
    then = datetime.now(UTC)
    time.sleep(1.1)
    write(place, "auth", "second")
    whole = datetime.now(UTC)
    place.run("backup", "now", "lab/auth")
    to_itself = ("--yes-overwrite", "lab/auth")
    place.run("restore", "lab/auth", "--to", then.isoformat(), *to_itself)
    assert rows(place, "auth") == ["auth"]
    first = place.manifest("auth")["former"]["archive"]
    assert "restored to any second from" in place.run("backup", "list", "lab/auth")
    place.run("backup", "now", "lab/auth")
    assert place.run("backup", "list", "lab/auth").count("restored to any second from") == 2

    beside = ("restore", "lab/auth", "--to", whole.isoformat(), "--as", "order-then")
    place.run(*beside)
    with psycopg.connect(place.run("url", "lab/order-then").strip()) as client:
        assert set(client.execute("SELECT row FROM written")) == {("auth",), ("second",)}
    place.run("destroy", "--yes-destroy", "lab/order-then", "lab/order-then")
    place.run("restore", "lab/auth", "--to", whole.isoformat(), *to_itself)
    assert rows(place, "auth") == ["auth", "second"]
    place.run("restore", "--discard", "--yes-overwrite", "lab/auth", "lab/auth")

    place.run("backup", "now", "lab/auth")
    archives = backups(place) / "lab/repository/archive"
    assert (archives / first).exists()
    in_a_month = LocalEngine(
        place.fleet, Layout(place.root), now=lambda: datetime.now(UTC) + timedelta(days=30)
    )
    assert in_a_month.backups
    asyncio.run(in_a_month.backups.back_up(DatabaseId("lab", "auth")))
    left = {path.name for path in archives.iterdir()}
    assert first not in left
    assert {name.rpartition("-")[0] for name in left} == {"auth", "order"}
    assert {path.name for path in archives.with_name("backup").iterdir()} == left
    assert answers(place, "auth")
    place.run("backup", "now", "lab/auth")
