"""WAL that is received as it is written: what was committed a second ago can be restored."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tiny_place import Place, answers, eventually, new_place

from pgherd.engines.local.backup.repository import USER

pytestmark = pytest.mark.integration

DATABASE = "lab/auth"


@pytest.fixture
def tiny() -> Iterator[Place]:
    """A database with a replica whose WAL is received, and its first backup."""
    with new_place() as place:
        place.want(services="auth", ocpus="2", replicas="1", more="    backup: {stream: true}")
        place.up()
        with place.connect("auth") as client:
            client.execute("CREATE TABLE written (n int PRIMARY KEY)")
        place.run("backup", "now", DATABASE)
        eventually(lambda: received(place), 20)
        yield place


def stream(place: Place) -> Path:
    return place.root.with_name(f"{place.fleet}.backups") / "lab/stream"


def of_archive(place: Place) -> Path:
    return stream(place) / place.manifest("auth")["archive"]


def received(place: Place) -> list[tuple[int, str, bool]]:
    """Who receives WAL now, in the primary's words, and whether it has all."""
    with place.superuser("auth") as session:
        return session.execute(
            "SELECT pid, usename, flush_lsn >= pg_current_wal_flush_lsn()"
            " FROM pg_stat_replication WHERE application_name = 'pgherd.stream'"
        ).fetchall()


def has_all(place: Place) -> bool:
    try:
        return [found[2] for found in received(place)] == [True]
    except (psycopg.Error, AssertionError):
        return False


def write(place: Place, first: int, count: int = 50) -> None:
    with place.connect("auth") as client:
        for n in range(first, first + count):
            client.execute("INSERT INTO written VALUES (%s)", (n,))
            client.commit()


def rows(place: Place, service: str = "auth") -> int:
    with place.connect(service) as client:
        row = client.execute("SELECT count(*) FROM written").fetchone()
        assert row
        return int(row[0])


def receiver(place: Place) -> int:
    """The process."""
    (pid,) = (p for p, cwd in place.processes().items() if cwd == of_archive(place) / "wal")
    return pid


def keeper(place: Place) -> int:
    (pid,) = (p for p, cwd in place.processes().items() if cwd == stream(place))
    return pid


def kill_the_fleet_and_its_data(place: Place) -> None:
    """All of its processes at once, then what it had."""
    place.kill_all()
    for data in place.root.glob("instances/lab/auth/*/data"):
        shutil.rmtree(data)


def restored(place: Place) -> int:
    """The rows of a database that was lost, from archive and stream alone."""
    place.outcome("up")  # the agent and the repository run again; the database cannot
    place.run("down", DATABASE)
    place.run("restore", DATABASE, "--to", "latest", "--as", "auth-then")
    return rows(place, "auth-then")


def test_what_was_committed_just_now_is_restored_though_all_was_killed(tiny: Place) -> None:
    pid = receiver(tiny)
    if os.geteuid() == 0:
        owner = pwd.getpwnam(USER).pw_uid
        assert {Path(f"/proc/{p}").stat().st_uid for p in (pid, keeper(tiny))} == {owner}
        assert stream(tiny).stat().st_uid == owner
    assert stream(tiny).stat().st_mode & 0o077 == 0
    assert received(tiny)[0][1] == "replicator"
    write(tiny, 1, 200)
    kill_the_fleet_and_its_data(tiny)
    assert restored(tiny) == 200
    assert not list(tiny.root.glob("instances/lab/*/*/streamed"))


def test_it_follows_a_failover_and_what_was_before_it_is_there_too(tiny: Place) -> None:
    write(tiny, 1)
    tiny.run("failover", DATABASE)
    eventually(lambda: answers(tiny, "auth"), 30)
    eventually(lambda: has_all(tiny), 30)
    write(tiny, 1001)
    before = rows(tiny)
    kill_the_fleet_and_its_data(tiny)
    assert restored(tiny) == before == 100


