"""What others of this machine can make of stores for backups, and of copies in directories."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import BUCKET, REGION, SECRET, S3Server, s3_server
from tiny_place import Place, eventually, new_place
from tries import DATA_PLANE, LOGIN, OWNER

from pgherd.engines.local.backup.repository import repository_owner
from pgherd.engines.local.layout import data_plane_owner

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="where all run as one user there is no way up"),
]
POSTGRES = data_plane_owner().uid


@pytest.fixture(scope="module")
def above() -> Iterator[Path]:
    """A folder that all may enter."""
    folder = Path(tempfile.mkdtemp(prefix="pgherd-doors-", dir="/var/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def done(user: int, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of that user's."""
    return subprocess.run(
        words,
        user=user,
        group=pwd.getpwuid(user).pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def s3(above: Path) -> Iterator[S3Server]:
    folder = above / "s3"
    folder.mkdir(mode=0o711)
    with s3_server(folder) as server:
        yield server


@pytest.mark.makes(DATA_PLANE, "find the key of a store that backups go to")
def test_the_key_of_a_store_is_found_nowhere(s3: S3Server) -> None:
    with new_place() as place:
        key = s3.key_file()
        store = {
            "type": "s3",
            "bucket": BUCKET,
            "region": REGION,
            "endpoint": s3.endpoint,
            "uri_style": "path",
            "ca_file": str(s3.authority),
            "key_file": str(key),
        }
        more = f"    local: {{repository: {json.dumps(store)}}}"
        place.want(services="auth", overrides="", more=more)
        place.up()
        place.run("backup", "now", "lab/auth")
        backups = place.root.with_name(f"{place.fleet}.backups")
        for path in (key, backups / "lab/private/pgbackrest.conf"):
            assert SECRET in path.read_text()
            assert "ermission denied" in done(POSTGRES, "/bin/cat", path).stderr
        # What its server sees of files, a client can have.
        seen = asked(place, backups / "lab", "pgbackrest.conf")
        assert "repo1-s3-bucket" in seen
        assert SECRET not in seen
        assert SECRET not in asked(place, backups / "lab/private", "pgbackrest.conf")
        assert SECRET not in asked(place, key.parent, key.name)
        found = done(POSTGRES, "/usr/bin/grep", "-rl", SECRET, place.root, backups)
        assert found.stdout == ""
        for process in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                read = done(POSTGRES, "/bin/cat", process / name) if is_ours(process) else None
                assert read is None or SECRET not in read.stdout
        assert SECRET not in place.run("logs", "lab/auth")
        assert SECRET not in (place.root / "environments/lab/environment.json").read_text()


def asked(place: Place, folder: Path, name: str) -> str:
    """What the repository's server says of a file in a folder, in place of its store."""
    configuration = place.path("auth", "archiver", "pgbackrest.conf")
    archive = place.manifest("auth")["archive"]
    words = (f"--config={configuration}", f"--stanza={archive}", f"--repo1-path={folder}")
    posix = ("--repo1-type=posix", "--repo1-cipher-type=none", "--raw", "repo-get", name)
    ended = done(POSTGRES, "/usr/bin/pgbackrest", *words, *posix)
    return ended.stdout + ended.stderr


def is_ours(process: Path) -> bool:
    try:
        return (process / "exe").readlink().name in ("pgbackrest", "postgres")
    except OSError:
        return False


@pytest.fixture(scope="module")
def vault(above: Path) -> Path:
    folder, owner = above / "vault", repository_owner()
    folder.mkdir(mode=0o750)
    os.chown(folder, owner.uid, owner.gid)
    return folder


@pytest.fixture(scope="module")
def place(vault: Path, above: Path) -> Iterator[Place]:
    shared = above / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with new_place() as place:
        place.want(
            services="auth",
            overrides="",
            more=f"    local: {{regions: {{vault: {vault}, shared: {shared}}}}}\n"
            "    backup: {copy_to: [vault, shared]}",
        )
        place.up()
        yield place


def trouble(place: Place, region: str) -> str:
    """Why the copy there is not brought up to date, once a new backup was to be copied."""
    place.run("backup", "now", "lab/auth")

    def found() -> str | None:
        listed = json.loads(place.run("backup", "list", "lab/auth", "--json"))["copies"]
        why: str | None = next(c["trouble"] for c in listed if c["region"] == region)
        return why

    eventually(lambda: found() is not None, 60)
    return found() or ""


@pytest.mark.makes(DATA_PLANE, "put a link where copies of backups go")
def test_the_databases_user_enters_no_region(place: Place, vault: Path) -> None:
    assert "ermission denied" in done(POSTGRES, "/bin/ln", "-s", "/tmp", vault / "other").stderr


@pytest.mark.makes(DATA_PLANE, "change a copy of backups, by its repository's server")
def test_the_server_of_the_repository_cannot_write_to_a_copy(place: Place, vault: Path) -> None:
    place.run("backup", "now", "lab/auth")
    copy, archive = vault / place.fleet / "lab", place.manifest("auth")["archive"]
    eventually((copy / "backup" / archive / "backup.info").is_file, 60)
    configuration = place.path("auth", "archiver", "pgbackrest.conf")
    tried = subprocess.run(
        [
            *("pgbackrest", f"--config={configuration}", f"--stanza={archive}"),
            *(f"--repo1-path={copy}", "repo-put", f"backup/{archive}/new"),
        ],
        user=POSTGRES,
        group=pwd.getpwuid(POSTGRES).pw_gid,
        extra_groups=[],
        input=b"x",
        capture_output=True,
        check=False,
    )
    assert b"Read-only file system" in tried.stdout + tried.stderr
    assert not (copy / "backup" / archive / "new").exists()


@pytest.mark.makes(LOGIN, "put a link where copies of backups go")
def test_a_region_that_others_may_write_gets_nothing(place: Place, above: Path) -> None:
    precious = above / "precious"
    precious.mkdir(exist_ok=True)
    precious.chmod(0o777)
    nobody = pwd.getpwnam("nobody").pw_uid
    done(nobody, "/bin/ln", "-s", precious, above / "shared" / place.fleet)
    assert (above / "shared" / place.fleet).is_symlink()
    assert "may be changed by others" in trouble(place, "shared")
    assert not list(precious.iterdir())


@pytest.mark.makes(OWNER, "have copies of backups written elsewhere, by a link")
@pytest.mark.makes(OWNER, "have root open what it has put into a copy")
def test_links_of_the_repositorys_owner_lead_nowhere(
    place: Place, vault: Path, above: Path
) -> None:
    place.run("backup", "now", "lab/auth")
    copy, owner = vault / place.fleet / "lab", repository_owner().uid
    eventually((copy / "backup").is_dir, 60)
    roots = above / "roots"
    roots.mkdir(mode=0o700)
    (roots / "file").write_text("root's")
    assert done(owner, "/bin/mv", copy / "backup", copy / "aside").returncode == 0
    assert done(owner, "/bin/ln", "-s", roots, copy / "backup").returncode == 0
    try:
        assert trouble(place, "vault") in ("backup: not a directory", "backup: permission denied")
        assert [path.name for path in roots.iterdir()] == ["file"]
        words = ("restore", "lab/auth", "--to", "latest", "--as", "then", "--from-region", "vault")
        code, said = place.outcome(*words)
        assert code != 0
        assert "root's" not in said
    finally:
        (copy / "backup").unlink()
        (copy / "aside").rename(copy / "backup")
