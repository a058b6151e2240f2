"""Backups of a real fleet: taken unasked, through failovers and losses, and brought back."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from tiny_place import Place, eventually, new_place

from pgherd.engines.local import processes
from pgherd.engines.local.backup.repository import repository_owner

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """`auth` has a replica, `order` has none; the autopilot runs."""
    with new_place(has_autopilot=True) as place:
        place.up()
        with place.connect("auth") as client:
            client.execute("CREATE TABLE written (row text)")
        eventually(lambda: all(backups(place, name) for name in ("auth", "order")), 120)
        yield place


def backups(place: Place, service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        place.run("backup", "list", f"lab/{service}", "--json")
    )["backups"]
    return found


def write(place: Place, row: str) -> datetime:
    """A moment after it is committed, and before anything else is."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with place.connect("auth") as client:
                client.execute("INSERT INTO written VALUES (%s)", [row])
                break
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
    time.sleep(1.1)
    moment = datetime.now(UTC)
    time.sleep(1.1)
    return moment


def rows(place: Place, service: str) -> set[str]:
    with psycopg.connect(place.run("url", f"lab/{service}").strip()) as client:
        return {row for (row,) in client.execute("SELECT row FROM written")}


def server(place: Place) -> int:
    folder = place.root.with_name(f"{place.fleet}.backups") / "lab"
    found = processes.by_folder(repository_owner().uid).get(os.path.realpath(folder), [])
    return found[0] if found else 0


def test_each_database_is_backed_up_without_being_asked(tiny: Place) -> None:
    for service in ("auth", "order"):
        assert [b["kind"] for b in backups(tiny, service)][-1] == "full"
        kinds = json.loads(tiny.run("events", f"lab/{service}", "--json"))["events"]
        assert "backup" in {event["kind"] for event in kinds}


def test_wal_is_handed_over_after_failovers_too_and_restores_cross_them(tiny: Place) -> None:
    tiny.run("backup", "now", "lab/auth")  # of the incarnation that it is now
    moments = {"one": write(tiny, "one")}
    tiny.run("backup", "point", "lab/auth", "after-one")
    tiny.run("switchover", "lab/auth")
    eventually(lambda: tiny.instances("auth") == ["running", "streaming"], 60)
    moments["two"] = write(tiny, "two")
    tiny.run("backup", "now", "lab/auth")
    tiny.run("switchover", "lab/auth")
    eventually(lambda: tiny.instances("auth") == ["running", "streaming"], 60)
    moments["three"] = write(tiny, "three")
    write(tiny, "four")
    tiny.want(services="auth, order, then", overrides="overrides:\n  lab/auth: {replicas: 1..2}")
    try:
        times = {row: at.strftime("%Y-%m-%dT%H:%M:%S.%f") for row, at in moments.items()}
        for number, (option, to, expected) in enumerate(
            [
                ("--to", times["three"], {"one", "two", "three"}),
                ("--to", times["one"], {"one"}),
                ("--to-point", "after-one", {"one"}),
                ("--to", "latest", {"one", "two", "three", "four"}),
            ]
        ):
            if number:
                tiny.run("destroy", "--yes-destroy", "lab/then", "lab/then")
            tiny.run("restore", "lab/auth", option, to, "--as", "then")
            assert rows(tiny, "then") & {"one", "two", "three", "four"} == expected
        assert {"one", "two", "three", "four"} <= rows(tiny, "auth")
    finally:
        tiny.run("destroy", "--yes-destroy", "lab/then", "lab/then")
        tiny.want()


def test_a_repository_whose_server_is_gone_is_seen_and_comes_back(tiny: Place) -> None:
    pid = server(tiny)
    assert pid
    os.kill(pid, signal.SIGKILL)
    _, output = tiny.outcome("status")
    assert "the backup repository of lab does not answer" in output
    # Nobody is kept waiting meanwhile, and WAL that was not handed over is later.
    moment = write(tiny, "meanwhile")
    eventually(lambda: server(tiny) not in (0, pid), 120)
    tiny.run("backup", "now", "lab/auth")
    assert moment < datetime.now(UTC)


def test_a_restore_in_place_that_is_killed_goes_on_with_the_same_command(tiny: Place) -> None:
    tiny.run("backup", "now", "lab/auth")
    moment = write(tiny, "kept").strftime("%Y-%m-%dT%H:%M:%S.%f")
    write(tiny, "lost")
    again = ("restore", "lab/auth", "--yes-overwrite", "lab/auth", "--to")
    with tiny.start(*again, moment) as process:
        eventually(lambda: tiny.manifest("auth")["restoring"], 60)
        process.kill()
    assert "lab/auth is half restored to" in tiny.run("up", exit_code=4)
    elsewhere = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    assert "lab/auth is half restored to" in tiny.run(*again, elsewhere, exit_code=2)
    tiny.run(*again, moment)
    assert {"kept", "lost"} & rows(tiny, "auth") == {"kept"}
    eventually(lambda: tiny.instances("auth") == ["running", "streaming"], 60)
    assert tiny.manifest("auth")["archive"] == ""
    tiny.run("backup", "now", "lab/auth")
    assert [b["kind"] for b in backups(tiny, "auth")] == ["full"]


def test_an_undo_that_is_killed_goes_on_with_the_same_command_and_archives_again(
    tiny: Place,
) -> None:
    tiny.run("backup", "now", "lab/auth")
    moment = write(tiny, "early").strftime("%Y-%m-%dT%H:%M:%S.%f")
    write(tiny, "dropped by mistake")
    archive = tiny.manifest("auth")["archive"]
    yes = ("--yes-overwrite", "lab/auth")
    tiny.run("restore", "lab/auth", "--to", moment, *yes)
    assert "dropped by mistake" not in rows(tiny, "auth")
    assert "brings it back" in tiny.run("backup", "list", "lab/auth")
    undo = ("restore", "--undo", "lab/auth", *yes)
    with tiny.start(*undo) as process:
        eventually(lambda: tiny.manifest("auth")["restoring"].endswith(" undo"), 60)
        process.kill()
    assert "half restored to what it had before" in tiny.run("up", exit_code=4)
    refused = tiny.run("restore", "lab/auth", "--to", moment, *yes, exit_code=2)
    assert "--undo --yes-overwrite lab/auth" in refused
    for _ in range(2):
        tiny.run(*undo)
        assert {"early", "dropped by mistake"} <= rows(tiny, "auth")
    eventually(lambda: tiny.instances("auth") == ["running", "streaming"], 60)
    assert tiny.manifest("auth")["archive"] == archive
    # Its archive goes on where it was, through a failover too.
    write(tiny, "after")
    tiny.run("switchover", "lab/auth")
    eventually(lambda: tiny.instances("auth") == ["running", "streaming"], 60)
    tiny.run("backup", "now", "lab/auth")
    tiny.want(services="auth, order, then", overrides="overrides:\n  lab/auth: {replicas: 1..2}")
    try:
        tiny.run("restore", "lab/auth", "--to", "latest", "--as", "then")
        assert {"early", "dropped by mistake", "after"} <= rows(tiny, "then")
    finally:
        tiny.run("destroy", "--yes-destroy", "lab/then", "lab/then")
        tiny.want()
