"""A server that speaks S3 on loopback, over TLS: moto's, behind gunicorn.

It knows two keys, and refuses whatever is signed with another one. One of them can only read.
moto's own server closes connections in a way that pgBackRest takes for an error.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pgherd.pki.authority import Authority
from pgherd.pki.certificate import Identity

BUCKET, REGION = "backups", "us-east-1"
WRITER, READER = "AKWRITER0000000000AA", "AKREADER0000000000AA"
SECRET = "a-secret-of-tests-that-stands-nowhere"
READS = ("GET", "HEAD")
REFUSED = b"<Error><Code>AccessDenied</Code><Message>not by this key</Message></Error>"


@dataclass(frozen=True)
class S3Server:
    """One that runs; what it is told is in `folder`."""

    folder: Path
    port: int

    @property
    def endpoint(self) -> str:
        return f"localhost:{self.port}"

    @property
    def authority(self) -> Path:
        return self.folder / "authority.crt"

    def key_file(self, key: str = WRITER) -> Path:
        path = self.folder / f"{key}.key"
        path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {SECRET}\n")
        path.chmod(0o600)
        return path

    def requests(self) -> list[str]:
        """The key, the method and the path of each."""
        return (self.folder / "requests.log").read_text().splitlines()


def app(folder: str) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """What gunicorn serves."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends
    from moto.server import DomainDispatcherApplication, create_backend_app

    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(BUCKET, REGION)
    inner = DomainDispatcherApplication(create_backend_app)
    log = Path(folder) / "requests.log"

    def guarded(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        found = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        key, method = found[1] if found else "", environ["REQUEST_METHOD"]
        with log.open("a") as file:
            file.write(f"{key} {method} {environ['PATH_INFO']}\n")
        is_allowed = key == WRITER or (key == READER and method in READS)
        if not is_allowed:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("403 Forbidden", [("Content-Length", str(len(REFUSED)))])
            return [REFUSED]
        served: Iterable[bytes] = inner(environ, start)
        return served

    return guarded


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """It runs, and has an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = S3Server(folder, port)
    now = datetime.now(UTC)
    authority = Authority.create("tests", now)
    identity = Identity(
        "s3", server_names=("localhost",), server_addresses=(IPv4Address("127.0.0.1"),)
    )
    pair = authority.issue(identity, now, timedelta(days=1))
    server.authority.write_bytes(authority.pair.certificate)
    (folder / "server.crt").write_bytes(pair.certificate)
    (folder / "server.key").write_bytes(pair.key)
    (folder / "requests.log").touch()
    command = [
        *(sys.executable, "-P", "-s", "-m", "gunicorn", f"s3_server:app({str(folder)!r})"),
        *("--worker-class=gthread", "--threads=16", "--keep-alive=60", "--no-control-socket"),
        *(f"--bind=127.0.0.1:{port}", f"--certfile={folder / 'server.crt'}"),
        *(f"--keyfile={folder / 'server.key'}", f"--chdir={Path(__file__).parent}"),
    ]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert process.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
