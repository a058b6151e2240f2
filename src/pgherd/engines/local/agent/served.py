"""Which programs still serve another certificate than the one on disk.

That a program was told to read its certificate anew is not enough: PgBouncer answers yes to a
reload that failed, and Patroni passes over its certificate when its configuration changed too.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pgherd.engines.local import programs
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import DatabaseManifest

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""PostgreSQL's protocol begins in plain text, with this wish for TLS."""
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Listener:
    """A server of `program`; where it `asks`, TLS comes after an SSLRequest."""

    program: str
    address: str
    port: int
    certificate: Path
    asks: bool = True


def listeners(layout: Layout, manifest: DatabaseManifest) -> Iterator[Listener]:
    """All of one database's."""
    id = manifest.id
    pooler = layout.pooler(id) / "pki/server.crt"
    name = programs.pooler_name(id)
    yield Listener(name, manifest.pooler_address, manifest.pooler_port, pooler)
    for instance in manifest.instances:
        pki = layout.instance(id, instance.number) / "pki"
        name, address = programs.patroni_name(id, instance.number), instance.address
        yield Listener(name, address, manifest.postgresql_port, pki / "server.crt")
        yield Listener(name, address, manifest.patroni_port, pki / "patroni.crt", asks=False)


async def stale(layout: Layout, manifest: DatabaseManifest) -> set[str]:
    """The programs that serve another certificate than the one on disk.

    One that does not answer is not among them: it reads the new one when it starts.
    """
    found = list(listeners(layout, manifest))
    current = await asyncio.gather(*(_is_current(listener) for listener in found))
    return {listener.program for listener, yes in zip(found, current, strict=True) if not yes}


async def _is_current(listener: Listener) -> bool:
    wanted = ssl.PEM_cert_to_DER_cert(listener.certificate.read_text())
    try:
        async with asyncio.timeout(SECONDS):
            return await _certificate(listener) == wanted
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return True


async def _certificate(listener: Listener) -> bytes | None:
    # Nothing is said to the server, so it need not be trusted.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    at_once = None if listener.asks else tls
    reader, writer = await asyncio.open_connection(listener.address, listener.port, ssl=at_once)
    try:
        if listener.asks:
            writer.write(SSL_REQUEST)
            await reader.readexactly(1)
            await writer.start_tls(tls)
        found: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found
    finally:
        writer.transport.abort()
