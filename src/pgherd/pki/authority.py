"""Certificate authorities and the certificates they sign.

Keys are ECDSA P-256, signatures SHA-256. An authority signs leaves only (path length 0).
Everything here is a value in memory; `pgherd.pki.files` keeps it on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pgherd.errors import NeedsHuman
from pgherd.pki.certificate import Identity, KeyPair

AUTHORITY_LIFETIME = timedelta(days=3650)
BACKDATE = timedelta(minutes=5)
"""Certificates are valid from a little earlier, so that a peer's slow clock accepts them."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: what it signs is trusted by everyone who holds its certificate."""

    pair: KeyPair

    @classmethod
    def create(cls, common_name: str, now: datetime, kept_key: bytes | None = None) -> Authority:
        """A self-signed authority, valid for ten years from `now` (aware).

        With the key (PEM) of an earlier one of that name it takes its place: what that one signed
        stays valid. ValueError where it is no such key.
        """
        key = _load_key(kept_key) if kept_key else ec.generate_private_key(ec.SECP256R1())
        begin, end = now - BACKDATE, now + AUTHORITY_LIFETIME
        return cls(KeyPair(_self_signed(_name(common_name), key, begin, end), _key_pem(key)))

    @property
    def certificate(self) -> x509.Certificate:
        """Its own, which says until when it may sign."""
        return x509.load_pem_x509_certificate(self.pair.certificate)

    def ending(self, at: datetime) -> bytes:
        """The certificate (PEM) of this authority, but ending at `at` where it ends later.

        Who trusts this one instead accepts what it has signed, until then.
        """
        own, key = self.certificate, _load_key(self.pair.key)
        end = min(own.not_valid_after_utc, at)
        return _self_signed(own.subject, key, own.not_valid_before_utc, end)

    def issue(self, identity: Identity, now: datetime, lifetime: timedelta) -> KeyPair:
        """A new key and a certificate for `identity`, valid from `now` (aware) for `lifetime`.

        It does not outlive the authority; NeedsHuman where that has ended.
        """
        issuer, issuer_key = self.certificate, _load_key(self.pair.key)
        end = min(now + lifetime, issuer.not_valid_after_utc)
        if end <= now:
            name = issuer.subject.rfc4514_string().removeprefix("CN=")
            raise NeedsHuman(f"certificate authority {name} has ended", "a new one has to be made")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(identity.common_name)
        builder = (
            _builder(subject, issuer.subject, key.public_key(), now - BACKDATE, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes(identity)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
                critical=False,
            )
        )
        if names := _alternative_names(identity):
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return KeyPair(_pem(builder.sign(issuer_key, hashes.SHA256())), _key_pem(key))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _self_signed(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, begin: datetime, end: datetime
) -> bytes:
    public = key.public_key()
    certificate = (
        _builder(name, name, public, begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def purposes(identity: Identity) -> Sequence[x509.ObjectIdentifier]:
    """What a certificate of this identity may be used for."""
    found = []
    if identity.is_client:
        found.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    if _alternative_names(identity):
        found.append(ExtendedKeyUsageOID.SERVER_AUTH)
    return found


def _alternative_names(identity: Identity) -> list[x509.GeneralName]:
    addresses = [x509.IPAddress(address) for address in identity.server_addresses]
    return [*addresses, *(x509.DNSName(name) for name in identity.server_names)]


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic curve key")
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
