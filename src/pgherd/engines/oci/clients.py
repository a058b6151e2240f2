"""Certificates of an environment's clients: files on the machine of whoever runs pgherd.

Only the authority, in the vault, has to be kept; everything here can be issued again from it, on
any machine, by whoever may read that secret.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from pgherd.contract.certificates import CertificateInfo
from pgherd.engines.oci.blueprint import ADMIN
from pgherd.engines.oci.routes import digest
from pgherd.files import ensure_directory, write
from pgherd.fleet.desired import DatabaseId
from pgherd.pki.authority import Authority
from pgherd.pki.certificate import Identity, KeyPair, Place
from pgherd.pki.files import due_at, ensure_certificate

LIFETIME = timedelta(days=30)
AUTHORITY_FILE = "environment_authority.crt"
POOLER_FILE = "pooler_"
"""No user has a name like these: a service's has no underscore, but for an ending in _ro."""


@dataclass(frozen=True, slots=True)
class Clients:
    """The folder of one environment's certificates."""

    environment: str
    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate that poolers are checked against."""
        return self.folder / AUTHORITY_FILE

    def place(self, user: str) -> Place:
        """Where a user's certificate and key lie."""
        return Place(self.folder, user)

    def has(self, user: str, now: datetime) -> bool:
        """A certificate is there that has not ended, of the authority that is there."""
        try:
            found = x509.load_pem_x509_certificate(self.place(user).certificate.read_bytes())
            authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
            found.verify_directly_issued_by(authority)
        except (OSError, ValueError, TypeError, InvalidSignature):
            return False
        return now < found.not_valid_after_utc and self.place(user).key.exists()

    def users(self) -> tuple[str, ...]:
        """All that have a certificate here."""
        files = self.folder.glob("*.key") if self.folder.is_dir() else ()
        return tuple(sorted(file.stem for file in files))

    def ensure(
        self, authority: Authority, user: str, now: datetime, *, renew: bool = False
    ) -> bool:
        """A user's certificate is valid; whether it was made now."""
        ensure_directory(self.folder)
        write(self.authority, authority.pair.certificate)
        identity = Identity(user, is_client=True)
        return ensure_certificate(authority, self.place(user), identity, now, LIFETIME, renew=renew)

    def note_pooler(self, region: str, pair: KeyPair) -> None:
        """Keep the poolers' certificate, without its key, to tell when it ends."""
        ensure_directory(self.folder)
        place = self.folder / f"{POOLER_FILE}{region}.crt"
        write(place, pair.certificate)

    def authority_digest(self) -> str:
        """The short name of the authority that is there, empty for none."""
        return digest(self.authority.read_text()) if self.authority.exists() else ""

    def drop(self, user: str) -> None:
        """A user's certificate is of no use any more."""
        place = self.place(user)
        place.certificate.unlink(missing_ok=True)
        place.key.unlink(missing_ok=True)

    def forget(self) -> None:
        """No certificate and no key is left, nor the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def infos(self) -> Iterator[CertificateInfo]:
        """Every certificate here but the authority's."""
        for pooler in sorted(self.folder.glob(f"{POOLER_FILE}*.crt")):
            if not pooler.with_suffix(".key").exists():
                yield self._info(pooler, None, "pooler, towards clients")
        for user in self.users():
            service = user.removesuffix("_ro")
            id = None if user == ADMIN else DatabaseId(self.environment, service)
            yield self._info(self.place(user).certificate, id, f"client {user}")

    def _info(self, path: Path, id: DatabaseId | None, purpose: str) -> CertificateInfo:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        return CertificateInfo(
            environment=self.environment,
            database=id,
            subject=found.subject.rfc4514_string().removeprefix("CN="),
            purpose=purpose,
            not_after=found.not_valid_after_utc,
            path=path,
            due_at=due_at(found),
        )


def due(certificate: bytes) -> datetime:
    """From when on a certificate (PEM) is to be renewed."""
    return due_at(x509.load_pem_x509_certificate(certificate))
