"""What an authority signs, who it is for, and when it is made anew."""

import os
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pgherd.errors import NeedsHuman
from pgherd.files import Owner
from pgherd.pki.authority import BACKDATE, Authority
from pgherd.pki.certificate import Identity, Place
from pgherd.pki.files import due, due_at, ensure_authority, ensure_certificate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
OWNER = Owner(0, 0, "root")
CLIENT = Identity("auth", is_client=True)
SERVER = Identity("auth-1", server_addresses=(IPv4Address("127.7.0.3"),), server_names=("a,b",))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("pgherd production data", NOW)


def load(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def purposes(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_an_authority_signs_leaves_only(authority: Authority) -> None:
    certificate = load(authority.pair.certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.digital_signature
    assert certificate.not_valid_after_utc > NOW + timedelta(days=3000)


def test_a_client_is_no_server_and_no_authority(authority: Authority) -> None:
    certificate = load(authority.issue(CLIENT, NOW, MONTH).certificate)
    assert purposes(certificate) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.subject.rfc4514_string() == "CN=auth"
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_server_is_no_client_and_has_its_names(authority: Authority) -> None:
    certificate = load(authority.issue(SERVER, NOW, MONTH).certificate)
    assert purposes(certificate) == {ExtendedKeyUsageOID.SERVER_AUTH}
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [IPv4Address("127.7.0.3")]
    assert names.get_values_for_type(x509.DNSName) == ["a,b"]


def test_one_that_is_both(authority: Authority) -> None:
    both = Identity("etcd", is_client=True, server_addresses=(IPv4Address("127.7.0.1"),))
    certificate = load(authority.issue(both, NOW, MONTH).certificate)
    assert purposes(certificate) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }


def test_only_the_authority_itself_has_signed(authority: Authority) -> None:
    certificate = load(authority.issue(CLIENT, NOW, MONTH).certificate)
    certificate.verify_directly_issued_by(load(authority.pair.certificate))
    forged = Authority.create("pgherd production data", NOW)
    with pytest.raises(InvalidSignature):
        certificate.verify_directly_issued_by(load(forged.pair.certificate))


def test_key_and_certificate_belong_together_and_are_never_used_again(
    authority: Authority,
) -> None:
    pairs = [authority.issue(CLIENT, NOW, MONTH) for _ in range(3)]
    for pair in pairs:
        key = serialization.load_pem_private_key(pair.key, password=None)
        assert load(pair.certificate).public_key() == key.public_key()
    assert len({pair.key for pair in pairs}) == 3
    assert len({load(pair.certificate).serial_number for pair in pairs}) == 3


def test_it_is_valid_a_little_earlier_for_slow_clocks(authority: Authority) -> None:
    certificate = load(authority.issue(CLIENT, NOW, MONTH).certificate)
    assert certificate.not_valid_before_utc == NOW - BACKDATE
    assert certificate.not_valid_after_utc == NOW + MONTH


def test_no_certificate_outlives_its_authority(authority: Authority) -> None:
    end = authority.certificate.not_valid_after_utc
    late = load(authority.issue(CLIENT, end - timedelta(days=3), MONTH).certificate)
    assert late.not_valid_after_utc == end
    for now in (end, end + timedelta(days=1)):
        with pytest.raises(NeedsHuman, match="authority pgherd production data has ended"):
            authority.issue(CLIENT, now, MONTH)


def test_an_authority_that_ends_earlier_accepts_what_it_has_signed(authority: Authority) -> None:
    leaf = load(authority.issue(CLIENT, NOW, MONTH).certificate)
    ending = load(authority.ending(NOW + MONTH))
    leaf.verify_directly_issued_by(ending)
    ending.verify_directly_issued_by(ending)
    assert ending.not_valid_after_utc == NOW + MONTH
    own = authority.certificate
    assert load(authority.ending(NOW + 500 * MONTH)).not_valid_after_utc == own.not_valid_after_utc
    names = [x509.SubjectKeyIdentifier, x509.BasicConstraints, x509.KeyUsage]
    for name in names:
        assert ending.extensions.get_extension_for_class(
            name
        ) == own.extensions.get_extension_for_class(name)


# On disk


@given(st.integers(min_value=1, max_value=10**7))
@settings(max_examples=25)
def test_it_is_due_when_a_third_of_its_life_is_left(seconds: int) -> None:
    life = timedelta(seconds=seconds)
    certificate = load(Authority.create("any", NOW).issue(CLIENT, NOW, life).certificate)
    turn = due_at(certificate)
    left = certificate.not_valid_after_utc - turn
    assert abs(left * 3 - (life + BACKDATE)) <= timedelta(milliseconds=1)
    assert not due(certificate, turn)
    assert due(certificate, turn + timedelta(microseconds=1))
    assert not due(certificate, turn - timedelta(microseconds=1))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "pki", "auth")


def ensure(
    place: Place,
    authority: Authority,
    identity: Identity = CLIENT,
    now: datetime = NOW,
    renew: bool = False,
) -> bool:
    return ensure_certificate(authority, place, identity, now, MONTH, OWNER, renew=renew)


def test_it_is_made_once_and_then_kept(place: Place, authority: Authority) -> None:
    assert ensure(place, authority)
    first = place.read()
    assert not ensure(place, authority)
    assert not ensure(place, authority, now=NOW + timedelta(days=19))
    assert place.read() == first


def test_modes(place: Place, authority: Authority) -> None:
    ensure(place, authority)
    assert place.key.stat().st_mode & 0o777 == 0o600
    assert place.certificate.stat().st_mode & 0o777 == 0o600
    assert place.folder.stat().st_mode & 0o777 == 0o700


def test_it_is_made_anew_when_due_or_expired(place: Place, authority: Authority) -> None:
    ensure(place, authority)
    assert ensure(place, authority, now=NOW + timedelta(days=21))
    assert ensure(place, authority, now=NOW + timedelta(days=100))
    assert not ensure(place, authority, now=NOW + timedelta(days=100))


def test_it_is_made_anew_on_request(place: Place, authority: Authority) -> None:
    ensure(place, authority)
    first = place.read()
    assert ensure(place, authority, renew=True)
    second = place.read()
    assert first
    assert second
    assert first.key != second.key


def test_it_is_made_anew_where_it_begins_too_early(place: Place, authority: Authority) -> None:
    def ensure_since(since: datetime) -> bool:
        return ensure_certificate(authority, place, CLIENT, NOW, MONTH, OWNER, since=since)

    ensure(place, authority)
    assert not ensure_since(NOW - BACKDATE)
    assert ensure_since(NOW - BACKDATE + timedelta(seconds=1))


@pytest.mark.parametrize(
    "other",
    [
        Identity("order", is_client=True),
        Identity("auth", is_client=True, server_addresses=(IPv4Address("127.7.0.9"),)),
        Identity("auth", is_client=True, server_names=("a",)),
    ],
)
def test_it_is_made_anew_for_another_identity(
    place: Place, authority: Authority, other: Identity
) -> None:
    ensure(place, authority)
    assert ensure(place, authority, other)
    assert not ensure(place, authority, other)


def test_it_is_made_anew_for_another_purpose(place: Place, authority: Authority) -> None:
    server = Identity("auth", server_addresses=(IPv4Address("127.7.0.9"),))
    ensure(place, authority, server)
    both = Identity("auth", is_client=True, server_addresses=server.server_addresses)
    assert ensure(place, authority, both)


def test_it_is_made_anew_by_another_authority_of_the_same_name(
    place: Place, authority: Authority
) -> None:
    ensure(place, authority)
    other = Authority.create("pgherd production data", NOW)
    assert ensure(place, other)
    assert not ensure(place, other)


def test_it_is_made_anew_when_half_of_it_is_missing_or_wrong(
    place: Place, authority: Authority
) -> None:
    ensure(place, authority)
    place.key.unlink()
    assert ensure(place, authority)
    place.certificate.unlink()
    assert ensure(place, authority)
    place.certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\nbroken")
    assert ensure(place, authority)
    place.key.write_bytes(authority.issue(CLIENT, NOW, MONTH).key)
    assert ensure(place, authority)
    assert not ensure(place, authority)


def test_an_authority_is_made_once(tmp_path: Path) -> None:
    place = Place(tmp_path, "data-authority")
    first = ensure_authority(place, "pgherd production data", NOW, OWNER)
    again = ensure_authority(place, "pgherd production data", NOW + MONTH, OWNER)
    assert again == first
    assert place.key.stat().st_mode & 0o777 == 0o600


def test_an_authority_that_lost_its_key_is_not_replaced(tmp_path: Path) -> None:
    place = Place(tmp_path, "data-authority")
    ensure_authority(place, "pgherd production data", NOW, OWNER)
    before = place.certificate.read_bytes()
    place.key.unlink()
    with pytest.raises(NeedsHuman, match="has lost its key"):
        ensure_authority(place, "pgherd production data", NOW, OWNER)
    assert place.certificate.read_bytes() == before


def test_an_authority_that_lost_its_certificate_goes_on_with_its_key(tmp_path: Path) -> None:
    """The key is written first: its making may have been cut off, or the certificate deleted."""
    place = Place(tmp_path, "data-authority")
    signed = ensure_authority(place, "pgherd production data", NOW, OWNER).issue(CLIENT, NOW, MONTH)
    place.certificate.unlink()
    authority = ensure_authority(place, "pgherd production data", NOW, OWNER)
    assert place.read() == authority.pair
    for pair in (signed, authority.issue(CLIENT, NOW, MONTH)):
        load(pair.certificate).verify_directly_issued_by(load(authority.pair.certificate))


def test_an_authority_whose_key_is_damaged_is_not_replaced(tmp_path: Path) -> None:
    place = Place(tmp_path, "data-authority")
    place.key.write_text("-----BEGIN PRIVATE KEY-----")
    with pytest.raises(NeedsHuman, match="is damaged"):
        ensure_authority(place, "pgherd production data", NOW, OWNER)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can let others read")
def test_a_reader_reads_an_authoritys_certificate_and_nothing_else(tmp_path: Path) -> None:
    place = Place(tmp_path / "pki", "data-authority")
    ensure_authority(place, "pgherd production data", NOW, Owner(12345, 12345, "database"))
    assert access(place.key) == (0, 0o600)
    assert access(place.certificate) == (0, 0o640)
    assert access(place.folder) == (0, 0o750)


def access(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, stat.S_IMODE(found.st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand files over")
def test_only_a_key_of_ones_own_is_kept(tmp_path: Path) -> None:
    place = Place(tmp_path, "data-authority")
    first = ensure_authority(place, "pgherd production data", NOW, OWNER)
    os.chown(place.key, 12345, 12345)
    place.certificate.unlink()
    second = ensure_authority(place, "pgherd production data", NOW, OWNER)
    assert second.pair.key != first.pair.key
