"""Who comes with the wrong certificate, or with none, to every door of a fleet."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from running_fleet import AUTH, ORDER, STAGING_AUTH, RunningFleet, connect, refused
from tries import NOBODY, OTHER

from pgherd.contract.access import AccessRole
from pgherd.engines.local import identity
from pgherd.engines.local.manifest import read_environment
from pgherd.fleet.desired import Pooling
from pgherd.pki.authority import Authority
from pgherd.pki.certificate import Identity, Place

pytestmark = pytest.mark.integration

UNKNOWN = "unknown ca"
FLOOD = 2000


def with_place(parameters: dict[str, str], place: Place) -> dict[str, str]:
    return parameters | {"sslcert": str(place.certificate), "sslkey": str(place.key)}


def instance_place(running: RunningFleet, id: object, name: str) -> Place:
    manifest = running.manifest(id)  # type: ignore[arg-type]
    folder = running.layout.instance(manifest.id, manifest.instances[0].number)
    return Place(folder / "pki", name)


@pytest.mark.makes(
    OTHER,
    "enter a service's database, as that service elsewhere",
    "enter a service's database, as its reader elsewhere",
    "pass by the pooler, as a pooler elsewhere",
    "replicate, as an instance elsewhere",
    "rewind, as an instance elsewhere",
)
def test_another_environments_certificates_open_no_database(
    running: RunningFleet, auth: dict[str, str]
) -> None:
    clients = running.layout.clients(STAGING_AUTH)
    refused(with_place(auth, Place(clients, "auth")), UNKNOWN)
    reader = running.through_pooler(AUTH, AccessRole.READ_ONLY)
    refused(with_place(reader, Place(clients, "auth_ro")), UNKNOWN)
    direct = running.past_pooler(AUTH)
    pooler = Place(running.layout.pooler(STAGING_AUTH) / "pki", "client")
    refused(with_place(direct, pooler), UNKNOWN)
    for role, database in (("replicator", "replication"), ("rewind", "postgres")):
        theirs = with_place(direct, instance_place(running, STAGING_AUTH, role))
        more = {"replication": "true"} if role == "replicator" else {"dbname": database}
        refused(theirs | {"user": role} | more, UNKNOWN)


@pytest.mark.makes(
    OTHER,
    "replicate, as another service's instance",
    "pass by the pooler, as another service's pooler",
)
def test_another_services_certificates_open_no_database(running: RunningFleet) -> None:
    direct = running.past_pooler(AUTH)
    theirs = instance_place(running, ORDER, "replicator")
    refused(
        with_place(direct, theirs) | {"user": "replicator", "replication": "true"},
        "certificate authentication failed",
    )
    pooler = Place(running.layout.pooler(ORDER) / "pki", "client")
    refused(with_place(direct, pooler), "certificate authentication failed")


@pytest.mark.makes(OTHER, "enter elsewhere, with the certificate of the agent's probe")
def test_the_probe_opens_one_name_of_one_pooler(running: RunningFleet) -> None:
    place = identity.probe_place(running.layout, AUTH)
    one = running.through_pooler(AUTH, pooling=Pooling.TRANSACTION)
    connect(with_place(one, place)).close()
    for pooling in Pooling:
        for role in (AccessRole.SERVICE, AccessRole.READ_ONLY):
            door = running.through_pooler(AUTH, role, pooling)
            if door["dbname"] != one["dbname"]:
                refused(with_place(door, place), "certificate authentication failed|no hba entry")
    other = running.through_pooler(ORDER, pooling=Pooling.TRANSACTION)
    refused(with_place(other, place), "certificate authentication failed")
    elsewhere = running.through_pooler(STAGING_AUTH, pooling=Pooling.TRANSACTION)
    refused(with_place(elsewhere, place), UNKNOWN)
    refused(with_place(running.past_pooler(AUTH), place), "certificate authentication failed")
    for door_of_control in control_doors(running):
        assert_shut(door_of_control, place)


def control_doors(running: RunningFleet) -> list[tuple[str, int]]:
    """etcd's and one Patroni's."""
    environment = read_environment(running.layout, AUTH.environment)
    manifest = running.manifest(AUTH)
    assert environment
    return [
        (environment.etcd_address, environment.etcd_port),
        (manifest.instances[0].address, manifest.patroni_port),
    ]


def assert_shut(door: tuple[str, int], place: Place | None) -> None:
    """TLS is refused, at the latest when something is asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if place:
        context.load_cert_chain(place.certificate, place.key)
    with (
        socket.create_connection(door, timeout=5) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
        context.wrap_socket(plain) as connection,
    ):
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        answer = connection.recv(4096)
        raise AssertionError(f"{door} answers: {answer!r}")


