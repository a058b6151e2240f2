"""Who may speak to etcd and to Patroni: what their own authority signed, and nobody else.

Neither looks at a client's name, so the authority must be one that no service has to do with.
"""

from __future__ import annotations

import http.client
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from running_fleet import AUTH, RunningFleet

from pgherd.engines.local import identity
from pgherd.engines.local.manifest import read_environment
from pgherd.pki.authority import Authority
from pgherd.pki.certificate import Identity, Place

pytestmark = pytest.mark.integration


@pytest.fixture(params=["etcd", "patroni"])
def door(request: pytest.FixtureRequest, running: RunningFleet) -> tuple[str, int, str]:
    """Where it listens, and a path that answers 200."""
    if request.param == "patroni":
        return running.leader(AUTH).address, running.manifest(AUTH).patroni_port, "/primary"
    environment = read_environment(running.layout, "production")
    assert environment
    return environment.etcd_address, environment.etcd_port, "/version"


def get(running: RunningFleet, door: tuple[str, int, str], certificate: Place | None) -> int:
    """The status of a request with this client certificate."""
    host, port, path = door
    authority = identity.authority_place(running.layout, "production", identity.CONTROL)
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if certificate:
        context.load_cert_chain(certificate.certificate, certificate.key)
    connection = http.client.HTTPSConnection(host, port, context=context, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def assert_refused(
    running: RunningFleet, door: tuple[str, int, str], certificate: Place | None
) -> None:
    """In the TLS handshake, or with the first byte after it."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get(running, door, certificate)


def test_the_operator_may(running: RunningFleet, door: tuple[str, int, str]) -> None:
    assert get(running, door, identity.operator_place(running.layout, "production")) == 200


def test_nobody_may_without_a_certificate(
    running: RunningFleet, door: tuple[str, int, str]
) -> None:
    assert_refused(running, door, None)


@pytest.mark.parametrize("name", ["auth", "auth_ro"])
def test_no_service_may(running: RunningFleet, door: tuple[str, int, str], name: str) -> None:
    assert_refused(running, door, Place(running.layout.clients(AUTH), name))


def test_no_pooler_may(running: RunningFleet, door: tuple[str, int, str]) -> None:
    assert_refused(running, door, Place(running.layout.pooler(AUTH) / "pki", "client"))


def test_another_environments_operator_may_not(
    running: RunningFleet, door: tuple[str, int, str]
) -> None:
    assert_refused(running, door, identity.operator_place(running.layout, "staging"))


def test_a_forged_operator_may_not(
    running: RunningFleet, door: tuple[str, int, str], tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    forged = Authority.create("pgherd production control", now)
    place = Place(tmp_path, "forged")
    pair = forged.issue(Identity("pgherd-operator", is_client=True), now, timedelta(days=1))
    place.write(pair, running.owner)
    assert_refused(running, door, place)


def test_nothing_answers_without_tls(running: RunningFleet, door: tuple[str, int, str]) -> None:
    host, port, path = door
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        assert connection.getresponse().status == 400
    except ConnectionError:
        pass
    except http.client.HTTPException:
        pass
    finally:
        connection.close()
