"""PostgreSQL's protocol by hand, for what no Python driver does.

`certificate_of` looks at what a server serves. `JdbcConnection` sends the messages that pgjdbc
sends by default: its startup parameters, then named statements by the extended protocol.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from cryptography import x509

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
PROTOCOL = 196608
TIMEOUT = 10.0


def client_tls(parameters: dict[str, str]) -> ssl.SSLContext:
    """libpq's parameters as Python's TLS settings, verify-full."""
    context = ssl.create_default_context(cafile=parameters["sslrootcert"])
    context.load_cert_chain(parameters["sslcert"], parameters["sslkey"])
    return context


def open_tls(parameters: dict[str, str], *, ask: bool = True) -> ssl.SSLSocket:
    """A TLS connection to a server; `ask` first by SSLRequest, as PostgreSQL's protocol wants."""
    address = (parameters["host"], int(parameters["port"]))
    plain = socket.create_connection(address, TIMEOUT)
    if ask:
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
    return client_tls(parameters).wrap_socket(plain, server_hostname=parameters["host"])


def certificate_of(parameters: dict[str, str], *, ask: bool = True) -> x509.Certificate:
    """The certificate that a server serves to a client that it may trust."""
    with open_tls(parameters, ask=ask) as connection:
        found = connection.getpeercert(binary_form=True)
    assert found
    return x509.load_der_x509_certificate(found)


class RefusedError(Exception):
    """The server's error message."""


class JdbcConnection:
    """What pgjdbc's PgConnection does on the wire, as far as a pooler can tell."""

    def __init__(self, parameters: dict[str, str]) -> None:
        self._socket = open_tls(parameters)
        self._stream = self._socket.makefile("rb")
        self._prepared: dict[str, str] = {}
        startup = {
            "user": parameters["user"],
            "database": parameters["dbname"],
            "client_encoding": "UTF8",
            "DateStyle": "ISO",
            "TimeZone": "Europe/Berlin",
            "extra_float_digits": "2",
        }
        body = b"".join(_text(k) + _text(v) for k, v in startup.items()) + b"\0"
        self._socket.sendall(struct.pack("!ii", 8 + len(body), PROTOCOL) + body)
        self._until_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.sendall(_message(b"X", b""))
        self._stream.close()
        self._socket.close()

    def run(self, query: str) -> None:
        """A query without parameters or results, by the extended protocol's unnamed statement."""
        self._socket.sendall(
            _message(b"P", _text("") + _text(query) + struct.pack("!h", 0))
            + _bind("", ())
            + _message(b"E", _text("") + struct.pack("!i", 0))
            + _message(b"S", b"")
        )
        self._until_ready()

    def execute(self, query: str, *parameters: str) -> list[tuple[str | None, ...]]:
        """Run it as a named statement, which is prepared the first time only."""
        messages = b""
        if query not in self._prepared:
            self._prepared[query] = name = f"S_{len(self._prepared) + 1}"
            messages += _message(b"P", _text(name) + _text(query) + struct.pack("!h", 0))
        name = self._prepared[query]
        messages += _bind(name, parameters)
        messages += _message(b"D", b"P" + _text(""))
        messages += _message(b"E", _text("") + struct.pack("!i", 0))
        self._socket.sendall(messages + _message(b"S", b""))
        return self._until_ready()

    def _until_ready(self) -> list[tuple[str | None, ...]]:
        """Read until ReadyForQuery; the rows that came before it."""
        rows = []
        refusal = None
        while True:
            kind = self._stream.read(1)
            if not kind:
                raise refusal or RefusedError("the server closed the connection")
            (length,) = struct.unpack("!i", self._stream.read(4))
            body = self._stream.read(length - 4)
            if kind == b"E":
                refusal = RefusedError(body.replace(b"\0", b" ").decode())
            elif kind == b"D":
                rows.append(_row(body))
            elif kind == b"Z":
                if refusal:
                    raise refusal
                return rows


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", 4 + len(body)) + body


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _bind(statement: str, parameters: Sequence[str]) -> bytes:
    values = b"".join(struct.pack("!i", len(p.encode())) + p.encode() for p in parameters)
    return _message(
        b"B",
        _text("")
        + _text(statement)
        + struct.pack("!hh", 0, len(parameters))
        + values
        + struct.pack("!h", 0),
    )


def _row(body: bytes) -> tuple[str | None, ...]:
    (count,) = struct.unpack_from("!h", body)
    values: list[str | None] = []
    at = 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        if length < 0:
            values.append(None)
            continue
        values.append(body[at : at + length].decode())
        at += length
    return tuple(values)
