"""What the world does to a fleet: kills, boots, odd paths, and surroundings full of nonsense.

How often a first `up` is killed at a random moment is `PGHERD_MOMENTS` (4).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_place import Place, answers, new_place

from pgherd.engines.local.layout import data_plane_owner

pytestmark = pytest.mark.integration

MOMENTS = int(os.environ.get("PGHERD_MOMENTS", "4"))
LONGEST_UP = 6.5
"""Seconds that a first `up` takes at most, undisturbed."""


@pytest.fixture
def place() -> Iterator[Place]:
    with new_place() as place:
        yield place


def is_whole(place: Place) -> bool:
    return (
        place.instances("auth") == ["running", "streaming"]
        and place.instances("order") == ["running"]
        and answers(place, "auth")
        and answers(place, "order")
    )


@pytest.mark.parametrize("number", range(MOMENTS))
def test_one_up_mends_a_power_cut_in_the_first(place: Place, number: int) -> None:
    """Everything is killed, what the command has started too; then it is run once more."""
    moment = random.Random(number).uniform(0.2, LONGEST_UP)
    command = place.start("up")
    time.sleep(moment)
    command.kill()
    place.kill_all()
    command.communicate()
    place.up()
    assert is_whole(place), f"killed after {moment:.2f} s"
    assert "nothing to do" in place.up()


def test_an_etcd_that_was_interrupted_while_it_was_made_is_made_anew(place: Place) -> None:
    """As after a kill between its first write and the one that makes it a member."""
    place.want(services="order", overrides="")
    place.up()
    place.kill_all()
    (wal,) = (place.root / "etcd/lab/member/wal").glob("*.wal")
    records, end = wal.read_bytes(), 0
    for _ in ("crc", "metadata", "snapshot"):
        length = int.from_bytes(records[end : end + 8], "little")
        end += 8 + (length & (1 << 56) - 1) + (length >> 56 & 7)
    wal.write_bytes(records[:end].ljust(len(records), b"\0"))
    for folder in ("databases", "instances"):
        shutil.rmtree(place.root / folder)
    place.up()
    assert place.instances("order") == ["running"]


def test_a_cluster_whose_bootstrap_failed_is_not_taken_for_one(place: Place) -> None:
    """As after a kill between initdb and the last statement of the bootstrap."""
    place.want(services="order", overrides="")
    place.up()
    with place.superuser("order") as operator:
        operator.execute("COMMENT ON DATABASE postgres IS 'not yet'")
    place.kill_all()
    place.kept("order", "1/whole").unlink()
    manifest = place.path("order", "database.json")
    manifest.write_text(json.dumps({**place.manifest("order"), "made": False}))
    place.up()
    with place.superuser("order") as operator:
        row = operator.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname = 'postgres'"
        ).fetchone()
    assert row == ("complete: made by pgherd",)


def test_a_database_that_lost_its_mark_keeps_its_data(place: Place) -> None:
    place.want(services="order", overrides="")
    place.up()
    with place.connect("order") as client:
        client.execute("CREATE TABLE kept AS SELECT 42 AS n")
    for is_killed in (True, False):
        place.kill_all() if is_killed else place.run("down")
        place.kept("order", "1/whole").unlink()
        shutil.rmtree(place.root / "etcd/lab")
        place.up()
        with place.connect("order") as client:
            assert client.execute("SELECT n FROM kept").fetchone() == (42,)


@pytest.mark.parametrize("lost", ["1/data", "1/data/PG_VERSION", "1/data/global/pg_control", "."])
def test_a_lost_database_is_said_to_be_lost_and_not_begun_anew(place: Place, lost: str) -> None:
    """A disk that is not mounted, say; its mark and what etcd keeps may be gone too."""
    place.want(services="order", overrides="")
    place.up()
    place.run("down")
    aside = place.folder / "aside"
    path = place.kept("order", lost)
    path.rename(aside)
    for name in ("whole", "etcd"):
        if name == "etcd":
            shutil.rmtree(place.root / "etcd/lab")
        else:
            place.kept("order", "1/whole").unlink(missing_ok=True)
        began = time.monotonic()
        assert "is damaged" in place.run("up", exit_code=4)
        assert time.monotonic() - began < 30
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    aside.rename(path)
    place.up()
    assert answers(place, "order")


@pytest.mark.parametrize("number", [1, 2])
def test_a_damaged_instance_is_copied_from_the_other(place: Place, number: int) -> None:
    place.want(services="auth")
    place.up()
    place.run("down")
    place.kept("auth", f"{number}/data/global/pg_control").write_bytes(b"")
    place.up()
    assert place.instances("auth") == ["running", "streaming"]
    assert place.kept("auth", f"{number}/data.damaged").is_dir()


def test_a_half_copied_replica_is_copied_again(place: Place) -> None:
    place.want(services="auth")
    place.up()
    place.kill_all()
    place.kept("auth", "2/whole").unlink()
    shutil.rmtree(place.kept("auth", "2/data/base"))
    place.up()
    assert place.instances("auth") == ["running", "streaming"]


# Boots


def sleepers(count: int) -> list[subprocess.Popen[bytes]]:
    """Living processes of the user that databases run as."""
    owner = data_plane_owner()
    rights = {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner.is_another else {}
    return [
        subprocess.Popen(["/bin/sleep", "600"], cwd="/", **rights)  # type: ignore[call-overload]
        for _ in range(count)
    ]


def name_others(root: Path, pids: list[int]) -> int:
    """Each file that names a process names another now, as after a boot; how many there are."""
    marks = [
        *root.glob("instances/*/*/*/data/postmaster.pid"),
        *root.glob("run/*/.s.PGSQL.*.lock"),
        *root.glob("run/**/*.pid"),
    ]
    for number, mark in enumerate(marks):
        lines = mark.read_text().split("\n")
        lines[0] = str(pids[number % len(pids)])
        mark.write_text("\n".join(lines))
    return len(marks)


def test_all_comes_back_though_old_files_name_living_processes(place: Place) -> None:
    place.up()
    others = sleepers(3)
    try:
        with place.connect("order") as client:
            client.execute("CREATE TABLE kept AS SELECT 42 AS n")
        place.kill_all()
        assert name_others(place.root, [other.pid for other in others]) >= 6
        place.up()
        assert is_whole(place)
        with place.connect("order") as client:
            assert client.execute("SELECT n FROM kept").fetchone() == (42,)
        assert all(other.poll() is None for other in others), "a bystander was killed"
    finally:
        for other in others:
            other.kill()
            other.wait()


@pytest.mark.alone
def test_the_whole_example_comes_back_after_each_of_three_boots() -> None:
    example = ("-f", os.environ["PGHERD_EXAMPLE"])
    with new_place("ecommerce") as place:
        place.run("up", *example)
        others = sleepers(5)
        try:
            for _ in range(3):
                place.kill_all()
                # Two files for each of 60 instances; some may be on their way to a new timeline.
                assert name_others(place.root, [other.pid for other in others]) >= 110
                assert "30 databases run: 60 instances" in place.run("up", *example)
            assert all(other.poll() is None for other in others), "a bystander was killed"
        finally:
            for other in others:
                other.kill()
                other.wait()


def test_a_copy_of_the_state_comes_up_elsewhere(place: Place) -> None:
    """As from a backup: another path, files that name processes of another machine."""
    place.up()
    with place.connect("order") as client:
        client.execute("CREATE TABLE kept AS SELECT 42 AS n")
    place.kill_all()
    with new_place() as other:
        subprocess.run(["cp", "-a", place.root.parent, other.folder], check=True)
        name_others(other.root, [1, os.getpid()])
        other.up()
        assert is_whole(other)
        with other.connect("order") as client:
            assert client.execute("SELECT n FROM kept").fetchone() == (42,)


# Surroundings

NONSENSE = {
    **{
        f"PG{name}": "nonsense"
        for name in [
            "HOST",
            "PORT",
            "DATABASE",
            "USER",
            "SERVICE",
            "SERVICEFILE",
            "OPTIONS",
            "TARGETSESSIONATTRS",
            "GSSENCMODE",
            "CLIENTENCODING",
            "SSLMODE",
            "SSLCERT",
            "SSLKEY",
            "SSLROOTCERT",
            "SSLCRL",
            "REQUIREPEER",
            "APPNAME",
            "TZ",
            "CONNECT_TIMEOUT",
            "PASSFILE",
            "SYSCONFDIR",
            "DATESTYLE",
            "CHANNELBINDING",
            "KRBSRVNAME",
            "DATA",
            "SSLMINPROTOCOLVERSION",
            "LOADBALANCEHOSTS",
            "REQUIREAUTH",
        ]
    },
    "PGHOSTADDR": "127.9.9.9",
    "PYTHONWARNINGS": "nonsense",
    "PYTHONIOENCODING": "nonsense",
    "PYTHONSTARTUP": "/nonsense",
    "PYTHONUSERBASE": "/nonsense",
    **dict.fromkeys(("LANG", "LC_ALL", "LC_CTYPE", "LANGUAGE", "TZ", "TERM"), "nonsense"),
    **dict.fromkeys(("COLUMNS", "LINES", "XDG_STATE_HOME", "XDG_CONFIG_HOME"), "nonsense"),
    **dict.fromkeys(("LOCPATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"), "/nonsense"),
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.9.9.9"),
    "REQUESTS_CA_BUNDLE": "/nonsense",
    "KRB5CCNAME": "FILE:/nonsense",
    "NOTIFY_SOCKET": "/nonsense",
    "PATRONI_NAME": "nonsense",
    "PATRONI_ETCD3_HOSTS": "127.9.9.9:1",
    "ETCD_NAME": "nonsense",
    "ETCD_LISTEN_CLIENT_URLS": "http://127.9.9.9:1",
}
ODD = 'My "state" \\\\ folder'


def hijack(folder: Path) -> str:
    """A folder whose modules end whoever imports them."""
    for name in ("sitecustomize", "json", "asyncio", "logging", "psycopg", "ssl"):
        (folder / f"{name}.py").write_text("raise SystemExit('hijacked')\n")
    return str(folder)


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_nonsense_all_around_changes_nothing(place: Place, tmp_path: Path, umask: int) -> None:
    """All of it at once: an odd path, each variable set, no HOME, no stdin, no current folder."""
    state = place.folder / ODD
    gone = tmp_path / "gone"
    gone.mkdir()
    variables = {k: v for k, v in os.environ.items() if k in ("PATH", "PGHERD_EXAMPLE")}
    surroundings = {
        **variables,
        **NONSENSE,
        "PYTHONPATH": hijack(tmp_path),
        "PGHERD_STATE": str(state),
        "PGHERD_FILE": str(place.folder / "fleet.yaml"),
    }
    # A shell closes standard input and removes the folder that it stands in.
    script = 'rmdir "$1"; shift; exec "$0" -I -m pgherd "$@" <&-'

    def run(*arguments: str, exit_code: int = 0) -> str:
        gone.mkdir(exist_ok=True)
        done = subprocess.run(
            ["/bin/sh", "-c", script, sys.executable, str(gone), *arguments],
            cwd=gone,
            env=surroundings,
            umask=umask,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=180,
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout

    try:
        run("up")
        assert "nothing to do" in run("up")
        assert "running" in run("status")
        assert "127." in run("url", "lab/auth")
        run("switchover", "lab/auth")
        assert run("connect", "lab/auth", "--", "-Atc", "SELECT current_user") == "auth\n"
        operator = ("connect", "lab/auth", "--role", "operator", "--", "-Atc")
        assert run(*operator, "SELECT current_user, current_database()") == "postgres|postgres\n"
        assert "order-1.postgresql" in run("logs", "lab/order")
        run("certificates", "--rotate")
        run("down")
        run("up")
        for path in (state / "tiny").rglob("*"):
            found = path.lstat()
            assert path.is_socket() or not found.st_mode & 0o007, f"{path} is open to others"
        run("destroy", "--yes-destroy", "lab")
        assert not (state / "tiny").exists()
    finally:
        place.kill_all()


def test_a_broken_module_on_the_path_does_not_reach_what_stays(
    place: Place, tmp_path: Path
) -> None:
    place.want(services="order", overrides="")
    broken = place.start("up", variables={"PYTHONPATH": hijack(tmp_path)})
    broken.communicate(timeout=60)
    assert place.up()
    assert answers(place, "order")


def test_services_with_reserved_names_are_refused(place: Place) -> None:
    names = ("pg", "samerole", "samegroup", "sameuser", "data-authority", "control-authority")
    for name in names:
        place.want(services=name, overrides="")
        assert "is reserved" in place.run("up", exit_code=2)


def test_too_few_open_files_are_found_out(place: Place) -> None:
    """Where the limit cannot be raised: for root, that takes CAP_SYS_RESOURCE."""
    place.want(services="order", overrides="")
    few = ["prlimit", "--nofile=256:256"]
    if os.geteuid() == 0:
        few += ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]
    command = place.start("up", before=few)
    output, _ = command.communicate(timeout=60)
    assert command.returncode == 2, output
    assert "a process may open 256 files here" in output
    assert "ulimit" in output
    assert not (place.root / "databases").exists()


def test_a_low_soft_limit_of_open_files_is_raised(place: Place) -> None:
    place.want(services="order", overrides="")
    command = place.start("up", before=["prlimit", "--nofile=256:"])
    output, _ = command.communicate(timeout=60)
    assert command.returncode == 0, output
    limits = Path(f"/proc/{place.program('databases/lab/order/pooler')}/limits").read_text()
    (line,) = (line for line in limits.splitlines() if line.startswith("Max open files"))
    assert int(line.split()[3]) > 10_000


def test_bystanders_with_a_postmasters_number_are_never_killed(place: Place) -> None:
    """The watchdog takes an old file's word neither for life nor for death."""
    place.want(services="order", overrides="")
    place.up()
    place.run("down")
    (other,) = sleepers(1)
    mark = place.kept("order", "1/data/postmaster.pid")
    mark.write_text(f"{other.pid}\n{mark.parent}\n{int(time.time())}\n5432\n")
    owner = data_plane_owner()
    if owner.is_another:
        os.chown(mark, owner.uid, owner.gid)
    place.up()
    assert answers(place, "order")
    other.send_signal(signal.SIGKILL)
    other.wait()
    time.sleep(2)
    assert answers(place, "order")