def test_a_receiver_that_is_killed_or_frozen_is_begun_again(tiny: Place) -> None:
    first = receiver(tiny)
    os.kill(first, signal.SIGKILL)
    write(tiny, 1)
    eventually(lambda: has_all(tiny), 10)
    second = receiver(tiny)
    os.kill(second, signal.SIGSTOP)
    write(tiny, 1001)
    eventually(lambda: has_all(tiny), 10)
    assert len({first, second, receiver(tiny)}) == 3
    os.kill(keeper(tiny), signal.SIGKILL)
    write(tiny, 2001)
    assert has_all(tiny), "a receiver outlives its keeper"
    assert "nobody receives the WAL of lab" in tiny.run("plan")
    tiny.up()
    eventually(lambda: has_all(tiny), 20)
    keeper(tiny)
    kill_the_fleet_and_its_data(tiny)
    assert restored(tiny) == 150


def test_what_is_archived_goes_and_a_drill_proves_the_last_second(tiny: Place) -> None:
    for n in range(4):
        write(tiny, 1000 * n + 1)
        with tiny.superuser("auth") as session:
            session.execute("SELECT pg_switch_wal()")
    with tiny.superuser("auth") as session:
        (last,) = session.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone() or ()
    kept = of_archive(tiny) / "kept"
    eventually(lambda: not [p for p in kept.iterdir() if p.name < last], 60)
    with tiny.connect("auth") as client:
        client.execute("INSERT INTO written VALUES (9001)")
        client.commit()
        tiny.run("status")
        found: dict[str, Any]
        text = tiny.run("drill", "restore", DATABASE, "--json")
        found, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    assert found["ok"]
    assert found["rpo_seconds"] <= 1
    (detail,) = [c["detail"] for c in found["checks"] if c["name"] == "tables"]
    assert detail == "1 table, 201 rows"


def test_a_slot_that_may_keep_no_more_is_a_gap_that_only_the_archive_fills(tiny: Place) -> None:
    write(tiny, 1)
    eventually(lambda: has_all(tiny), 10)
    os.kill(keeper(tiny), signal.SIGSTOP)
    os.kill(receiver(tiny), signal.SIGKILL)
    with tiny.superuser("auth") as session:
        session.autocommit = True
        eventually(lambda: not received(tiny), 20)
        session.execute("ALTER SYSTEM SET wal_keep_size = 0")
        session.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
        session.execute("SELECT pg_reload_conf()")
        for n in range(6):
            session.execute("SELECT pg_logical_emit_message(false, 'x', %s)", (str(n),))
            session.execute("SELECT pg_switch_wal()")
        session.execute("CHECKPOINT")
        lost = "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'pgherd_stream'"
        assert session.execute(lost).fetchall() == [("lost",)]
    write(tiny, 1001)
    os.kill(keeper(tiny), signal.SIGCONT)
    eventually(lambda: has_all(tiny), 30)
    assert "a gap: " in (stream(tiny).parent / "stream.log").read_text()
    write(tiny, 2001)
    time.sleep(1)
    kill_the_fleet_and_its_data(tiny)
    assert restored(tiny) == 150


def test_a_restore_in_its_place_ends_it_and_a_new_archive_begins_another(tiny: Place) -> None:
    write(tiny, 1)
    before = of_archive(tiny)
    tiny.run("restore", DATABASE, "--to", "latest", "--yes-overwrite", DATABASE)
    assert not [p for p, cwd in tiny.processes().items() if cwd.parent == before]
    eventually(lambda: answers(tiny, "auth"), 30)
    tiny.run("backup", "now", DATABASE)
    eventually(lambda: has_all(tiny), 30)
    assert of_archive(tiny) != before
    tiny.want(services="auth", ocpus="2", replicas="1")
    tiny.up()
    eventually(lambda: not received(tiny), 20)
    with tiny.superuser("auth") as session:
        eventually(
            lambda: (
                (
                    session.execute(
                        "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'pgherd_stream'"
                    ).fetchall()
                )
                == []
            ),
            30,
        )


def test_the_autopilot_starts_a_keeper_that_ended_or_stands_still() -> None:
    with new_place(has_autopilot=True) as place:
        place.want(services="auth", ocpus="2", overrides="", more="    backup: {stream: true}")
        place.up()
        eventually(lambda: has_all(place), 90)
        for sign in (signal.SIGKILL, signal.SIGSTOP):
            before = keeper(place)
            os.kill(before, sign)
            eventually(lambda old=before: has_another_keeper(place, old), 150)
            eventually(lambda: has_all(place), 20)


def has_another_keeper(place: Place, before: int) -> bool:
    found = [p for p, cwd in place.processes().items() if cwd == stream(place)]
    return len(found) == 1 and found != [before]
