"""Copies of backups in another directory: kept up to date, told of, and enough to restore from."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tiny_place import Place, eventually, new_place

from pgherd.engines.local.backup.repository import repository_owner

pytestmark = pytest.mark.integration
SETTINGS = """\
    local: {{regions: {{vault: {vault}}}}}
    backup: {{copy_to: [vault, us-phoenix-1]}}"""


@pytest.fixture(scope="module")
def vault() -> Iterator[Path]:
    """Where copies go: a directory of the repository's owner."""
    above = Path(tempfile.mkdtemp(prefix="pgherd-vault-", dir="/var/tmp"))
    above.chmod(0o711)
    folder, owner = above / "vault", repository_owner()
    folder.mkdir(mode=0o750)
    os.chown(folder, owner.uid, owner.gid)
    yield folder
    shutil.rmtree(above)


@pytest.fixture(scope="module")
def place(vault: Path) -> Iterator[Place]:
    with new_place() as place:
        place.want(overrides="", more=SETTINGS.format(vault=vault))
        place.up()
        with place.connect("auth") as client:
            client.execute("CREATE TABLE written (row text)")
            client.execute("INSERT INTO written VALUES ('one')")
        place.run("backup", "now", "lab/auth")
        yield place


def copies(place: Place) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(place.run("backup", "list", "lab/auth", "--json"))[
        "copies"
    ]
    return found


def is_copied(place: Place, since: str = "") -> bool:
    """None is told of before the first backup."""
    return any(c["trouble"] is None and (c["until"] or "") > since for c in copies(place))


def repository(place: Place) -> Path:
    return place.root.with_name(f"{place.fleet}.backups") / "lab" / "repository"


STAGING = """
  staging: {engine: local, network: 10.1.0.0/16, availability_domains: 2, ocpus: 1, storage: 1TB}
"""


def test_a_clone_in_another_environment_comes_from_the_copy_alone(
    place: Place, vault: Path
) -> None:
    eventually(lambda: is_copied(place), 60)
    settings = SETTINGS.format(vault=vault)
    place.want(overrides="masking: mask.sql", more=settings + STAGING)
    (place.folder / "mask.sql").write_text("UPDATE written SET row = 'masked'")
    place.up()
    source = repository(place)
    aside = source.with_name("aside")
    source.rename(aside)
    call = ("restore", "lab/auth", "--to", "latest", "--as", "staging/auth")
    try:
        place.run(*call, "--from-region", "vault", "--yes-overwrite", "staging/auth")
    finally:
        aside.rename(source)
    with psycopg.connect(place.run("url", "staging/auth").strip()) as client:
        assert set(client.execute("SELECT row FROM written")) == {("masked",)}
    place.run("destroy", "staging", "--yes-destroy", "staging")
    place.want(overrides="", more=settings)


def test_a_database_comes_back_from_the_copy_alone(place: Place, vault: Path) -> None:
    eventually(lambda: is_copied(place), 60)
    assert "copy in vault: all up to 20" in place.run("backup", "list", "lab/auth")
    source = repository(place)
    aside = source.with_name("aside")
    source.rename(aside)
    place.want("auth, then", overrides="", more=SETTINGS.format(vault=vault))
    try:
        said = place.run(
            "restore", "lab/auth", "--to", "latest", "--as", "then", "--from-region", "vault"
        )
        assert not source.exists(), said
        with psycopg.connect(place.run("url", "lab/then").strip()) as client:
            assert client.execute("SELECT row FROM written").fetchall() == [("one",)]
    finally:
        aside.rename(source)
        place.run("destroy", "--yes-destroy", "lab/then", "lab/then")
    assert "lab has no region nowhere on this machine" in place.run(
        *("restore", "lab/auth", "--to", "latest", "--as", "then", "--from-region", "nowhere"),
        exit_code=2,
    )
    place.want(overrides="", more=SETTINGS.format(vault=vault))


def test_a_region_that_is_away_holds_nothing_up_and_is_told_of(place: Place, vault: Path) -> None:
    eventually(lambda: is_copied(place), 60)
    (before,) = copies(place)
    away = vault.with_name("away")
    vault.rename(away)
    try:
        place.run("backup", "now", "lab/auth")
        eventually(lambda: copies(place)[0]["trouble"], 60)
        (copy,) = copies(place)
        assert "no such file or directory" in copy["trouble"]
        assert copy["until"] == before["until"]
        assert not vault.exists()
    finally:
        away.rename(vault)
    place.run("backup", "now", "lab/auth")
    eventually(lambda: is_copied(place, before["until"]), 60)


def test_the_autopilot_copies_unasked(vault: Path) -> None:
    """Its first backup, and then what it looks at."""
    with new_place(has_autopilot=True) as place:
        place.want("auth", overrides="", more=SETTINGS.format(vault=vault.parent / "another"))
        shutil.copytree(vault, vault.parent / "another", ignore=lambda _, names: names)
        os.chown(vault.parent / "another", vault.stat().st_uid, vault.stat().st_gid)
        place.up()
        eventually(lambda: is_copied(place), 120)
        (first,) = copies(place)
        # As if it were five minutes later.
        said = repository(place).parent / "copies/vault.json"
        attempt = json.loads(said.read_text())
        earlier = datetime.fromisoformat(attempt["began"]) - timedelta(minutes=6)
        said.write_text(json.dumps({**attempt, "began": earlier.isoformat()}))
        eventually(lambda: is_copied(place, first["until"]), 200)


def test_a_copy_is_written_by_the_owner_of_the_repository(place: Place, vault: Path) -> None:
    eventually(lambda: is_copied(place), 60)
    owner = repository_owner()
    found = [*vault.rglob("*")]
    assert any(path.name == "backup.info" for path in found)
    assert {(p.stat().st_uid, p.stat().st_mode & 0o027) for p in found} == {(owner.uid, 0)}


def test_regions_among_our_own_files_are_refused(place: Place, vault: Path) -> None:
    place.want(overrides="", more=SETTINGS.format(vault=place.root.parent))
    assert "where pgherd keeps what is to be copied" in place.run("up", exit_code=2)
    place.want(overrides="", more=SETTINGS.format(vault=vault))
    place.up()


def test_an_environment_comes_up_from_copies_alone_and_nothing_is_left(
    place: Place, vault: Path
) -> None:
    place.want(overrides="", more=SETTINGS.format(vault=vault))
    drill = ("drill", "region", "lab", "--region", "vault", "--json")
    place.run("backup", "now", "lab/order")
    eventually(lambda: is_copied(place), 60)
    source = repository(place)
    aside = source.with_name("aside")

    def arrived() -> dict[str, Any] | None:
        """All of it; a copy that is being made names no backup yet."""
        ended_with, said = place.outcome(*drill)
        found: dict[str, Any] = json.JSONDecoder().raw_decode(said[said.index("{") :])[0]
        assert ended_with == (0 if found["ok"] else 4)
        return found if found["ok"] else None

    source.rename(aside)
    try:
        found = eventually(arrived, 60)
    finally:
        aside.rename(source)
    assert {one["database"] for one in found["databases"]} == {"lab/auth", "lab/order"}
    assert 0 < found["rto_seconds"] < 60
    assert found["rpo_seconds"] is not None
    assert not (place.root / "databases/drill").exists()
    assert not (place.root / "environments/drill").exists()
    assert not [p for p in place.leaders().values() if "drill" in p.parts]
