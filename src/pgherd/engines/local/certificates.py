"""The certificates of `pgherd.engines.local.identity` on disk: made, renewed and read.

Beside each lies what its peers are checked against: all authorities of its kind that are trusted.
A program reads both at once, so one that serves a certificate made since those are trusted trusts
them too. A change of that file therefore makes the certificate beside it due, and the new one is
written after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from pgherd.contract.certificates import CertificateInfo
from pgherd.engines.local import identity
from pgherd.engines.local.backup.repository import repository_owner
from pgherd.engines.local.identity import CONTROL, DATA, LIFETIME, Certificate, authority_place
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import EnvironmentManifest, read_databases
from pgherd.files import Owner, ensure_directory, write
from pgherd.pki.authority import BACKDATE, Authority
from pgherd.pki.certificate import Place
from pgherd.pki.files import due_at, ensure_certificate
from pgherd.pki.succession import Line, Succession, ended, former_file, next_place, read_line

KINDS = (CONTROL, DATA)


def successions(layout: Layout, environment: str, owner: Owner) -> Iterator[Succession]:
    """The authorities of an environment."""
    for kind in KINDS:
        place = authority_place(layout, environment, kind)
        yield Succession(place, f"pgherd {environment} {kind}", LIFETIME, owner)


def ensure(
    layout: Layout,
    environment: str,
    certificates: Iterable[Certificate],
    now: datetime,
    owner: Owner,
    *,
    renew: bool = False,
) -> set[Path]:
    """All of `certificates` are valid; those that were made now."""
    theirs = repository_owner()
    found = successions(layout, environment, owner)
    signers = {
        kind: (succession.ensure(now), succession.line())
        for kind, succession in zip(KINDS, found, strict=True)
    }
    wanted = list(certificates)
    readers = {c: theirs if c.is_repositorys else owner for c in wanted}
    trusted = {trust_file(c): (signers[c.authority][1].trusted(now), r) for c, r in readers.items()}
    new = {file for file, (content, r) in trusted.items() if _write_trust(file, content, r)}
    return {
        certificate.place.certificate
        for certificate in wanted
        if _ensure(
            certificate,
            *signers[certificate.authority],
            now,
            readers[certificate],
            renew=renew or trust_file(certificate) in new,
        )
    }


def _write_trust(file: Path, content: bytes, owner: Owner) -> bool:
    ensure_directory(file.parent, owner)
    return write(file, content, owner)


def _ensure(
    certificate: Certificate,
    authority: Authority,
    line: Line,
    now: datetime,
    owner: Owner,
    *,
    renew: bool,
) -> bool:
    return ensure_certificate(
        authority,
        certificate.place,
        certificate.identity,
        max(now, line.since + BACKDATE),
        LIFETIME,
        owner,
        is_key_shared=not certificate.is_clients,
        renew=renew,
        since=line.since,
    )


def trust_file(certificate: Certificate) -> Path:
    """What the peers of whoever uses this certificate are checked against."""
    return certificate.place.folder / f"{certificate.authority}-authority.crt"


def ensure_etcd_trust(layout: Layout, environment: str, owner: Owner) -> str:
    """A file of its own for what etcd trusts, named for its content; its name.

    etcd reads it when it starts and never again (3.4), so that one started with another name is
    to be started anew.
    """
    folder = identity.etcd_place(layout, environment).folder
    content = (folder / f"{CONTROL}-authority.crt").read_bytes()
    name = _etcd_trust(content)
    write(folder / name, content, owner)
    return name


def forget_etcd_trust(layout: Layout, manifest: EnvironmentManifest) -> None:
    """What etcd trusted before is gone."""
    folder = identity.etcd_place(layout, manifest.name).folder
    for file in folder.glob(f"{CONTROL}-authority-*.crt"):
        if file.name != manifest.etcd_trust:
            file.unlink()


def _etcd_trust(content: bytes) -> str:
    return f"{CONTROL}-authority-{hashlib.sha256(content).hexdigest()[:12]}.crt"


def of_environment(layout: Layout, manifest: EnvironmentManifest) -> Iterator[CertificateInfo]:
    """Every certificate of one environment that is in use, its authorities' too."""
    lines = {k: read_line(authority_place(layout, manifest.name, k)) for k in KINDS}
    for kind, line in lines.items():
        if line:
            yield from _authorities(layout, manifest.name, kind, line)
    wanted = list(identity.of_environment(layout, manifest))
    for database in read_databases(layout):
        if database.environment == manifest.name:
            wanted += identity.of_database(layout, database)
    for certificate in wanted:
        if info := _read(manifest.name, certificate, lines[certificate.authority]):
            yield info


