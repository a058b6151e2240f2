"""What the user that databases run as lays out for root, who comes by with every command.

Each test plants something in a folder of that user's, lets root do its work, and looks at what
was root's alone: a file, a tree, a daemon.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from as_another import (
    LOCK,
    MAKE_INSIDE,
    OPEN_TO_READ,
    OPEN_TO_WRITE,
    RENAME,
    is_refused,
)
from tiny_place import Place, answers, eventually, new_place
from tries import DATA_PLANE

from pgherd.engines.local import door, rpc
from pgherd.engines.local.layout import data_plane_owner

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="where all run as one user there is no way up"),
]
POSTGRES = data_plane_owner()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A database without replicas, running; each test leaves it running."""
    with new_place() as place:
        place.want(services="order", overrides="")
        place.up()
        yield place


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of root's that that user may reach and not read."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    path = tmp_path / "secret"
    path.write_text("root's own\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def tree(secret: Path) -> Path:
    """A tree of root's."""
    folder = secret.parent / "tree"
    (folder / "order").mkdir(parents=True)
    (folder / "order/kept").write_text("kept")
    return folder


def plant(path: Path, target: Path) -> None:
    """A link of that user's, in place of what is there."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        path.rename(path.with_name(f"{path.name}.away"))
    path.symlink_to(target)
    os.chown(path, POSTGRES.uid, POSTGRES.gid, follow_symlinks=False)


def replace_agent(place: Place) -> None:
    """The next command that changes something starts another agent."""
    place.end_agents()


def root_owns_nothing(place: Place) -> None:
    for name in ("instances", "etcd", "run", "log", "templates"):
        for path in (place.root / name).rglob("*"):
            assert path.lstat().st_uid == POSTGRES.uid, path


@pytest.mark.makes(DATA_PLANE, "have root append to a file, by the agent's log")
def test_a_log_that_is_a_link_leaves_its_target_alone(place: Place, secret: Path) -> None:
    log = place.root / "log/agent.log"
    plant(log, secret)
    before = secret.stat()
    replace_agent(place)
    assert "does not start" in place.run("up", exit_code=4)
    assert secret.read_text() == "root's own\n"
    assert (secret.stat().st_uid, secret.stat().st_mode) == (before.st_uid, before.st_mode)
    log.unlink()
    place.up()


@pytest.mark.makes(DATA_PLANE, "have root make a file, by the agent's log")
def test_a_log_that_leads_nowhere_makes_nothing(place: Place, secret: Path) -> None:
    log = place.root / "log/agent.log"
    preload = secret.parent / "ld.so.preload"
    plant(log, preload)
    replace_agent(place)
    assert "does not start" in place.run("up", exit_code=4)
    assert not preload.exists()
    log.unlink()
    place.up()


@pytest.mark.makes(DATA_PLANE, "have root show a file, by a log")
def test_logs_show_no_file_of_roots(place: Place, secret: Path) -> None:
    link = place.root / "log/lab/order/order-9.postgresql.log"
    plant(link, secret)
    _, output = place.outcome("logs", "lab/order")
    assert "root's own" not in output
    link.unlink()
    assert "order-1.postgresql" in place.run("logs", "lab/order")


@pytest.mark.makes(DATA_PLANE, "have root wait for ever, by a FIFO in place of a log")
def test_logs_do_not_wait_for_a_fifo(place: Place) -> None:
    fifo = place.root / "log/lab/order/order-9.postgresql.log"
    os.mkfifo(fifo)
    os.chown(fifo, POSTGRES.uid, POSTGRES.gid)
    assert "order-1.postgresql" in place.run("logs", "lab/order")
    fifo.unlink()


@pytest.mark.makes(DATA_PLANE, "take root's terminal over, by a program of root's")
def test_no_program_of_that_user_has_roots_terminal(place: Place) -> None:
    """Another process of that user could take its descriptors, and type for root."""
    ours, terminal = os.openpty()
    command = subprocess.Popen(
        [sys.executable, "-m", "pgherd", "logs", "lab/order", "--follow"],
        cwd=place.folder,
        env={**os.environ, "PGHERD_STATE": str(place.root.parent)},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    try:
        eventually(lambda: [p for p in children(command.pid) if uid_of(p) == POSTGRES.uid], 10)
        for pid in children(command.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            assert os.getsid(pid) == pid
            assert fields[4] == "0", "it has a terminal"
            assert not [name for name in open_files(pid) if "/pts/" in name]
    finally:
        command.kill()
        command.wait()
        os.close(ours)
        os.close(terminal)


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def open_files(pid: int) -> list[str]:
    """What it has open; a file that it closes meanwhile is left out."""
    found = []
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(file))
    return found


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


@pytest.mark.makes(DATA_PLANE, "have root speak to another daemon")
def test_root_says_nothing_to_another_daemon(place: Place, secret: Path) -> None:
    """One that does what root asks, since root asks."""
    heard: list[bytes] = []
    door = secret.parent / "daemon.sock"
    agent = place.root / "run/agent.sock"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(door))
        daemon.listen()
        door.chmod(0o666)

        def listen() -> None:
            while True:
                try:
                    client, _ = daemon.accept()
                except OSError:
                    return
                client.settimeout(2)
                try:
                    heard.append(client.recv(4096))
                except TimeoutError:
                    heard.append(b"")
                client.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        agent.rename(agent.with_suffix(".away"))
        plant(agent, door)
        _, output = place.outcome("status")
        daemon.shutdown(socket.SHUT_RDWR)
    assert "is no agent's" in output
    assert set(heard) == {b""}
    agent.unlink()
    agent.with_suffix(".away").rename(agent)


LYING_AGENT = """
import json, os, socket, sys
path = sys.argv[1]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    client.recv(65536)
    client.sendall(sys.argv[2].encode() + b"\\n")
    client.close()
"""


@pytest.mark.makes(DATA_PLANE, "lead root's session to another socket")
def test_what_an_agent_says_leads_root_nowhere(place: Place) -> None:
    place.run("status")
    lie = door.DatabaseStatus(
        leader="../../../../tmp",
        serving="x",
        schema_revision="\x1b]0;x\x07",
        synchronous=(),
        has_pooler=True,
        instances={"../../../../tmp": door.InstanceStatus(True, False, False, None, None)},
    )
    status = door.FleetStatus({"lab": True}, {"lab/order": lie}, ())
    told = rpc.Reply(result=msgspec.Raw(msgspec.json.encode(status)))
    agent = place.root / "run/agent.sock"
    place.end_agents()  # one that lives would listen again
    agent.unlink()
    unreadable = ["[]", "{", '{"error": {"kind": "x"}}', "9" * 5000]
    for line in (msgspec.json.encode(told).decode(), *unreadable):
        with subprocess.Popen(
            ["/usr/bin/python3", "-I", "-c", LYING_AGENT, str(agent), line],
            user=POSTGRES.uid,
            group=POSTGRES.gid,
            extra_groups=[],
            cwd="/",
            stdout=subprocess.PIPE,
        ) as liar:
            assert liar.stdout
            liar.stdout.readline()
            code, output = place.outcome("url", "lab/order", "--role", "operator")
            assert code in (3, 4), output
            assert "/tmp" not in output.replace(str(place.folder), "")
            assert "\x1b]" not in place.outcome("status")[1]
            liar.kill()
        agent.unlink()
    place.up()


@pytest.mark.makes(
    DATA_PLANE,
    "change a manifest",
    "change the claim of the state folder",
    "change a configuration",
    "change a program of an instance",
    "replace an authority",
    "read an authority's key",
    "read a client's key",
    "take the fleet's lock",
    "replace a folder of its own by a link",
    "change the code that root runs",
)
def test_what_root_believes_is_roots(place: Place) -> None:
    import pgherd

    root = place.root
    believed = [
        root / "fleet.json",
        root / "addresses.json",
        root / "environments/lab/environment.json",
        root / "environments/lab/pki/data-authority.crt",
        root / "databases/lab/order/database.json",
        root / "databases/lab/order/pooler/pgbouncer.ini",
        root / "databases/lab/order/pooler/hba.conf",
        root / "databases/lab/order/1/patroni.yml",
        root / "databases/lab/order/1/bootstrap.sql",
        *(root / f"databases/lab/order/1/{n}" for n in ("initdb", "pg_basebackup", "pg_rewind")),
        Path(pgherd.__file__),
    ]
    for path in believed:
        assert path.exists(), path
        assert is_refused(POSTGRES.uid, OPEN_TO_WRITE, str(path)), path
        assert is_refused(POSTGRES.uid, RENAME, str(path)), path
        assert is_refused(POSTGRES.uid, MAKE_INSIDE, str(path.parent)), path
    for path in (
        root / "environments/lab/pki/data-authority.key",
        root / "environments/lab/pki/control-authority.key",
        root / "databases/lab/order/clients/order.key",
        root / "databases/lab/order/clients/order_ro.key",
    ):
        assert path.exists(), path
        assert is_refused(POSTGRES.uid, OPEN_TO_READ, str(path)), path
    assert is_refused(POSTGRES.uid, LOCK, str(root.with_name("tiny.lock")))
    for name in ("instances", "etcd", "run", "log", "templates", "environments", "databases"):
        assert is_refused(POSTGRES.uid, RENAME, str(root / name)), name
    assert is_refused(POSTGRES.uid, RENAME, str(root))


@pytest.mark.makes(DATA_PLANE, "be given a file of root's")
def test_root_leaves_no_file_of_its_own_there(place: Place) -> None:
    place.run("certificates", "--rotate")
    place.run("down")
    place.up()
    root_owns_nothing(place)


def doomed(place: Place) -> None:
    place.want(services="order, cart", overrides="")
    place.up()


@pytest.mark.makes(
    DATA_PLANE,
    "have root delete a tree, by a database's folder",
    "have root delete a tree, by a socket's folder",
)
def test_destroy_follows_no_link_to_a_tree(place: Place, tree: Path) -> None:
    doomed(place)
    plant(place.root / "run/lab.cart.9", tree)
    place.run("down", "lab/cart")
    plant(place.root / "instances/lab/cart", tree)
    plant(place.root / "log/lab/cart", tree)
    place.run("destroy", "lab/cart", "--yes-destroy", "lab/cart")
    assert (tree / "order/kept").read_text() == "kept"
    (place.root / "run/lab.cart.9").unlink()
    place.want(services="order", overrides="")
    assert answers(place, "order")


RACER = """
import itertools, os, sys, time
folder, target = sys.argv[1:]
deadline = time.monotonic() + 6
while time.monotonic() < deadline:
    try:
        os.rename(folder, folder + '.real')
        os.symlink(target, folder)
        os.unlink(folder)
        os.rename(folder + '.real', folder)
    except OSError:
        pass
"""


@pytest.mark.makes(DATA_PLANE, "have root delete a tree, by a folder that changes meanwhile")
def test_destroy_follows_no_folder_that_changes_meanwhile(place: Place, tree: Path) -> None:
    doomed(place)
    place.run("down", "lab/cart")
    (tree / "cart").mkdir()
    (tree / "cart/kept").write_text("kept")
    targets = {"instances/lab": tree, "log/lab": tree, "instances/lab/cart": tree / "cart"}
    racers = [
        subprocess.Popen(
            ["/usr/bin/python3", "-I", "-c", RACER, str(place.root / name), str(target)],
            user=POSTGRES.uid,
            group=POSTGRES.gid,
            extra_groups=[],
            cwd="/",
        )
        for name, target in targets.items()
    ]
    place.outcome("destroy", "lab/cart", "--yes-destroy", "lab/cart")
    for racer in racers:
        racer.wait()
    assert (tree / "order/kept").read_text() == "kept"
    assert (tree / "cart/kept").read_text() == "kept"
    for name in ("instances/lab", "log/lab", "instances/lab/cart"):
        path = place.root / name
        if path.is_symlink():
            path.unlink()
        if (real := path.with_name(f"{path.name}.real")).exists():
            real.rename(path)
    place.outcome("destroy", "lab/cart", "--yes-destroy", "lab/cart")
    place.want(services="order", overrides="")
    place.up()
    assert answers(place, "order")


@pytest.mark.makes(DATA_PLANE, "have root delete a tree, by an environment's folder")
def test_the_end_of_a_fleet_takes_no_tree_along(tree: Path) -> None:
    with new_place() as place:
        place.want(services="order", overrides="")
        place.up()
        place.run("down")
        plant(place.root / "instances/lab", tree)
        plant(place.root / "log/lab", tree)
        plant(place.root / "etcd/lab", tree)
        assert "not everything could be removed" in place.run(
            "destroy", "--yes-destroy", "lab", exit_code=4
        )
        assert (tree / "order/kept").read_text() == "kept"
        for name in ("instances/lab", "log/lab", "etcd/lab"):
            (place.root / name).unlink(missing_ok=True)
        place.run("destroy", "--yes-destroy", "lab")
        assert not place.root.exists()
