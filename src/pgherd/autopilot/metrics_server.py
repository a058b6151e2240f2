"""Metrics over HTTP, for whoever may connect to a loopback address of this machine.

Anybody on the machine may, so nothing that is asked costs much: one path, one method, one request
for each connection, few connections, and each of them for a few seconds. No header is believed,
no body read, and nothing that a client says is logged.

It imports a web server, which takes a while: only the controller does so, once it serves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from pgherd.fleet.desired import Listen
from pgherd.metrics.exposition import CONTENT_TYPE

PATH = "/metrics"
MOST_CONNECTIONS = 16
LONGEST_SECONDS = 5.0
"""A connection is ended by then, whatever it does."""
LONGEST_LINE = 2048
MOST_HEADERS = 64


class MetricsServer:
    """Made by `MetricsServer.open`; `text` is asked for each answer, and has it at hand."""

    def __init__(self, text: Callable[[], bytes]) -> None:
        self._text = text
        self._loop = asyncio.get_running_loop()
        self._server = web.Server(self.answer)
        self._connections: set[Connection] = set()
        self._silence = logging.Logger("pgherd.metrics.silence")
        self._silence.disabled = True

    @classmethod
    async def open(cls, listen: Listen, text: Callable[[], bytes]) -> MetricsServer:
        """Serve there; OSError where that is not possible."""
        made = cls(text)
        made._listening = await made._loop.create_server(
            made._connection, listen.address, listen.port, backlog=MOST_CONNECTIONS
        )
        return made

    _listening: asyncio.Server | None = None

    def close(self) -> None:
        """Nobody listens there any more, and nobody is answered."""
        if self._listening is not None:
            self._listening.close()
        for connection in list(self._connections):
            connection.end()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """What is known, for a GET of the one path."""
        if request.path != PATH:
            found = web.Response(status=404, text=f"only {PATH} is here\n")
        elif request.method != "GET":
            found = web.Response(
                status=405, text="only GET is possible\n", headers={"Allow": "GET"}
            )
        else:
            found = web.Response(body=self._text(), headers={"Content-Type": CONTENT_TYPE})
        found.force_close()
        return found

    def _connection(self) -> asyncio.Protocol:
        if len(self._connections) >= MOST_CONNECTIONS:
            return Refused()
        return Connection(
            self._server,
            self._connections,
            loop=self._loop,
            keepalive_timeout=LONGEST_SECONDS,
            lingering_time=0.0,
            auto_decompress=False,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
            read_bufsize=2 * LONGEST_LINE,
            access_log=None,
            logger=self._silence,
        )


class Refused(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is ended at once."""
        if isinstance(transport, asyncio.Transport):
            transport.abort()


class Connection(RequestHandler):
    """One of `all` that are open, for a short time: a client may neither ask nor read for ever."""

    __slots__ = ("_all", "_end", "_opened")

    def __init__(self, server: web.Server, all: set[Connection], **how: Any) -> None:
        super().__init__(server, **how)
        self._all = all
        self._opened: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From now on its time runs."""
        super().connection_made(transport)
        self._all.add(self)
        if isinstance(transport, asyncio.Transport):
            self._opened = transport
        self._end = asyncio.get_running_loop().call_later(LONGEST_SECONDS, self.end)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is over."""
        self._all.discard(self)
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def end(self) -> None:
        """Now, and without what was not read of its answer."""
        if self._opened is not None:
            self._opened.abort()