def why_due(layout: Layout, manifest: EnvironmentManifest, now: datetime) -> str | None:
    """What there is to do for an environment's certificates, by its files; None for nothing."""
    found = list(of_environment(layout, manifest))
    due = [info for info in found if info.due_at is not None and info.due_at < now]
    if _has_authority_ended(layout, manifest.name, now):
        return f"certificate authority of {manifest.name} has ended"
    if any(info.is_authority for info in due):
        return "its certificate authorities are due"
    folder = identity.etcd_place(layout, manifest.name).folder
    trust = folder / f"{CONTROL}-authority.crt"
    is_told = trust.exists() and _etcd_trust(trust.read_bytes()) == manifest.etcd_trust
    return None if is_told and not due else "its certificates are due"


def keep_all_out(layout: Layout, environment: str, now: datetime) -> bool:
    """Whether something has ended without which nobody can connect, neither to etcd."""
    return _has_authority_ended(layout, environment, now) or any(
        ended(content, now)
        for place in (
            identity.etcd_place(layout, environment),
            identity.operator_place(layout, environment),
        )
        if (content := _content(place))
    )


def _has_authority_ended(layout: Layout, environment: str, now: datetime) -> bool:
    lines = (read_line(authority_place(layout, environment, kind)) for kind in KINDS)
    return any(line is not None and ended(line.signer, now) for line in lines)


def _authorities(
    layout: Layout, environment: str, kind: str, line: Line
) -> Iterator[CertificateInfo]:
    place = authority_place(layout, environment, kind)

    def info(
        content: x509.Certificate, purpose: str, path: Path, due: datetime | None
    ) -> CertificateInfo:
        return CertificateInfo(
            environment=environment,
            database=None,
            subject=content.subject.rfc4514_string().removeprefix("CN="),
            purpose=purpose,
            not_after=content.not_valid_after_utc,
            path=path,
            due_at=due,
            is_authority=True,
        )

    yield info(line.signer, f"{kind} authority", place.certificate, line.due_at(LIFETIME))
    if line.next:
        path = next_place(place).certificate
        yield info(line.next, f"next {kind} authority", path, None)
    for former in line.former:
        end = former.not_valid_after_utc
        yield info(former, f"former {kind} authority", former_file(place), end)


def _read(environment: str, certificate: Certificate, line: Line | None) -> CertificateInfo | None:
    """What a certificate on disk says; None where it is missing or unreadable."""
    content = _content(certificate.place)
    if content is None:
        return None
    due = due_at(content)
    if line is not None and not _is_of(line, content):
        due = min(due, line.since)
    return CertificateInfo(
        environment=environment,
        database=certificate.database,
        subject=certificate.identity.common_name,
        purpose=certificate.purpose,
        not_after=content.not_valid_after_utc,
        path=certificate.place.certificate,
        due_at=due,
    )


def _content(place: Place) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(place.certificate.read_bytes())
    except (OSError, ValueError):
        return None


def _is_of(line: Line, content: x509.Certificate) -> bool:
    """Whether it was signed by who signs now, since all are trusted that are now."""
    if content.not_valid_before_utc < line.since:
        return False
    try:
        content.verify_directly_issued_by(line.signer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
