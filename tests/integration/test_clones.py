"""A database of one environment as a copy in another one, masked before anybody may connect."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tiny_place import Place, eventually, new_place

from pgherd.engines.local.backup.repository import repository_owner

pytestmark = pytest.mark.integration

SECRET = "ada.lovelace@analytical.example"
LARGE = "the-large-secret-of-a-customer"
STAGING = """\
  staging:
    engine: local
    network: 10.1.0.0/16
    availability_domains: 2
    ocpus: 1..2
    storage: 1TB
    replicas: 0..2
"""
MASKING = """\
-- the customers of auth
UPDATE customer SET mail = 'nobody+' || id || '@example.org';
DELETE FROM session;
SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata;
"""
OVERWRITE = ("--yes-overwrite", "staging/auth")
CLONE = ("restore", "lab/auth", "--to", "latest", "--as", "staging/auth")


def want(place: Place, *, services: str = "auth, order", masking: str | None = MASKING) -> None:
    """Both environments; auth has a replica in either."""
    (place.folder / "auth.sql").write_text(masking or "")
    overrides = "overrides:\n  staging/auth: {replicas: 1}\n  lab/auth: {replicas: 1"
    overrides += ", masking: auth.sql}" if masking is not None else "}"
    place.want(services=services, more=STAGING, overrides=overrides)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with new_place() as place:
        want(place)
        place.up()
        with connect(place, "lab/auth") as client:
            client.execute("CREATE TABLE customer (id int PRIMARY KEY, mail text)")
            client.execute("CREATE INDEX ON customer (pg_catalog.lower(mail))")
            client.execute("CREATE TABLE session (mail text)")
            client.execute(
                "INSERT INTO customer SELECT g, g || %s FROM pg_catalog.generate_series(1, 2000) g",
                [SECRET],
            )
            client.execute(
                "INSERT INTO session SELECT %s FROM pg_catalog.generate_series(1, 50)", [SECRET]
            )
            client.execute("SELECT pg_catalog.lo_from_bytea(0, %s)", [LARGE.encode()])
            client.execute("ANALYZE")
        with connect(place, "staging/auth") as client:
            client.execute("CREATE TABLE staged (line text)")
        place.run("backup", "now", "lab/auth")
        yield place


def connect(place: Place, name: str) -> psycopg.Connection[Any]:
    return psycopg.connect(place.run("url", name).strip(), autocommit=True)


def mails(place: Place, name: str) -> set[str]:
    with connect(place, name) as client:
        return {mail for (mail,) in client.execute("SELECT mail FROM customer")}


def manifest(place: Place, name: str) -> dict[str, Any]:
    path = place.root / "databases" / name / "database.json"
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def archived(place: Place, environment: str) -> set[str]:
    """The archives in an environment's repository, and what is in them."""
    folder = place.root.with_name(f"{place.fleet}.backups") / environment / "repository"
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def files_with(place: Place, name: str, text: str) -> list[str]:
    """Files of its instances where that stands as it is; what it had before is not looked at."""
    folder = place.root / "instances" / name
    found = subprocess.run(
        ["/bin/grep", "-rlaF", "--exclude-dir=before", text, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode in (0, 1), found.stderr
    return [line for line in found.stdout.splitlines() if "/before/" not in line]


@pytest.fixture(autouse=True)
def as_before(place: Place) -> Iterator[None]:
    """What a test has put in the place of staging/auth goes again."""
    yield
    want(place)
    if manifest(place, "staging/auth")["former"]:
        place.run("restore", "--undo", "staging/auth", *OVERWRITE)
        place.run("restore", "--discard", "staging/auth", *OVERWRITE)


def test_a_copy_elsewhere_is_refused_where_nothing_masks_it(place: Place) -> None:
    want(place, masking=None)
    for more in ((), ("--verify-only",)):
        said = place.run(*CLONE, *OVERWRITE, *more, exit_code=2)
        assert "nothing says how lab/auth is masked for staging" in said
        assert "--unmasked" in said
    want(place)
    assert "for a copy in another environment" in place.run(
        *CLONE[:-1], "then", "--unmasked", exit_code=2
    )


def test_a_copy_takes_the_place_of_a_database_masked_and_can_be_undone(place: Place) -> None:
    before = archived(place, "lab")
    assert files_with(place, "lab/auth", SECRET)
    assert "nobody is there to confirm" in place.run(*CLONE, exit_code=2)
    said = place.run(*CLONE, "--verify-only")
    assert "lab/auth can be restored so to staging/auth" in said
    assert "in the place of what staging/auth has, which is kept for --undo" in said
    said = place.run(*CLONE, *OVERWRITE)
    assert "staging/auth: as lab/auth was" in said
    assert ", masked (" in said
    assert mails(place, "staging/auth") == {f"nobody+{n}@example.org" for n in range(1, 2001)}
    with connect(place, "staging/auth") as client:
        assert client.execute("SELECT pg_catalog.count(*) FROM session").fetchone() == (0,)
        assert client.execute("SELECT pg_catalog.to_regclass('staged')").fetchone() == (None,)
        sampled = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stats WHERE tablename = 'customer'"
        assert client.execute(sampled).fetchone() == (2,)
    # Nothing of it is in a file: no row that is dead, no sample, no WAL.
    eventually(lambda: len(manifest(place, "staging/auth")["instances"]) == 2, 1)
    assert files_with(place, "staging/auth", SECRET) == []
    assert files_with(place, "staging/auth", LARGE) == []
    # The source is as it was, and only a mark in its WAL is new in its archive.
    assert SECRET in min(mails(place, "lab/auth"))
    new = archived(place, "lab") - before
    archive = manifest(place, "lab/auth")["archive"]
    assert new
    assert all(path.startswith(f"archive/{archive}/") for path in new)
    # The same command again finds it, until it has backups of its own.
    assert "(it was there)" in place.run(*CLONE)
    place.run("backup", "now", "staging/auth")
    copied = manifest(place, "staging/auth")["archive"]
    assert copied not in ("", archive)
    assert archived(place, "lab") - before == new
    assert "nobody is there to confirm" in place.run(*CLONE, exit_code=2)
    place.run("restore", "--undo", "staging/auth", *OVERWRITE)
    with connect(place, "staging/auth") as client:
        assert client.execute("SELECT pg_catalog.to_regclass('staged')").fetchone() == ("staged",)


@pytest.mark.parametrize(
    ("masking", "message"),
    [
        ("UPDATE customer SET mail = '';\n\nUPDATE customer SET male = ''", "line 3: column"),
        ("UPDATE customer SET mail = 1 / (id - 1)", "statement 1: division by zero"),
        ("UPDATE customer SET mail = ''; COMMIT; SELECT 1", "ends its transaction itself"),
        ("\\! /bin/touch /tmp/pgherd-a-masks-mark", "line 1: syntax error"),
        ("COPY customer FROM STDIN", "nobody is there to copy from or to"),
        ("COPY customer TO PROGRAM '/bin/cat'", "must be superuser or have"),
        ("ALTER ROLE auth SUPERUSER", "must be superuser"),
        ("", "is empty"),
        ("SELECT '\0'", "has a NUL in it"),
    ],
)
def test_what_does_not_mask_leaves_nothing(place: Place, masking: str, message: str) -> None:
    Path("/tmp/pgherd-a-masks-mark").unlink(missing_ok=True)
    want(place, masking=masking)
    before = manifest(place, "staging/auth")
    code, said = place.outcome(*CLONE, *OVERWRITE)
    want(place)
    assert code in (2, 4)
    assert message in said, said
    assert manifest(place, "staging/auth") == before
    assert not list(place.root.glob("instances/staging/auth/*/restored"))
    assert not Path("/tmp/pgherd-a-masks-mark").exists()
    with connect(place, "staging/auth") as client:
        assert client.execute("SELECT pg_catalog.to_regclass('staged')").fetchone() == ("staged",)


def test_one_that_is_killed_goes_on_with_the_same_command_and_no_other(place: Place) -> None:
    with place.start(*CLONE, *OVERWRITE) as process:
        deadline = time.monotonic() + 60
        while not manifest(place, "staging/auth")["restoring"]:  # for some tenths of a second
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
    said = place.run(*CLONE, *OVERWRITE, "--unmasked", exit_code=2)
    assert "staging/auth is half restored to latest" in said
    assert "pgherd restore lab/auth --to latest --as staging/auth --yes-overwrite" in said
    itself = ("restore", "staging/auth", "--to", "latest", *OVERWRITE)
    assert "is half restored" in place.run(*itself, exit_code=2)
    place.run(*CLONE, *OVERWRITE)
    assert SECRET not in "".join(mails(place, "staging/auth"))


def test_one_that_is_not_there_is_made_under_another_name_and_unmasked(place: Place) -> None:
    want(place, services="auth, order, copy")
    call = (*CLONE[:-1], "staging/copy", "--unmasked")
    try:
        place.run(*call)
        assert "(it was there)" in place.run(*call)
        assert SECRET in min(mails(place, "staging/copy"))
        assert manifest(place, "staging/copy")["archive"] == ""
        # Masked it is another one, and this one is in its way.
        assert "nobody is there to confirm" in place.run(*call[:-1], exit_code=2)
        assert "staging/auth" not in {d.name for d in place.root.glob("databases/lab/*")}
        place.run(*call[:-1], "--yes-overwrite", "staging/copy")
        assert SECRET not in "".join(mails(place, "staging/copy"))
    finally:
        place.run("destroy", "--yes-destroy", "staging/copy", "staging/copy")
        want(place)


def test_repositories_stay_their_owners(place: Place) -> None:
    owner = repository_owner()
    for environment in ("lab", "staging"):
        folder = place.root.with_name(f"{place.fleet}.backups") / environment / "repository"
        assert folder.stat().st_uid == owner.uid
