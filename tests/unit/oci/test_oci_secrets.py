"""What lies in an environment's vault: as it is made, and as it is read again."""

import string
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from pgherd.engines.oci.clients import due
from pgherd.engines.oci.secrets import (
    POOLER_LIFETIME,
    PoolerSecret,
    fits,
    new_password,
    pooler_pair,
)
from pgherd.pki.authority import Authority
from pgherd.pki.certificate import KeyPair

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADDRESSES = (IPv4Address("10.0.16.2"), IPv4Address("10.0.16.3"))
ASCII = st.text(st.characters(codec="utf-8"), max_size=50).map(str.encode)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("pgherd production", NOW)


def test_a_password_has_all_that_oci_asks_for() -> None:
    for _ in range(50):
        password = new_password()
        assert 20 <= len(password) <= 32
        for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits, "_-"):
            assert set(password) & set(kind), password
        assert set(password) <= set(f"{string.ascii_letters}{string.digits}_-")


def test_no_two_passwords_are_the_same() -> None:
    assert len({new_password() for _ in range(50)}) == 50


@given(ASCII, ASCII, ASCII, st.text(max_size=50))
def test_what_poolers_need_reads_back(
    certificate: bytes, key: bytes, authority: bytes, seed: str
) -> None:
    secret = PoolerSecret(KeyPair(certificate, key), authority, seed)
    assert PoolerSecret.read(secret.text()) == secret


def test_the_poolers_certificate_is_good_at_all_their_addresses(authority: Authority) -> None:
    pair = pooler_pair(authority, ADDRESSES, NOW)
    found = x509.load_pem_x509_certificate(pair.certificate)
    assert found.subject.rfc4514_string() == "CN=pooler"
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == list(ADDRESSES)
    uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(uses) == {ExtendedKeyUsageOID.SERVER_AUTH}
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pair.certificate))


def test_the_poolers_certificate_ends_after_three_months(authority: Authority) -> None:
    pair = pooler_pair(authority, ADDRESSES, NOW)
    found = x509.load_pem_x509_certificate(pair.certificate)
    assert found.not_valid_after_utc == NOW + POOLER_LIFETIME == NOW + timedelta(days=90)


def test_the_poolers_certificate_fits_at_their_addresses_in_any_order(authority: Authority) -> None:
    pair = pooler_pair(authority, ADDRESSES, NOW)
    assert fits(pair, ADDRESSES, NOW)
    assert fits(pair, ADDRESSES[::-1], NOW)


@pytest.mark.parametrize(
    "addresses",
    [
        ADDRESSES[:1],
        (*ADDRESSES, IPv4Address("10.0.16.4")),
        (ADDRESSES[0], IPv4Address("10.0.16.4")),
        (),
    ],
)
def test_at_more_or_fewer_or_other_addresses_it_does_not_fit(
    authority: Authority, addresses: tuple[IPv4Address, ...]
) -> None:
    assert not fits(pooler_pair(authority, ADDRESSES, NOW), addresses, NOW)


def test_it_fits_until_it_is_due(authority: Authority) -> None:
    pair = pooler_pair(authority, ADDRESSES, NOW)
    at = due(pair.certificate)
    assert NOW < at < NOW + POOLER_LIFETIME
    assert fits(pair, ADDRESSES, at)
    assert not fits(pair, ADDRESSES, at + timedelta(seconds=1))
    assert not fits(pair, ADDRESSES, NOW + POOLER_LIFETIME)
