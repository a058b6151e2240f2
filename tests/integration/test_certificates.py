"""Certificates and authorities made anew under load: served at once, and nobody notices."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from psycopg.conninfo import make_conninfo
from running_fleet import AUTH, ORDER, STAGING_AUTH, RunningFleet, connect, eventually
from wire import certificate_of

from pgherd.contract.observed import DatabaseState, ObservedDatabase
from pgherd.control.up import converge
from pgherd.engines.local import certificates, door, identity, processes, programs
from pgherd.engines.local.agent_client import AgentClient
from pgherd.engines.local.identity import CONTROL, DATA, Certificate
from pgherd.engines.local.manifest import EnvironmentManifest, read_databases, read_environment
from pgherd.files import write
from pgherd.fleet.desired import DatabaseId
from pgherd.pki.authority import AUTHORITY_LIFETIME, Authority
from pgherd.pki.certificate import Place
from pgherd.pki.succession import Line, former_file, next_place, read_line

pytestmark = pytest.mark.integration

LOOPS = 6


def served(running: RunningFleet, id: DatabaseId) -> dict[str, int]:
    """The serial number of each server's certificate, as a client gets it."""
    manifest = running.manifest(id)
    operator = identity.operator_place(running.layout, id.environment)
    environment = read_environment(running.layout, id.environment)
    assert environment
    control = {
        "sslcert": str(operator.certificate),
        "sslkey": str(operator.key),
        "sslrootcert": str(operator.folder / "control-authority.crt"),
    }
    etcd = control | {"host": environment.etcd_address, "port": str(environment.etcd_port)}
    found = {
        "pooler": certificate_of(running.through_pooler(id)).serial_number,
        "etcd": certificate_of(etcd, ask=False).serial_number,
    }
    for instance in manifest.instances:
        patroni = control | {"host": instance.address, "port": str(manifest.patroni_port)}
        postgresql = certificate_of(running.past_pooler(id, instance))
        found[f"postgresql {instance.number}"] = postgresql.serial_number
        found[f"patroni {instance.number}"] = certificate_of(patroni, ask=False).serial_number
    return found


def on_disk(running: RunningFleet, environment: str) -> dict[str, int]:
    """The serial number of each certificate in use."""
    infos = running.run(running.engine.certificates.in_use())
    return {
        str(info.path): x509.load_pem_x509_certificate(info.path.read_bytes()).serial_number
        for info in infos
        if info.environment == environment and not info.is_authority
    }


