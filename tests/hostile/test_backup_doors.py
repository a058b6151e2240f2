"""What the user that databases run as can make of their backups."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tiny_place import Place, eventually, new_place
from tries import COPY, DATA_PLANE, OWNER

from pgherd.engines.local.backup import pgbackrest, streamed
from pgherd.engines.local.backup.receiving import Receiver, Stream
from pgherd.engines.local.backup.repository import repository_owner
from pgherd.engines.local.layout import data_plane_owner

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="where all run as one user there is no way up"),
]
POSTGRES = data_plane_owner()


MARK = "/tmp/pgherd-a-tenants-mark"
BAIT = """
CREATE FUNCTION public.bite() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
     OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user) THEN
    EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch /tmp/pgherd-a-tenants-mark''';
  END IF;
END $$;
CREATE FUNCTION public.same(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN PERFORM public.bite(); RETURN n; END $$;
CREATE FUNCTION public.bt_index_check(regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM public.bite(); END $$;
CREATE FUNCTION public.format(text, regclass, bigint, text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN PERFORM public.bite(); RETURN ''; END $$;
CREATE TABLE bait (n int CHECK (public.same(n) = n));
INSERT INTO bait SELECT g FROM pg_catalog.generate_series(1, 500) g;
CREATE INDEX ON bait (public.same(n));
CREATE UNIQUE INDEX ON bait (n) WHERE public.same(n) > 0;
ALTER TABLE bait ENABLE ROW LEVEL SECURITY;
ALTER TABLE bait FORCE ROW LEVEL SECURITY;
CREATE POLICY all_of_it ON bait USING (public.same(n) = n);
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Two databases with a backup each."""
    with new_place() as place:
        place.want(overrides="", more="    backup: {stream: true}")
        place.up()
        for service in ("auth", "order"):
            place.run("backup", "now", f"lab/{service}")
        yield place


def repository(place: Place) -> Path:
    return place.root.with_name(f"{place.fleet}.backups") / "lab"


def tried(*words: str | Path, said: str = "") -> str:
    """What comes of a command of that user's; it has to fail."""
    done = subprocess.run(
        words,
        user=POSTGRES.uid,
        group=POSTGRES.gid,
        extra_groups=[],
        cwd="/",
        input=said,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr


def client(place: Place, service: str, archive: str, *words: str, said: str = "") -> str:
    """What comes of pgBackRest, run by what a database hands its WAL over by."""
    program = pgbackrest.program()
    assert program
    configuration = place.path(service, "archiver", "pgbackrest.conf")
    return tried(program, f"--config={configuration}", f"--stanza={archive}", *words, said=said)


def test_backups_are_of_a_user_of_their_own(place: Place) -> None:
    owner = repository_owner()
    assert owner != POSTGRES
    folder = repository(place) / "repository"
    assert (folder.stat().st_uid, folder.stat().st_mode & 0o777) == (owner.uid, 0o750)


@pytest.mark.makes(DATA_PLANE, "open a file of backups, or that of their key")
def test_no_file_can_be_opened(place: Place) -> None:
    key = repository(place) / "encryption.key"
    assert key.read_text().strip() in (repository(place) / "pgbackrest.conf").read_text()
    for path in (key, repository(place) / "pgbackrest.conf", repository(place) / "repository"):
        assert "ermission denied" in tried("/bin/cat", path)


@pytest.mark.makes(DATA_PLANE, "change or delete a backup, by its repository's server")
@pytest.mark.parametrize("name", ["backup.info", "latest", "new"])
def test_a_backup_cannot_be_changed_over_the_network(place: Place, name: str) -> None:
    archive = place.manifest("auth")["archive"]
    of = repository(place) / "repository/backup" / archive
    before = sorted((p.name, p.lstat().st_mtime_ns) for p in of.iterdir())
    there = f"backup/{archive}/{name}"
    assert "Read-only file system" in client(place, "auth", archive, "repo-put", there, said="x")
    assert "repository host" in client(place, "auth", archive, "--repo1-retention-full=1", "expire")
    assert sorted((p.name, p.lstat().st_mtime_ns) for p in of.iterdir()) == before


@pytest.mark.makes(DATA_PLANE, "change a backup by its repository's server, past what that sees")
def test_no_process_of_the_owner_leads_the_server_out(place: Place) -> None:
    archive, owner = place.manifest("auth")["archive"], repository_owner()
    with subprocess.Popen(
        ["/bin/sleep", "60"], user=owner.uid, group=owner.gid, extra_groups=[]
    ) as outside:
        led = f"/proc/{outside.pid}/root{repository(place) / 'repository'}"
        there = f"backup/{archive}/new"
        words = ("repo-put", there)
        said = client(place, "auth", archive, f"--repo1-path={led}", *words, said="x")
        outside.kill()
    assert "Read-only file system" in said
    assert not (repository(place) / "repository" / there).exists()


@pytest.mark.makes(DATA_PLANE, "come to another database's archive by a certificate")
def test_a_certificate_opens_one_archive(place: Place) -> None:
    theirs = place.manifest("order")["archive"]
    assert "access denied" in client(place, "auth", theirs, "repo-ls", f"archive/{theirs}")
    assert "access denied" in client(
        place, "auth", theirs, "repo-put", f"archive/{theirs}/x", said="x"
    )


@pytest.mark.makes(COPY, "run as a superuser while a drill looks at it")
def test_in_a_copy_a_services_code_runs_as_the_service(place: Place) -> None:
    Path(MARK).unlink(missing_ok=True)
    with place.connect("auth") as client:
        client.execute(BAIT)
        client.execute("ALTER ROLE auth SET search_path = public, pg_catalog")
        client.execute("ALTER ROLE auth SET statement_timeout = '1ms'")
    place.run("backup", "now", "lab/auth")
    proof = json.loads(place.run("drill", "restore", "lab/auth", "--json"))
    assert proof["ok"], proof
    assert not Path(MARK).exists()


@pytest.mark.makes(DATA_PLANE, "write a proof of backups, or end one")
def test_proofs_are_roots(place: Place) -> None:
    place.run("drill", "restore", "lab/order")
    (proofs,) = (repository(place) / "proofs").glob("order-*.json")
    for path in (proofs, proofs.parent):
        assert (path.stat().st_uid, path.stat().st_mode & 0o77) == (0, 0)
    assert "Permission denied" in tried("/bin/cat", proofs)
    assert "Permission denied" in tried("/bin/rm", "-rf", proofs.parent / "any")


@pytest.mark.makes(DATA_PLANE, "open or change what was received of its WAL, or by which key")
def test_what_was_received_is_the_owners(place: Place) -> None:
    received = repository(place) / "stream" / place.manifest("auth")["archive"]
    eventually(lambda: list(received.glob("wal/*.partial")), 20)
    key = repository(place) / "pki/auth/stream.key"
    assert key.is_file()
    assert "Permission denied" in tried("/bin/cat", key)
    assert "Permission denied" in tried("/bin/ls", received)
    assert "Permission denied" in tried("/bin/sh", "-c", f"echo >{received}/wal/{'0' * 24}")
    assert "Permission denied" in tried("/bin/sh", "-c", f"echo >{repository(place)}/streams.json")
    archive = place.manifest("auth")["archive"]
    words = (f"--repo1-path={received}", "repo-put", f"archive/{archive}/x")
    assert "Read-only file system" in client(place, "auth", archive, *words, said="x")


@pytest.mark.makes(DATA_PLANE, "have a segment of WAL that was received in full be written anew")
def test_what_came_first_is_kept(tmp_path: Path) -> None:
    """A server may send any segment; pg_receivewal gives it its name once it is full."""
    receiver = Receiver(tmp_path / "a", tmp_path / "b", Stream("a", "/bin/false", "", "slot", 1))
    segment = tmp_path / "a/wal/000000010000000000000005"
    for content in ("true", "false"):
        new = segment.with_suffix(".partial")
        new.write_text(content)
        new.replace(segment)
        receiver._keep()
    assert streamed.chosen([segment.name], [segment.name]) == {segment.name: "kept"}
    assert (tmp_path / "a/kept" / segment.name).read_text() == "true"


@pytest.mark.makes(OWNER, "enter a database by the certificate that receives its WAL")
@pytest.mark.parametrize("role", ["auth", "replicator", "rewind", "postgres"])
@pytest.mark.parametrize("database", ["auth", "postgres"])
def test_who_receives_may_replicate_and_nothing_else(
    place: Place, role: str, database: str
) -> None:
    folder, manifest = repository(place) / "pki/auth", place.manifest("auth")
    with pytest.raises(psycopg.OperationalError, match=r"rejects|failed"):
        psycopg.connect(
            host=manifest["instances"][0]["address"],
            port=manifest["postgresql_port"],
            dbname=database,
            user=role,
            sslmode="verify-full",
            sslcert=str(folder / "stream.crt"),
            sslkey=str(folder / "stream.key"),
            sslrootcert=str(folder / "data-authority.crt"),
        )
