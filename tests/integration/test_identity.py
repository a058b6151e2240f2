"""Who gets in and who does not, tried by real clients at every door of one fleet.

The doors are PgBouncer, where services come with their own certificates, and PostgreSQL itself,
where only the pooler does. What one must refuse the other must refuse too.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import psycopg
import pytest
from running_fleet import AUTH, ORDER, STAGING_AUTH, RunningFleet, connect

from pgherd.contract.access import AccessRole
from pgherd.engines.local import identity
from pgherd.fleet.desired import DatabaseId
from pgherd.pki.authority import Authority
from pgherd.pki.certificate import Identity, Place

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
DOORS = ("pooler", "postgresql")
NOT_TRUSTED = "unknown ca"
"""What TLS says of a certificate whose authority it does not know."""


@dataclass(frozen=True, slots=True)
class Door:
    """One way into a database, with what opens it: `name` is the certificate's."""

    running: RunningFleet
    kind: str
    id: DatabaseId
    folder: Path

    @property
    def parameters(self) -> dict[str, str]:
        is_pooler = self.kind == "pooler"
        return (self.running.through_pooler if is_pooler else self.running.past_pooler)(self.id)

    @property
    def name(self) -> str:
        return self.id.service if self.kind == "pooler" else f"{self.id.service}.pooler"

    def of(self, id: DatabaseId) -> Door:
        return replace(self, id=id)

    def with_certificate_of(self, other: Door) -> dict[str, str]:
        theirs = other.parameters
        return self.parameters | {k: theirs[k] for k in ("sslcert", "sslkey")}

    def with_made(
        self, authority: Authority, identity: Identity, now: datetime, lifetime: timedelta = DAY
    ) -> dict[str, str]:
        """The same, but for a certificate that is made here."""
        place = Place(self.folder, "made")
        place.write(authority.issue(identity, now, lifetime), self.running.owner)
        return self.parameters | {"sslcert": str(place.certificate), "sslkey": str(place.key)}

    def authority(self) -> Authority:
        """The one that signs this environment's data certificates."""
        place = identity.authority_place(self.running.layout, self.id.environment, identity.DATA)
        pair = place.read()
        assert pair
        return Authority(pair)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, running: RunningFleet, tmp_path: Path) -> Door:
    return Door(running, request.param, AUTH, tmp_path)