@contextmanager
def load(parameters: dict[str, str]) -> Iterator[list[int]]:
    """Clients that write and read on connections that they keep; how often each did.

    The first error of any is raised at the end: none of them ever connects again.
    """
    counts = [0] * LOOPS
    failures: list[Exception] = []
    stop = threading.Event()

    def client(number: int) -> None:
        try:
            with connect(parameters) as connection:
                while not stop.is_set():
                    connection.execute("INSERT INTO tick VALUES (%s)", (number,))
                    connection.execute("SELECT count(*) FROM tick WHERE n = %s", (number,))
                    counts[number] += 1
        except Exception as error:
            failures.append(error)

    with connect(parameters) as connection:
        connection.execute("CREATE TABLE tick (n int)")
    threads = [threading.Thread(target=client, args=(number,)) for number in range(LOOPS)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        with connect(parameters) as connection:
            connection.execute("DROP TABLE tick")
    if failures:
        raise failures[0]


def walsenders(running: RunningFleet, id: DatabaseId) -> list[tuple[int]]:
    with running.operator(id) as connection:
        return connection.execute("SELECT pid FROM pg_stat_replication ORDER BY 1").fetchall()


def test_renewal_under_load_is_served_and_nobody_notices(
    running: RunningFleet, auth: dict[str, str]
) -> None:
    before = {id: served(running, id) for id in (AUTH, ORDER)}
    files = on_disk(running, "production")
    others = on_disk(running, "staging")
    replicating = walsenders(running, AUTH)
    with psycopg.connect(make_conninfo("", **auth)) as open_transaction, load(auth) as counts:
        row = open_transaction.execute("SELECT pg_backend_pid(), now()").fetchone()
        time.sleep(0.3)
        made = running.run(running.engine.certificates.ensure_valid("production", renew=True))
        after = {id: served(running, id) for id in (AUTH, ORDER)}
        there = list(counts)
        time.sleep(0.5)
        # The transaction has kept its server all along.
        cursor = open_transaction.execute("SELECT pg_backend_pid(), now()")
        assert cursor.fetchone() == row
        open_transaction.commit()
        assert all(now > then for now, then in zip(counts, there, strict=True))
    new_files = on_disk(running, "production")
    assert made == len(files)
    assert new_files.keys() == files.keys()
    assert not set(new_files.values()) & set(files.values())
    assert on_disk(running, "staging") == others
    for id, serials in after.items():
        assert serials.keys() == before[id].keys()
        for server, serial in serials.items():
            assert serial != before[id][server], f"{id}: {server} serves the old certificate"
            assert serial in new_files.values(), f"{id}: {server}"
    assert walsenders(running, AUTH) == replicating


def test_new_connections_use_the_new_certificates(
    running: RunningFleet, auth: dict[str, str]
) -> None:
    running.run(running.engine.certificates.ensure_valid("production", renew=True))
    with connect(auth) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    # The agent asks the primary by its own certificates, too.
    seen = running.run(running.engine.observe()).databases[AUTH]
    assert isinstance(seen, ObservedDatabase)
    assert seen.state is DatabaseState.RUNNING


def test_nothing_is_due_right_after(running: RunningFleet) -> None:
    files = on_disk(running, "production")
    assert running.run(running.engine.certificates.ensure_valid("production")) == 0
    assert on_disk(running, "production") == files


def test_only_what_is_due_is_renewed_and_then_served(running: RunningFleet) -> None:
    """One server's certificate has less than a third of its life left."""
    instance = running.replicas(AUTH)[0]
    wanted = identity.of_database(running.layout, running.manifest(AUTH))
    folder = running.layout.instance(AUTH, instance.number) / "pki"
    server = next(c for c in wanted if c.place.folder == folder and c.place.name == "server")
    authority = identity.authority_place(running.layout, "production", identity.DATA).read()
    assert authority
    then = datetime.now(UTC) - timedelta(days=21)
    server.place.write(
        Authority(authority).issue(server.identity, then, timedelta(days=30)), running.owner
    )
    assert running.run(running.engine.certificates.ensure_valid("production")) == 1
    found = x509.load_pem_x509_certificate(server.place.certificate.read_bytes())
    assert certificate_of(running.past_pooler(AUTH, instance)).serial_number == found.serial_number
    assert found.not_valid_after_utc > datetime.now(UTC) + timedelta(days=29)


def test_a_certificate_that_was_damaged_is_made_anew(running: RunningFleet) -> None:
    wanted = identity.of_database(running.layout, running.manifest(ORDER))
    client = next(c for c in wanted if c.purpose == "client order")
    client.place.certificate.write_bytes(b"not a certificate")
    assert running.run(running.engine.certificates.ensure_valid("production")) == 1
    with connect(running.through_pooler(ORDER)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_what_a_killed_command_wrote_is_served_within_a_minute(running: RunningFleet) -> None:
    """Nobody told the pooler; what lies there was written a while ago."""
    wanted = identity.of_database(running.layout, running.manifest(ORDER))
    server = next(c for c in wanted if c.purpose == "pooler, towards clients")
    authority = identity.authority_place(running.layout, "production", identity.DATA).read()
    assert authority
    pair = Authority(authority).issue(server.identity, datetime.now(UTC), timedelta(days=30))
    server.place.write(pair, running.owner)
    written = time.time() - 60
    os.utime(server.place.certificate, (written, written))
    serial = x509.load_pem_x509_certificate(pair.certificate).serial_number
    parameters = running.through_pooler(ORDER)
    eventually(lambda: certificate_of(parameters).serial_number == serial, 90, pause=1)


# Authorities

DAY = timedelta(days=1)
SERVED_SECONDS = 30.0


def manifest_of(running: RunningFleet, environment: str) -> EnvironmentManifest:
    manifest = read_environment(running.layout, environment)
    assert manifest
    return manifest


def wanted_in(running: RunningFleet, environment: str) -> list[Certificate]:
    found = list(identity.of_environment(running.layout, manifest_of(running, environment)))
    for database in read_databases(running.layout):
        if database.environment == environment:
            found += identity.of_database(running.layout, database)
    return found


def place_of(running: RunningFleet, environment: str, kind: str) -> Place:
    return identity.authority_place(running.layout, environment, kind)


def line(running: RunningFleet, environment: str, kind: str = DATA) -> Line:
    found = read_line(place_of(running, environment, kind))
    assert found
    return found


def age(running: RunningFleet, place: Place, begun: datetime) -> Authority:
    """Let an authority have begun, and so end, at another time; its key is the same."""
    pair = place.read()
    assert pair
    name = x509.load_pem_x509_certificate(pair.certificate).subject.rfc4514_string()
    aged = Authority.create(name.removeprefix("CN="), begun, pair.key)
    write(place.certificate, aged.pair.certificate, running.owner)
    return aged


def copied(parameters: dict[str, str], folder: Path) -> dict[str, str]:
    """A client's files as an application has them that connects from elsewhere."""
    folder.mkdir()
    names = ("sslcert", "sslkey", "sslrootcert")
    return parameters | {name: shutil.copy(parameters[name], folder) for name in names}


@contextmanager
def newcomers(*parameters: dict[str, str]) -> Iterator[list[int]]:
    """Clients that connect again and again; how often each got in. Nobody may be refused."""
    counts = [0] * len(parameters)
    failures: list[Exception] = []
    stop = threading.Event()

    def client(number: int) -> None:
        try:
            while not stop.is_set():
                with connect(parameters[number], connect_timeout=10) as connection:
                    connection.execute("SELECT 1")
                    counts[number] += 1
                time.sleep(0.02)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(len(parameters))]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    assert all(counts)


def renewed(running: RunningFleet, environment: str, **how: bool) -> int:
    return running.run(running.engine.certificates.ensure_valid(environment, **how))


def test_authorities_follow_one_another_under_load(
    running: RunningFleet, auth: dict[str, str], tmp_path: Path
) -> None:
    """Due, announced, signing, and the former one gone: by the files alone, at made-up times."""
    kinds, now = (CONTROL, DATA), datetime.now(UTC)
    replicating, leader = walsenders(running, AUTH), running.leader(AUTH)
    for kind in kinds:
        age(running, place_of(running, "production", kind), now + 80 * DAY - AUTHORITY_LIFETIME)
    old = line(running, "production").signer
    before = copied(auth, tmp_path / "before")
    with load(auth), psycopg.connect(make_conninfo("", **auth)) as open_transaction:
        row = open_transaction.execute("SELECT pg_backend_pid(), now()").fetchone()
        with newcomers(before):
            assert renewed(running, "production") > 0
            announced = line(running, "production").next
            assert announced
            time.sleep(1)
        # Two authorities in every file, and all read them: copies made from here on know both.
        later = copied(running.through_pooler(AUTH), tmp_path / "later")
        for kind in kinds:
            age(running, next_place(place_of(running, "production", kind)), now - 31 * DAY)
        with newcomers(before, later):
            time.sleep(0.5)
        with newcomers(later):
            assert renewed(running, "production") > 0
            time.sleep(1)
        found = line(running, "production")
        assert found.signer.public_key() == announced.public_key()
        assert [c.public_key() for c in found.former] == [old.public_key()]
        # Former ones end; that programs are told of it, nobody notices either.
        let_former_end(running)
        with newcomers(copied(running.through_pooler(AUTH), tmp_path / "last")):
            assert renewed(running, "production") > 0
        cursor = open_transaction.execute("SELECT pg_backend_pid(), now()")
        assert cursor.fetchone() == row
    for kind in kinds:
        found = line(running, "production", kind)
        assert (found.next, found.former) == (None, ())
        trusted = x509.load_pem_x509_certificate(certificate_file(running, kind).read_bytes())
        assert trusted == found.signer
    with pytest.raises(psycopg.OperationalError, match="verify failed"):
        connect(before, connect_timeout=5)
    assert running.leader(AUTH) == leader
    assert walsenders(running, AUTH) == replicating
    serials = set(on_disk(running, "production").values())
    assert all(set(served(running, id).values()) <= serials for id in (AUTH, ORDER))
    assert renewed(running, "production") == 0


def let_former_end(running: RunningFleet) -> None:
    long_ago = Authority.create("any", datetime.now(UTC) - AUTHORITY_LIFETIME - DAY)
    for kind in (CONTROL, DATA):
        place = place_of(running, "production", kind)
        write(former_file(place), long_ago.pair.certificate, running.owner)


def certificate_file(running: RunningFleet, kind: str) -> Path:
    """What is trusted where one instance of auth works."""
    folder = running.layout.instance(AUTH, running.leader(AUTH).number) / "pki"
    return folder / f"{kind}-authority.crt"


def test_new_authorities_on_request_refuse_who_holds_an_old_copy(
    running: RunningFleet, auth: dict[str, str], tmp_path: Path
) -> None:
    before = copied(auth, tmp_path / "before")
    leaked = line(running, "production").signer
    with load(auth):
        assert renewed(running, "production", renew=True, authorities=True) > 0
    found = line(running, "production")
    assert found.signer.public_key() != leaked.public_key()
    assert found.former[0].not_valid_after_utc < datetime.now(UTC) + timedelta(hours=1)
    with connect(auth) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="verify failed"):
        connect(before, connect_timeout=5)
    let_former_end(running)
    renewed(running, "production")


