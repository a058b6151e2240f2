"""Every certificate of an environment made anew under load: served at once, and nobody notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from cryptography import x509
from psycopg.conninfo import make_conninfo
from running_fleet import AUTH, ORDER, RunningFleet, connect
from wire import certificate_of

from pgherd.contract.observed import DatabaseState, ObservedDatabase
from pgherd.engines.local import identity
from pgherd.engines.local.manifest import read_environment
from pgherd.fleet.desired import DatabaseId
from pgherd.pki.authority import Authority

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
        if info.environment == environment
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
