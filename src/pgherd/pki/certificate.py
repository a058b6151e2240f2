"""What a certificate is for, and where it lies: plain values, without any cryptography."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from pgherd.files import Owner, ensure_directory, write


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a certificate is for, and where it may be used.

    `server_addresses` are the addresses that clients check it against (subject alternative
    names); a certificate without any is no server's. `is_client` allows it to open connections.
    """

    common_name: str
    is_client: bool = False
    server_addresses: tuple[IPv4Address, ...] = ()
    server_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a certificate and its key lie: `NAME.crt` and `NAME.key` in one folder."""

    folder: Path
    name: str

    @property
    def certificate(self) -> Path:
        """The certificate's file."""
        return self.folder / f"{self.name}.crt"

    @property
    def key(self) -> Path:
        """The private key's file, mode 0600."""
        return self.folder / f"{self.name}.key"

    def read(self) -> KeyPair | None:
        """What lies there; None where nothing does."""
        try:
            return KeyPair(self.certificate.read_bytes(), self.key.read_bytes())
        except FileNotFoundError:
            return None

    def write(self, pair: KeyPair, owner: Owner, keeper: Owner | None = None) -> None:
        """Put a new pair there; the key belongs to `keeper` where there is one."""
        ensure_directory(self.folder, owner)
        write(self.key, pair.key, keeper or owner)
        write(self.certificate, pair.certificate, owner, mode=0o644)