def test_an_environment_whose_authorities_have_ended_comes_back_by_itself(
    running: RunningFleet,
) -> None:
    """All of it trusts, and was signed by, authorities that ended an hour ago."""
    let_end(running)
    service = running.through_pooler(STAGING_AUTH)
    with pytest.raises(psycopg.OperationalError, match="verify failed"):
        connect(service, connect_timeout=5)
    why = "certificate authority of staging has ended"
    eventually(lambda: why in running.run(running.engine.observe()).impaired["staging"], 90)
    outcome = running.run(converge(running.fleet, {"local": running.engine}))
    assert not outcome.troubles
    with connect(running.through_pooler(STAGING_AUTH)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not running.run(running.engine.observe()).impaired
    seen = running.run(running.engine.observe()).databases[STAGING_AUTH]
    assert isinstance(seen, ObservedDatabase)
    assert seen.state is DatabaseState.RUNNING


def let_end(running: RunningFleet) -> None:
    """Put ended authorities in the place of staging's, and have every program read them."""
    signers, environment = {}, manifest_of(running, "staging")
    begun = datetime.now(UTC) - timedelta(hours=1) - AUTHORITY_LIFETIME
    for kind in (CONTROL, DATA):
        place = place_of(running, "staging", kind)
        pair = place.read()
        assert pair
        signers[kind] = Authority(pair)
        ended = age(running, place, begun).pair.certificate
        let_trust(running, environment, kind, ended)
    for certificate in wanted_in(running, "staging"):
        pair = signers[certificate.authority].issue(certificate.identity, datetime.now(UTC), DAY)
        shared = not certificate.is_clients
        certificate.place.write(pair, running.owner, is_key_shared=shared)
    # Served is what they read together with what they trust.
    ask = AgentClient(running.layout, running.owner).ask
    running.run(ask(door.ServeCertificates(str(STAGING_AUTH), SERVED_SECONDS)))
    running.run(ask(door.ConvergeEnvironment("staging")))
    etcd = programs.of_environment(running.layout, environment)
    for pid in processes.by_folder(running.owner.uid)[etcd.start.folder]:
        os.kill(pid, signal.SIGKILL)


def let_trust(
    running: RunningFleet, environment: EnvironmentManifest, kind: str, ended: bytes
) -> None:
    for certificate in wanted_in(running, "staging"):
        if certificate.authority == kind:
            write(certificates.trust_file(certificate), ended, running.owner)
    if kind == CONTROL:
        folder = identity.etcd_place(running.layout, "staging").folder
        write(folder / environment.etcd_trust, ended, running.owner)
