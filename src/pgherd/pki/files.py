"""Authorities and certificates on disk: made when missing or due, kept otherwise.

A certificate and its key are replaced one after the other, so a reader that comes between
may hold a pair that does not match: whoever serves them reads again after `ensure` returned.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pgherd.errors import InputError, NeedsHuman
from pgherd.files import Owner
from pgherd.pki.authority import Authority, purposes
from pgherd.pki.certificate import Identity, KeyPair, Place


def ensure_authority(
    place: Place, common_name: str, now: datetime, reader: Owner | None = None
) -> Authority:
    """The authority that lies at `place`, made where there is none.

    `reader` may read its certificate; nobody but who runs this its key.
    """
    try:
        pair = place.read()
    except PermissionError:
        raise InputError(
            f"{place.key} belongs to another user", "run pgherd as the user whose fleet it is"
        ) from None
    if pair is not None and _is_pair(place, pair):
        return Authority(pair)
    if pair is None and place.certificate.exists():
        raise NeedsHuman(
            f"authority {place.certificate} has lost its key",
            f"restore {place.key} from a backup: without it nothing can be renewed",
        )
    is_ours = place.key.exists() and place.key.stat().st_uid == os.geteuid()
    kept_key = place.key.read_bytes() if is_ours else None
    try:
        authority = Authority.create(common_name, now, kept_key)
    except ValueError:
        raise NeedsHuman(f"{place.key} is damaged", "restore it from a backup") from None
    place.write(authority.pair, reader, is_key_shared=False, durable=True)
    return authority


def _is_pair(place: Place, pair: KeyPair) -> bool:
    """Whether they belong together; an unreadable certificate is made again from its key."""
    try:
        key = serialization.load_pem_private_key(pair.key, password=None)
    except ValueError:
        raise NeedsHuman(f"{place.key} is damaged", "restore it from a backup") from None
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
    except ValueError:
        return False
    if certificate.public_key() != key.public_key():
        raise NeedsHuman(
            f"{place.key} is not the key of {place.certificate}", "restore both from one backup"
        )
    return True


def ensure_certificate(
    authority: Authority,
    place: Place,
    identity: Identity,
    now: datetime,
    lifetime: timedelta,
    reader: Owner | None = None,
    *,
    is_key_shared: bool = True,
    renew: bool = False,
    since: datetime | None = None,
) -> bool:
    """A valid certificate for `identity` lies at `place`; whether it was made now.

    It is made anew when missing, when it no longer fits (another issuer, name, address,
    purpose or key), when less than a third of its life is left, when it begins before `since`,
    or always with `renew`.
    """
    pair = place.read()
    if not renew and pair is not None and _fits(pair, authority, identity, now, since):
        return False
    pair = authority.issue(identity, now, lifetime)
    place.write(pair, reader, is_key_shared=is_key_shared)
    return True


def is_whole(pair: KeyPair | None) -> bool:
    """Whether a certificate and its key are there, can be read and belong together."""
    if pair is None:
        return False
    try:
        key = serialization.load_pem_private_key(pair.key, password=None)
        certificate = x509.load_pem_x509_certificate(pair.certificate)
    except ValueError:
        return False
    return certificate.public_key() == key.public_key()


def due_at(certificate: x509.Certificate) -> datetime:
    """From when on less than a third of its life is left."""
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - life / 3


def due(certificate: x509.Certificate, now: datetime) -> bool:
    """It is to be made anew."""
    return now > due_at(certificate)


def _fits(
    pair: KeyPair,
    authority: Authority,
    identity: Identity,
    now: datetime,
    since: datetime | None,
) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, password=None)
        certificate.verify_directly_issued_by(authority.certificate)
        allowed = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except Exception:  # whatever is wrong with it, it does not fit
        return False
    return (
        (since or certificate.not_valid_before_utc) <= certificate.not_valid_before_utc <= now
        and not due(certificate, now)
        and certificate.public_key() == key.public_key()
        and certificate.subject.rfc4514_string() == f"CN={identity.common_name}"
        and set(allowed) == set(purposes(identity))
        and _alternative_names(certificate) == {*identity.server_addresses, *identity.server_names}
    )


def _alternative_names(certificate: x509.Certificate) -> set[object]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {
        *names.value.get_values_for_type(x509.IPAddress),
        *names.value.get_values_for_type(x509.DNSName),
    }
