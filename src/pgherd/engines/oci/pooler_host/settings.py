"""What a host is told once, when it is made."""

from __future__ import annotations

from dataclasses import dataclass

METADATA_URL = "http://169.254.169.254/opc/v2/instance/metadata/pgherd"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a host is told once, when it is made."""

    region: str
    pooler_secret: str
    admin_secret: str
    admin_user: str
    listen_port: int
    folder: str
    listen_address: str = "0.0.0.0"  # noqa: S104 - the network decides who reaches it
    metadata_url: str = METADATA_URL