@pytest.mark.makes(
    OTHER,
    "ask etcd, as an instance elsewhere",
    "ask etcd, as an operator elsewhere",
    "command Patroni, as an instance elsewhere",
    "command Patroni, as an operator elsewhere",
    "ask etcd, with a certificate for data",
)
def test_wrong_certificates_open_neither_etcd_nor_patroni(running: RunningFleet) -> None:
    for door in control_doors(running):
        assert_shut(door, instance_place(running, STAGING_AUTH, "patroni"))
        assert_shut(door, identity.operator_place(running.layout, "staging"))
        assert_shut(door, instance_place(running, AUTH, "replicator"))
        assert_shut(door, Place(running.layout.clients(AUTH), "auth"))


@pytest.mark.makes(NOBODY, "ask etcd", "command Patroni")
def test_no_certificate_opens_neither_etcd_nor_patroni(running: RunningFleet) -> None:
    for door in control_doors(running):
        assert_shut(door, None)


@pytest.mark.makes(
    NOBODY,
    "enter the pooler in plain text",
    "enter PostgreSQL in plain text",
    "enter the pooler over TLS",
    "enter PostgreSQL over TLS",
    "replicate over TLS",
)
def test_no_certificate_opens_no_database(running: RunningFleet, auth: dict[str, str]) -> None:
    direct = running.past_pooler(AUTH)
    bare = ("sslcert", "sslkey", "sslrootcert", "sslmode")
    pooled, past = ({k: v for k, v in p.items() if k not in bare} for p in (auth, direct))
    nothing = {"sslcert": "/nonexistent", "sslkey": "/nonexistent"}
    refused(pooled | {"sslmode": "disable"}, "SSL required")
    refused(past | {"sslmode": "disable"}, "no encryption|rejects connection")
    refused(pooled | nothing | {"sslmode": "require"}, "certificate required|no client cert")
    refused(past | nothing | {"sslmode": "require"}, "valid client certificate")
    refused(
        past | nothing | {"sslmode": "require", "user": "replicator", "replication": "true"},
        "valid client certificate",
    )


@pytest.mark.makes(NOBODY, "enter with a forged certificate of that name")
def test_a_forged_certificate_opens_no_database(
    running: RunningFleet, auth: dict[str, str], tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    authority = Authority.create("pgherd production data", now)
    place = Place(tmp_path, "forged")
    place.write(authority.issue(Identity("auth", is_client=True), now, timedelta(days=1)))
    refused(with_place(auth, place), UNKNOWN)
    place.write(authority.issue(Identity("auth.pooler", is_client=True), now, timedelta(days=1)))
    refused(with_place(running.past_pooler(AUTH), place), UNKNOWN)


@pytest.mark.makes(NOBODY, "hold 2,000 connections to the pooler")
@pytest.mark.alone  # its times are those of a machine that has nothing else to do
def test_a_flood_of_silent_clients_refuses_nobody_and_wears_off(
    running: RunningFleet, auth: dict[str, str]
) -> None:
    door = auth["host"], int(auth["port"])
    flood: list[socket.socket] = []
    try:
        flood.extend(socket.create_connection(door, timeout=5) for _ in range(FLOOD))
        began = time.monotonic()
        for _ in range(3):
            with connect(auth, connect_timeout=5) as service:
                assert service.execute("SELECT 1").fetchone() == (1,)
        assert time.monotonic() - began < 3
        until(lambda: all(is_closed(client) for client in flood), 20)
    finally:
        for client in flood:
            client.close()


def is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(4096, socket.MSG_PEEK) is not None  # what is said is why it ends
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)
