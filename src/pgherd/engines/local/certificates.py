"""The certificates of `pgherd.engines.local.identity` on disk: made, renewed and read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from cryptography import x509

from pgherd.contract.certificates import CertificateInfo
from pgherd.engines.local import identity
from pgherd.engines.local.identity import CONTROL, DATA, LIFETIME, Certificate, authority_place
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import EnvironmentManifest, read_databases
from pgherd.files import Owner, ensure_directory, write
from pgherd.pki.authority import Authority
from pgherd.pki.files import due_at, ensure_authority, ensure_certificate


def ensure(
    layout: Layout,
    environment: str,
    certificates: Iterable[Certificate],
    now: datetime,
    owner: Owner,
    *,
    renew: bool = False,
) -> int:
    """All of `certificates` are valid; how many were made now.

    Beside each lies its authority's certificate, for it is that peers are checked against.
    """
    authorities = {
        kind: ensure_authority(
            authority_place(layout, environment, kind), f"pgherd {environment} {kind}", now, owner
        )
        for kind in (CONTROL, DATA)
    }
    return sum(
        _ensure(certificate, authorities[certificate.authority], now, owner, renew=renew)
        for certificate in certificates
    )


def _ensure(
    certificate: Certificate, authority: Authority, now: datetime, owner: Owner, *, renew: bool
) -> bool:
    place = certificate.place
    ensure_directory(place.folder, owner)
    write(
        place.folder / f"{certificate.authority}-authority.crt", authority.pair.certificate, owner
    )
    return ensure_certificate(
        authority,
        place,
        certificate.identity,
        now,
        LIFETIME,
        owner,
        is_key_shared=not certificate.is_clients,
        renew=renew,
    )


def of_environment(layout: Layout, manifest: EnvironmentManifest) -> Iterator[CertificateInfo]:
    """Every certificate of one environment that is in use."""
    wanted = list(identity.of_environment(layout, manifest))
    for database in read_databases(layout):
        if database.environment == manifest.name:
            wanted += identity.of_database(layout, database)
    for certificate in wanted:
        if info := read_info(manifest.name, certificate):
            yield info


def read_info(environment: str, certificate: Certificate) -> CertificateInfo | None:
    """What a certificate on disk says; None where it is missing or unreadable."""
    try:
        content = x509.load_pem_x509_certificate(certificate.place.certificate.read_bytes())
    except (OSError, ValueError):
        return None
    return CertificateInfo(
        environment=environment,
        database=certificate.database,
        subject=certificate.identity.common_name,
        purpose=certificate.purpose,
        not_after=content.not_valid_after_utc,
        path=certificate.place.certificate,
        due_at=due_at(content),
    )
