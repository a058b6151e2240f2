"""Bad days of backups: programs that are killed, primaries that fail, a repository that is away."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tiny_place import Place, answers, eventually, listening, new_place

from pgherd.engines.local import processes
from pgherd.engines.local.backup.repository import repository_owner
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import read_environment

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="root alone mounts the repository's disk"),
]
AUTH = "lab/auth"
OVERRIDES = "overrides:\n  lab/auth: {replicas: 1..2}"


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """`auth` has a replica; backups are on a small disk of their own, in memory."""
    with new_place() as place:
        disk = repository(place).parent
        disk.mkdir(parents=True)
        mounted("-t", "tmpfs", "-o", "size=160m,mode=755", "none", str(disk))
        try:
            place.up()
            with place.connect("auth") as client:
                client.execute("CREATE TABLE written (row text)")
            place.run("backup", "now", AUTH)
            yield place
        finally:
            place.kill_all()
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


def mounted(*words: str) -> None:
    done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")


def repository(place: Place) -> Path:
    return place.root.with_name(f"{place.fleet}.backups") / "lab"


def server(place: Place) -> int:
    folder = os.path.realpath(repository(place))
    found = processes.by_folder(repository_owner().uid).get(folder, [])
    return found[0] if found else 0


def write(place: Place, *rows: str) -> None:
    """Each is committed, and in a segment of WAL of its own."""
    for row in rows:
        eventually(lambda row=row: is_written(place, row), 60)  # type: ignore[misc]
        with place.superuser("auth") as superuser:
            superuser.execute("SELECT pg_catalog.pg_switch_wal()")


def is_written(place: Place, row: str) -> bool:
    with contextlib.suppress(psycopg.Error), place.connect("auth") as client:
        client.execute("INSERT INTO written VALUES (%s)", [row])
        return True
    return False


def is_whole(place: Place) -> bool:
    return place.instances("auth") == ["running", "streaming"]


def primary(place: Place) -> str:
    instances = place.databases()["auth"]["instances"]
    (one,) = (i["name"] for i in instances if i["role"] == "primary")
    return str(one)


def ensure_all_comes_back(place: Place) -> None:
    """All files are good, one stretch of time leads up to now, and a copy has all rows."""
    place.run("backup", "point", AUTH, f"p{time.monotonic_ns()}")  # it is handed over by then
    found = json.loads(place.run("backup", "verify", AUTH, "--json"))
    assert len(found["reaches"]) == 1
    with place.connect("auth") as client:
        rows = {row for (row,) in client.execute("SELECT row FROM written")}
    with copied(place, "then"), psycopg.connect(place.run("url", "lab/then").strip()) as client:
        assert {row for (row,) in client.execute("SELECT row FROM written")} == rows


@contextlib.contextmanager
def copied(place: Place, *names: str) -> Iterator[None]:
    """All that there is, restored to databases of these names, which are removed again."""
    with wanted(place, *names):
        for name in names:
            place.run("restore", AUTH, "--to", "latest", "--as", name)
        yield


@contextlib.contextmanager
def wanted(place: Place, *names: str) -> Iterator[None]:
    place.want(services=", ".join(("auth", "order", *names)), overrides=OVERRIDES)
    try:
        yield
    finally:
        for name in names:
            place.outcome("destroy", "--yes-destroy", f"lab/{name}", f"lab/{name}")
        place.want()


def kill_backups(place: Place) -> int:
    """With no chance to tidy up: whoever takes a backup, and its helpers on both sides."""
    killed = 0
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            of_place = os.fsencode(place.folder) in words and b"pgbackrest" in words
            if of_place and words.rstrip(b"\0").split(b"\0")[-1].startswith(b"backup"):
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
    return killed


def test_backups_are_killed_at_any_moment_and_the_next_is_good(tiny: Place) -> None:
    moments, killed = [random.uniform(0.6, 3.0) for _ in range(4)], 0
    for number, moment in enumerate(moments):
        write(tiny, f"before kill {number}")
        with tiny.start("backup", "now", AUTH) as process:
            time.sleep(moment)
            killed += kill_backups(tiny)
            said, _ = process.communicate(timeout=120)
        assert process.returncode in (0, 3), f"{moments}: {said}"
    assert killed, moments
    tiny.run("backup", "now", AUTH)
    ensure_all_comes_back(tiny)


def test_three_primaries_fail_each_in_the_middle_of_a_backup(tiny: Place) -> None:
    eventually(lambda: is_whole(tiny), 90)
    for number in range(3):
        write(tiny, f"before failover {number}")
        with tiny.start("backup", "now", AUTH) as process:
            time.sleep(random.uniform(0.8, 1.8))
            before = primary(tiny)
            os.kill(tiny.program("instances/lab/auth", before.rpartition("-")[2], "data"), 9)
            said, _ = process.communicate(timeout=120)
        assert process.returncode in (0, 3, 4), said
        write(tiny, f"after failover {number}")
        eventually(lambda: is_whole(tiny), 90)
        assert primary(tiny) != before
    ensure_all_comes_back(tiny)  # across all of them, from the backup before
    tiny.run("backup", "now", AUTH)
    proof = json.loads(tiny.run("drill", "restore", AUTH, "--json"))
    assert proof["ok"], proof


def test_a_repository_that_is_away_holds_nobody_up_and_catches_up(tiny: Place) -> None:
    eventually(lambda: is_whole(tiny), 90)
    disk = repository(tiny).parent
    filler = disk / "filler"

    os.kill(server(tiny), signal.SIGSTOP)
    write(tiny, "while it stands still 1", "while it stands still 2")
    os.kill(server(tiny), signal.SIGCONT)

    os.kill(server(tiny), signal.SIGKILL)
    write(tiny, "while it is dead 1", "while it is dead 2")
    assert "the backup repository of lab does not answer" in tiny.outcome("status")[1]
    tiny.up()

    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(2**20))
            file.flush()
    write(tiny, "while it is full 1", "while it is full 2")
    code, said = tiny.outcome("backup", "now", AUTH)
    assert code in (3, 4), said
    filler.unlink()

    folders = [p for p in (repository(tiny) / "repository").rglob("*") if p.is_dir()]
    for folder in folders:
        folder.chmod(0o550)
    try:
        write(tiny, "while it is read-only 1", "while it is read-only 2")
        code, said = tiny.outcome("backup", "now", AUTH)
        assert code in (3, 4), said
    finally:
        for folder in folders:
            folder.chmod(0o750)
    tiny.run("backup", "now", AUTH)
    ensure_all_comes_back(tiny)


def test_two_restores_at_once_and_neither_hands_over_to_the_other(tiny: Place) -> None:
    write(tiny, "before two")
    with wanted(tiny, "then", "later"):
        words = ("restore", AUTH, "--to", "latest", "--as")
        with tiny.start(*words, "then", "--wait") as one, tiny.start(*words, "later") as other:
            said = [process.communicate(timeout=180)[0] for process in (one, other)]
        for name, process in (("then", one), ("later", other)):
            if process.returncode == 3:  # one command at a time changes an environment
                tiny.run(*words, name)
            else:
                assert process.returncode == 0, said
        for name in ("then", "later"):
            with tiny.connect(name) as client:
                client.execute("INSERT INTO written VALUES (%s)", [name])
            tiny.run("backup", "now", f"lab/{name}")
            tiny.run("backup", "verify", f"lab/{name}")
        archives = {tiny.manifest(name)["archive"] for name in ("auth", "then", "later")}
        assert len(archives) == 3
    tiny.run("backup", "verify", AUTH)


def test_a_restore_is_killed_again_and_again_and_the_same_command_ends_it(tiny: Place) -> None:
    write(tiny, "before it is killed")
    with wanted(tiny, "then"):
        words = ("restore", AUTH, "--to", "latest", "--as", "then")
        for seconds in (0.7, 1.5, 2.5, 3.5, 5.0):
            with tiny.start(*words) as process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                process.kill()
        tiny.run(*words)
        with psycopg.connect(tiny.run("url", "lab/then").strip()) as client:
            rows = {row for (row,) in client.execute("SELECT row FROM written")}
        assert "before it is killed" in rows
        tiny.run("backup", "now", "lab/then")
        tiny.run("backup", "verify", "lab/then")


def test_a_repository_that_does_not_start_holds_no_database_up() -> None:
    with new_place() as place:
        place.want("auth", overrides="")
        place.up()
        manifest = read_environment(Layout(place.root), "lab")
        assert manifest
        pid = server(place)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{pid}").exists(), 10)
        with listening(manifest.repository_address, manifest.backup_port):
            place.want(overrides="")
            said = place.run("up", exit_code=4)
            assert "the backup repository of lab does not start" in said
            assert f"{manifest.backup_port} is taken by " in said
            assert all(answers(place, service) for service in ("auth", "order"))
        place.up()
        place.run("backup", "now", "lab/order")


def archive_mode(place: Place) -> str:
    with place.superuser("order") as operator:
        row = operator.execute("SHOW archive_mode").fetchone()
    assert row
    return str(row[0])


def test_a_database_that_was_made_without_backups_is_restarted_once_for_them() -> None:
    with new_place() as place:
        place.want("order", overrides="")
        place.up()
        path = place.path("order", "database.json")
        path.write_text(path.read_text().replace('"can_archive": true', '"can_archive": false'))
        path = place.path("order", "1", "patroni.yml")
        content = json.loads(path.read_text())
        parameters = content["postgresql"]["parameters"]
        for name in [name for name in parameters if name.startswith("archive_")]:
            del parameters[name]
        path.write_text(json.dumps(content))
        for pid, cwd in place.processes().items():
            if cwd.is_relative_to(place.kept("order")) or cwd == path.parent:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        eventually(lambda: answers(place, "order"), 30)
        assert archive_mode(place) == "off"
        said = place.up()
        assert "backups not possible → possible" in said
        assert archive_mode(place) == "on", said
        place.run("backup", "now", "lab/order")
        assert "nothing to do" in place.up()