def psql(parameters: dict[str, str], query: str = "SELECT 1") -> subprocess.CompletedProcess[str]:
    conninfo = " ".join(f"{key}='{value}'" for key, value in parameters.items())
    return subprocess.run(
        ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", query, conninfo],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )


AS_THE_POOLER = "SET pgherd.pooling = session"
"""What PostgreSQL wants to hear first of whoever comes by TCP."""


def assert_refused(parameters: dict[str, str], *reasons: str) -> None:
    """By psycopg and by psql, each for one of these reasons."""
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(parameters, connect_timeout=5)
    ended = psql(parameters)
    assert ended.returncode == 2, ended
    for text in (str(caught.value), ended.stderr):
        assert any(reason in text for reason in reasons), text


# Clients of a database


def test_the_right_certificate_opens_its_database(door: Door) -> None:
    with connect(door.parameters) as connection:
        connection.execute(AS_THE_POOLER)
        row = connection.execute("SELECT current_user, current_database()").fetchone()
    assert row == ("auth", "auth")


def test_the_uri_opens_it_in_psql(running: RunningFleet) -> None:
    uri = running.run(running.engine.access(AUTH, AccessRole.SERVICE)).uri()
    ended = subprocess.run(
        ["psql", "--no-psqlrc", "-AtXc", "SELECT current_user", uri],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (ended.stdout, ended.stderr) == ("auth\n", "")


def test_no_certificate(door: Door) -> None:
    none = str(door.folder / "none")
    refused = "connection requires a valid client certificate", "certificate required"
    assert_refused(door.parameters | {"sslcert": none, "sslkey": none}, *refused)


def test_plaintext(door: Door) -> None:
    bare = {k: v for k, v in door.parameters.items() if not k.startswith("ssl")}
    assert_refused(bare | {"sslmode": "disable"}, "no encryption", "SSL required")


def test_another_environments_certificate(door: Door) -> None:
    theirs = door.of(STAGING_AUTH)
    assert theirs.name == door.name
    assert_refused(door.with_certificate_of(theirs), NOT_TRUSTED)


def test_a_forged_authority_with_the_same_name(door: Door) -> None:
    now = datetime.now(UTC)
    forged = Authority.create("pgherd production data", now)
    made = door.with_made(forged, Identity(door.name, is_client=True), now)
    # It bears the right name, so TLS finds the authority, and that the signature is not its own.
    assert_refused(made, NOT_TRUSTED, "decrypt error", "bad signature", "certificate unknown")


def test_an_expired_certificate(door: Door) -> None:
    then = datetime.now(UTC) - 2 * DAY
    made = door.with_made(door.authority(), Identity(door.name, is_client=True), then)
    assert_refused(made, "certificate expired")


def test_a_certificate_that_is_not_valid_yet(door: Door) -> None:
    then = datetime.now(UTC) + 2 * DAY
    made = door.with_made(door.authority(), Identity(door.name, is_client=True), then)
    assert_refused(made, "bad certificate")


def test_a_made_certificate_is_refused_for_its_fault_alone(door: Door) -> None:
    now = datetime.now(UTC)
    made = door.with_made(door.authority(), Identity(door.name, is_client=True), now)
    assert psql(made, f"{AS_THE_POOLER}; SELECT current_user").stdout.endswith("auth\n")


def test_a_servers_certificate(door: Door) -> None:
    server = Identity(door.name, server_addresses=(IPv4Address("127.0.0.1"),))
    made = door.with_made(door.authority(), server, datetime.now(UTC))
    assert_refused(made, "unsupported certificate")


def test_another_services_certificate(door: Door) -> None:
    parameters = door.with_certificate_of(door.of(ORDER))
    assert_refused(parameters, "certificate authentication failed")


def test_the_certificate_at_another_services_door(door: Door) -> None:
    others = door.of(ORDER)
    parameters = others.with_certificate_of(door)
    failed = "certificate authentication failed"
    assert_refused(parameters, failed)
    assert_refused(parameters | {"user": "auth"}, "pg_hba.conf rejects", "login rejected")


def test_another_database_behind_the_own_door(door: Door) -> None:
    for database in ("order", "postgres", "template1", "pgbouncer"):
        parameters = door.parameters | {"dbname": database}
        refused = "no such database", "pg_hba.conf rejects", "login rejected", "not allowed"
        assert_refused(parameters, *refused)


def test_the_superuser_and_roles_of_the_data_plane_are_nobodys_over_tcp(door: Door) -> None:
    for user in ("postgres", "rewind", "replicator", "order"):
        refused = "certificate authentication failed", "pg_hba.conf rejects", "login rejected"
        assert_refused(door.parameters | {"user": user}, *refused)


def test_the_poolers_certificate_opens_no_pooler(running: RunningFleet, tmp_path: Path) -> None:
    pooler = Door(running, "pooler", AUTH, tmp_path)
    theirs = pooler.with_certificate_of(Door(running, "postgresql", AUTH, tmp_path))
    assert_refused(theirs, "certificate authentication failed")


def test_a_service_does_not_get_past_its_pooler(running: RunningFleet, tmp_path: Path) -> None:
    postgresql = Door(running, "postgresql", AUTH, tmp_path)
    own = postgresql.with_certificate_of(Door(running, "pooler", AUTH, tmp_path))
    assert_refused(own, "certificate authentication failed")


# Servers, as clients see them


def test_a_server_under_another_name_is_not_trusted(door: Door) -> None:
    theirs = door.of(ORDER).parameters
    wrong = door.parameters | {"host": theirs["host"], "hostaddr": door.parameters["host"]}
    assert_refused(wrong, "does not match host name")


def test_a_server_of_another_environment_is_not_trusted(door: Door) -> None:
    theirs = door.of(STAGING_AUTH).parameters
    wrong = door.parameters | {"sslrootcert": theirs["sslrootcert"]}
    assert_refused(wrong, "certificate verify failed")


# The data plane's own roles


def replication(running: RunningFleet, role: str, whose: DatabaseId) -> dict[str, str]:
    """The primary of auth, with a certificate of an instance of `whose`."""
    instance = running.replicas(whose)[0]
    place = Place(running.layout.instance(whose, instance.number) / "pki", role)
    return running.past_pooler(AUTH) | {
        "user": role,
        "sslcert": str(place.certificate),
        "sslkey": str(place.key),
    }


def test_a_replicator_replicates_its_own_database_only(running: RunningFleet) -> None:
    own = replication(running, "replicator", AUTH) | {"replication": "true"}
    others = replication(running, "replicator", ORDER) | {"replication": "true"}
    assert psql(own, "IDENTIFY_SYSTEM").returncode == 0
    assert_refused(others, "certificate authentication failed")


def test_a_replicator_reads_no_tables(running: RunningFleet) -> None:
    for database in ("auth", "postgres"):
        parameters = replication(running, "replicator", AUTH) | {"dbname": database}
        assert_refused(parameters, "pg_hba.conf rejects")


def test_the_rewinder_reads_files_and_no_tables(running: RunningFleet) -> None:
    own = replication(running, "rewind", AUTH)
    with connect(own | {"dbname": "postgres"}) as connection:
        row = connection.execute("SELECT pg_read_binary_file('PG_VERSION') <> ''").fetchone()
        assert row == (True,)
    assert_refused(own, "pg_hba.conf rejects")
    others = replication(running, "rewind", ORDER) | {"dbname": "postgres"}
    assert_refused(others, "certificate authentication failed")
