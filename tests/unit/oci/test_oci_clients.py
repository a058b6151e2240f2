"""Certificates of an environment's clients: made, renewed, listed, dropped."""

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509

from pgherd.engines.oci.clients import LIFETIME, Clients, due
from pgherd.engines.oci.routes import digest
from pgherd.engines.oci.secrets import POOLER_LIFETIME, pooler_pair
from pgherd.fleet.desired import DatabaseId
from pgherd.fleet.names import read_only_role
from pgherd.pki.authority import Authority

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
REGION, AWAY = "us-ashburn-1", "us-phoenix-1"
ADDRESSES = (IPv4Address("10.0.16.2"),)


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
    assert not clients.has("auth", NOW)
    assert not clients.folder.exists()


def test_a_certificate_is_made(clients: Clients, authority: Authority) -> None:
    assert clients.ensure(authority, "auth", NOW)
    assert clients.has("auth", NOW)
    assert not clients.has("auth_ro", NOW)
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
    clients.note_pooler(REGION, pooler_pair(authority, ADDRESSES, NOW))
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
    pair = pooler_pair(authority, ADDRESSES, NOW)
    clients.note_pooler(REGION, pair)
    assert clients.users() == ()
    (info,) = clients.infos()
    assert info.path.read_bytes() == pair.certificate
    assert [p for p in clients.folder.iterdir() if pair.key in p.read_bytes()] == []


def test_an_authority_is_told_by_its_digest(clients: Clients, authority: Authority) -> None:
    assert clients.authority_digest() == ""
    clients.ensure(authority, "auth", NOW)
    assert clients.authority_digest() == digest(authority.pair.certificate.decode())
    clients.ensure(Authority.create("pgherd production", NOW), "auth", NOW)
    assert clients.authority_digest() != digest(authority.pair.certificate.decode())


def test_each_regions_poolers_have_their_own(clients: Clients, authority: Authority) -> None:
    pairs = [pooler_pair(authority, ADDRESSES, NOW + number * DAY) for number in range(3)]
    clients.note_pooler(REGION, pairs[0])
    clients.note_pooler(AWAY, pairs[1])
    ends = [NOW + POOLER_LIFETIME, NOW + DAY + POOLER_LIFETIME]
    assert [i.not_after for i in clients.infos()] == ends
    clients.note_pooler(REGION, pairs[2])
    assert {i.path.read_bytes() for i in clients.infos()} == {p.certificate for p in pairs[1:]}


def test_a_service_that_is_called_as_poolers_are_is_listed_as_a_service(
    clients: Clients, authority: Authority
) -> None:
    clients.ensure(authority, "pooler-shop", NOW)
    (info,) = clients.infos()
    assert info.database == DatabaseId("production", "pooler-shop")


def test_a_dropped_certificate_is_gone(clients: Clients, authority: Authority) -> None:
    for user in ("auth", "cart"):
        clients.ensure(authority, user, NOW)
    clients.drop("auth")
    assert clients.users() == ("cart",)
    assert not clients.place("auth").certificate.exists()
    assert clients.has("cart", NOW)
    assert not clients.has("auth", NOW)
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
    assert not clients.has("auth", NOW)


def test_a_certificate_that_has_ended_is_of_no_use(clients: Clients, authority: Authority) -> None:
    clients.ensure(authority, "auth", NOW)
    end = NOW + LIFETIME
    assert clients.has("auth", end - timedelta(seconds=1))
    assert not clients.has("auth", end)
    assert not clients.has("auth", end + DAY)


def test_a_certificate_of_another_authority_is_of_no_use(
    clients: Clients, authority: Authority
) -> None:
    clients.ensure(authority, "auth", NOW)
    # As after the environment was destroyed and made again: same name, another key.
    other = Authority.create("pgherd production", NOW)
    clients.ensure(other, "cart", NOW)
    assert not clients.has("auth", NOW)
    assert clients.has("cart", NOW)
    assert clients.ensure(other, "auth", NOW)
    assert clients.has("auth", NOW)


@pytest.mark.parametrize("text", [b"", b"no certificate", b"\xff\x00"])
@pytest.mark.parametrize("which", ["certificate", "authority"])
def test_a_damaged_certificate_is_of_no_use(
    clients: Clients, authority: Authority, which: str, text: bytes
) -> None:
    clients.ensure(authority, "auth", NOW)
    path = clients.authority if which == "authority" else clients.place("auth").certificate
    path.write_bytes(text)
    assert not clients.has("auth", NOW)
