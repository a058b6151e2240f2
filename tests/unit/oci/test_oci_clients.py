"""Certificates of an environment's clients: made, renewed, listed, dropped."""

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509

from pgherd.engines.oci.clients import LIFETIME, Clients, due, read_only_role
from pgherd.engines.oci.secrets import POOLER_LIFETIME, pooler_pair
from pgherd.fleet.desired import DatabaseId
from pgherd.pki.authority import Authority

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("pgherd production", NOW)


@pytest.fixture
def clients(tmp_path: Path) -> Clients:
    return Clients("production", tmp_path / "certificates")


def certificate(clients: Clients, user: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(clients.place(user).certificate.read_bytes())


def test_nothing_is_there_at_first(clients: Clients) -> None:
    assert clients.users() == ()
    assert list(clients.infos()) == []
    assert not clients.has("auth")
    assert not clients.folder.exists()


def test_a_certificate_is_made(clients: Clients, authority: Authority) -> None:
    assert clients.ensure(authority, "auth", NOW)
    assert clients.has("auth")
    assert not clients.has("auth_ro")
    assert clients.users() == ("auth",)
    assert clients.authority.read_bytes() == authority.pair.certificate
    found = certificate(clients, "auth")
    assert found.subject.rfc4514_string() == "CN=auth"
    assert found.not_valid_after_utc == NOW + LIFETIME


def test_the_key_is_its_owners_alone(clients: Clients, authority: Authority) -> None:
    clients.ensure(authority, "auth", NOW)
    assert stat.S_IMODE(clients.place("auth").key.stat().st_mode) == 0o600


def test_the_authoritys_key_stays_in_the_vault(clients: Clients, authority: Authority) -> None:
    clients.ensure(authority, "auth", NOW)
    for path in clients.folder.iterdir():
        assert authority.pair.key not in path.read_bytes()


def test_a_valid_certificate_is_kept(clients: Clients, authority: Authority) -> None:
    clients.ensure(authority, "auth", NOW)
    before = certificate(clients, "auth")
    assert not clients.ensure(authority, "auth", NOW + 5 * DAY)
    assert certificate(clients, "auth") == before


def test_a_certificate_is_renewed_when_it_is_due(clients: Clients, authority: Authority) -> None:
    clients.ensure(authority, "auth", NOW)
    at = due(clients.place("auth").certificate.read_bytes())
    assert NOW < at < NOW + LIFETIME
    assert not clients.ensure(authority, "auth", at)
    assert clients.ensure(authority, "auth", at + timedelta(seconds=1))
    assert certificate(clients, "auth").not_valid_after_utc > NOW + LIFETIME


def test_a_certificate_is_renewed_on_request(clients: Clients, authority: Authority) -> None:
    clients.ensure(authority, "auth", NOW)
    before = certificate(clients, "auth")
    assert clients.ensure(authority, "auth", NOW, renew=True)
    assert certificate(clients, "auth").serial_number != before.serial_number


def test_another_authority_issues_all_anew(clients: Clients, authority: Authority) -> None:
    clients.ensure(authority, "auth", NOW)
    other = Authority.create("pgherd production", NOW)
    assert clients.ensure(other, "auth", NOW)
    assert clients.authority.read_bytes() == other.pair.certificate


def test_certificates_are_listed(clients: Clients, authority: Authority) -> None:
    for user in ("pgherd", "auth", read_only_role("auth")):
        clients.ensure(authority, user, NOW)
    clients.note_pooler(pooler_pair(authority, (IPv4Address("10.0.16.2"),), NOW))
    auth = DatabaseId("production", "auth")
    assert [(i.purpose, i.subject, i.database) for i in clients.infos()] == [
        ("pooler, towards clients", "pooler", None),
        ("client auth", "auth", auth),
        ("client auth_ro", "auth_ro", auth),
        ("client pgherd", "pgherd", None),
    ]
    for info in clients.infos():
        is_pooler = info.subject == "pooler"
        assert info.environment == "production"
        assert info.not_after == NOW + (POOLER_LIFETIME if is_pooler else LIFETIME)
        assert info.due_at is not None
        assert NOW < info.due_at < info.not_after
        assert info.path.exists()


def test_the_poolers_key_is_not_kept(clients: Clients, authority: Authority) -> None:
    pair = pooler_pair(authority, (IPv4Address("10.0.16.2"),), NOW)
    clients.note_pooler(pair)
    assert clients.users() == ()
    (info,) = clients.infos()
    assert info.path.read_bytes() == pair.certificate
    assert [p for p in clients.folder.iterdir() if pair.key in p.read_bytes()] == []


def test_a_dropped_certificate_is_gone(clients: Clients, authority: Authority) -> None:
    for user in ("auth", "cart"):
        clients.ensure(authority, user, NOW)
    clients.drop("auth")
    assert clients.users() == ("cart",)
    assert not clients.place("auth").certificate.exists()
    assert clients.has("cart")
    clients.drop("auth")


def test_what_is_forgotten_is_gone(clients: Clients, authority: Authority) -> None:
    clients.ensure(authority, "auth", NOW)
    clients.forget()
    assert not clients.folder.exists()
    clients.forget()
    assert clients.users() == ()


def test_without_its_authority_a_certificate_is_of_no_use(
    clients: Clients, authority: Authority
) -> None:
    clients.ensure(authority, "auth", NOW)
    clients.authority.unlink()
    assert not clients.has("auth")
