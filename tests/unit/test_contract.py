"""The contract's own values."""

from pathlib import Path

import pytest

from pgherd.contract.access import Access
from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    ObservedDatabase,
    ObservedInstance,
    Role,
)
from pgherd.fleet.desired import DatabaseId

AUTH = DatabaseId("production", "auth")


@pytest.mark.parametrize(
    ("state", "serves"),
    [(s, s in (InstanceState.RUNNING, InstanceState.STREAMING)) for s in InstanceState],
)
def test_only_running_and_streaming_instances_serve(state: InstanceState, serves: bool) -> None:
    assert ObservedInstance("auth-1", Role.REPLICA, state).serves is serves


def test_the_primary_is_the_one_that_takes_writes() -> None:
    fallen = ObservedInstance("auth-1", Role.PRIMARY, InstanceState.FAILED)
    replica = ObservedInstance("auth-2", Role.REPLICA, InstanceState.STREAMING)
    primary = ObservedInstance("auth-3", Role.PRIMARY, InstanceState.RUNNING)
    state = DatabaseState.RUNNING
    assert ObservedDatabase(AUTH, state, (fallen, replica, primary)).primary is primary
    assert ObservedDatabase(AUTH, state, (fallen, replica)).primary is None


def test_access_without_certificates_says_nothing_of_tls() -> None:
    access = Access("/run/pgherd", 6432, "auth", "auth")
    assert access.uri() == "postgresql://auth@%2Frun%2Fpgherd:6432/auth"
    assert access.parameters() == {
        "host": "/run/pgherd",
        "port": "6432",
        "dbname": "auth",
        "user": "auth",
    }


def test_access_with_certificates_verifies_both_ways() -> None:
    files = Path("/etc/a b/tls.crt"), Path("/etc/tls.key"), Path("/etc/ca.crt")
    access = Access("127.0.0.1", 6432, "auth", "auth service", *files)
    assert access.uri() == (
        "postgresql://auth%20service@127.0.0.1:6432/auth?sslmode=verify-full"
        "&sslcert=/etc/a%20b/tls.crt&sslkey=/etc/tls.key&sslrootcert=/etc/ca.crt"
    )
    assert access.variables() == {
        "PGHOST": "127.0.0.1",
        "PGPORT": "6432",
        "PGDATABASE": "auth",
        "PGUSER": "auth service",
        "PGSSLMODE": "verify-full",
        "PGSSLCERT": "/etc/a b/tls.crt",
        "PGSSLKEY": "/etc/tls.key",
        "PGSSLROOTCERT": "/etc/ca.crt",
    }
