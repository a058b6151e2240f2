"""Certificates, looked at before PgBouncer is given them: it does not start with broken ones."""

from __future__ import annotations

import ssl
from pathlib import Path

from pgherd.engines.oci.pooler_host.files import SERVER, write_private
from pgherd.engines.oci.pooler_host.trouble import Trouble


def check_authorities(pem: str) -> None:
    """ValueError unless these are certificates."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except ssl.SSLError:
        raise ValueError("an authority's certificate is none") from None


def check_pair(folder: Path, pem: str) -> None:
    """Trouble unless certificate and key belong together: PgBouncer does not start otherwise."""
    path = folder / f".{SERVER}.check"
    write_private(path, pem)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    except (OSError, ValueError):
        raise Trouble("the pooler's certificate and key do not belong together") from None
    finally:
        path.unlink()
