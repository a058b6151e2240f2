"""What another login of the machine tries. Only root can try as somebody else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import psycopg
import pytest
from as_another import (
    CONNECT,
    LIST,
    LOCK,
    MAKE_INSIDE,
    NOBODY_UID,
    OPEN_TO_READ,
    OPEN_TO_WRITE,
    is_refused,
)
from running_fleet import AUTH, RunningFleet, connect
from tiny_place import Place, new_place
from tries import LOGIN

from pgherd.control.lock import fleet_lock
from pgherd.engines.local import door, identity, rpc
from pgherd.errors import InputError
from pgherd.files import require_trusted
from pgherd.pki.authority import Authority
from pgherd.pki.certificate import Identity

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as somebody else"),
]


@pytest.mark.makes(
    LOGIN,
    "enter the state folder",
    "read a client's key",
    "read an authority's key",
    "ask the agent",
    "enter PostgreSQL's Unix socket",
    "enter the pooler's console",
)
def test_another_login_reaches_nothing_of_the_state(running: RunningFleet) -> None:
    layout = running.layout
    assert is_refused(NOBODY_UID, LIST, str(layout.root))
    assert is_refused(NOBODY_UID, MAKE_INSIDE, str(layout.root))
    keys = [
        layout.clients(AUTH) / "auth.key",
        layout.pooler(AUTH) / "pki/client.key",
        identity.authority_place(layout, "production", identity.DATA).key,
        identity.operator_place(layout, "production").key,
    ]
    for path in keys:
        assert path.exists()
        assert is_refused(NOBODY_UID, OPEN_TO_READ, str(path)), path
    number = running.leader(AUTH).number
    sockets = [
        layout.agent_socket,
        layout.socket_folder(AUTH, number) / ".s.PGSQL.5432",
        layout.pooler_socket_folder(AUTH) / ".s.PGSQL.6432",
    ]
    for path in sockets:
        assert path.exists() or path.with_name(path.name.replace("5432", "15432")).exists()
        assert is_refused(NOBODY_UID, CONNECT, str(path)), path


@pytest.mark.makes(LOGIN, "take the fleet's lock")
def test_another_login_cannot_hold_the_lock(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "fleet.lock"
    path.touch(0o644)  # as an earlier version left it
    with fleet_lock(path, "up", seconds=0.0, on_wait=print, now=datetime.now(UTC)):
        pass
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    assert is_refused(NOBODY_UID, LOCK, str(path))
    with fleet_lock(path, "up", seconds=0.0, on_wait=print, now=datetime.now(UTC)):
        pass


@pytest.mark.makes(LOGIN, "read a program's memory and surroundings")
def test_another_login_sees_nothing_of_a_program(running: RunningFleet) -> None:
    agent = running.run(rpc.ask(running.layout.agent_socket, running.owner, door.Ping()))
    pid = agent.pid
    for name in ("environ", "mem", "fd/1"):
        assert is_refused(NOBODY_UID, OPEN_TO_READ, f"/proc/{pid}/{name}"), name
    assert is_refused(NOBODY_UID, "import os, sys; os.kill(int(sys.argv[1]), 0)", str(pid))


@pytest.mark.makes(LOGIN, "change the code that root runs")
def test_another_login_changes_no_code() -> None:
    import pgherd

    code = Path(pgherd.__file__)
    assert is_refused(NOBODY_UID, OPEN_TO_WRITE, str(code))
    assert is_refused(NOBODY_UID, MAKE_INSIDE, str(code.parent))
    require_trusted(code)
    require_trusted(Path(sys.executable))


@pytest.mark.makes(LOGIN, "listen in a server's place")
def test_a_server_in_anothers_place_is_not_believed(auth: dict[str, str], tmp_path: Path) -> None:
    """Ports above 1023 are anybody's while nobody listens there."""
    now = datetime.now(UTC)
    forged = Authority.create("pgherd production data", now)
    address = IPv4Address("127.0.0.1")
    pair = forged.issue(Identity("auth.pooler", server_addresses=(address,)), now, timedelta(1))
    certificate, key = tmp_path / "crt", tmp_path / "key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    with socket.create_server((str(address), 0)) as listener:
        port = listener.getsockname()[1]
        program = (
            "import socket, ssl, sys\n"
            "listener = socket.socket(fileno=int(sys.argv[1]))\n"
            "client, _ = listener.accept(); client.recv(8); client.sendall(b'S')\n"
            "tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)\n"
            "tls.load_cert_chain(sys.argv[2], sys.argv[3])\n"
            "tls.wrap_socket(client, server_side=True).recv(1)\n"
        )
        arguments = [str(listener.fileno()), str(certificate), str(key)]
        with (
            subprocess.Popen(
                ["/usr/bin/python3", "-I", "-c", program, *arguments],
                pass_fds=[listener.fileno()],
                stderr=subprocess.DEVNULL,
            ),
            pytest.raises(psycopg.OperationalError, match="certificate verify failed"),
        ):
            connect(auth | {"host": str(address), "port": str(port)}, connect_timeout=5)


@pytest.fixture
def place() -> Iterator[Place]:
    with new_place() as place:
        yield place


@pytest.mark.makes(LOGIN, "leave a fleet file where root works")
def test_a_fleet_file_that_another_has_left_is_not_taken(place: Place) -> None:
    path = place.folder / "fleet.yaml"
    os.chown(path, NOBODY_UID, NOBODY_UID)
    assert "another user's" in place.run("plan", exit_code=2)
    assert "Auth DB" in place.run("show", "-f", "fleet.yaml")
    os.chown(path, 0, 0)
    os.chown(place.folder, NOBODY_UID, NOBODY_UID)
    assert "another user's" in place.run("up", exit_code=2)
    os.chown(place.folder, 0, 0)


@pytest.mark.makes(LOGIN, "own a folder above the state")
@pytest.mark.parametrize("how", ["owned", "writable", "linked", "lock"])
def test_a_state_folder_that_another_may_change_is_refused(place: Place, how: str) -> None:
    state = place.root.parent
    victim = place.folder / "victim"
    victim.mkdir()
    match how:
        case "owned":
            state.mkdir()
            os.chown(state, NOBODY_UID, NOBODY_UID)
        case "writable":
            state.mkdir()
            state.chmod(0o777)
        case "linked":
            state.symlink_to(victim)
            os.chown(state, NOBODY_UID, NOBODY_UID, follow_symlinks=False)
        case "lock":
            state.mkdir()
            (state / "tiny.lock").touch()
            os.chown(state / "tiny.lock", NOBODY_UID, NOBODY_UID)
    assert "cannot be trusted" in (output := place.run("up", exit_code=2)) or "belongs to" in output
    assert list(victim.iterdir()) == []
    with pytest.raises(InputError):
        require_trusted(place.root if how != "lock" else state / "tiny.lock")
