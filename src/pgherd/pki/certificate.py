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
        """The private key's file."""
        return self.folder / f"{self.name}.key"

    def read(self) -> KeyPair | None:
        """What lies there; None where nothing does."""
        try:
            return KeyPair(self.certificate.read_bytes(), self.key.read_bytes())
        except FileNotFoundError:
            return None

    def write(
        self,
        pair: KeyPair,
        reader: Owner | None = None,
        *,
        is_key_shared: bool = True,
        durable: bool = False,
    ) -> None:
        """Put a new pair there; `reader` may read it, its key only where that is shared.

        With `durable` it is on the disk when this returns.
        """
        ensure_directory(self.folder, reader)
        write(self.key, pair.key, reader if is_key_shared else None, durable=durable)
        write(self.certificate, pair.certificate, reader, durable=durable)
