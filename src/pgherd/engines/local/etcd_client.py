"""A client of etcd's JSON gateway (etcd 3.4's /v3 API) over one pool of TLS connections.

Keys and values are base64 text there, and 64-bit numbers are strings. Of the Python clients
there are, none does asyncio and TLS client certificates both.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from pgherd.engines.local import identity
from pgherd.engines.local.etcd import url
from pgherd.engines.local.layout import Layout
from pgherd.engines.local.manifest import EnvironmentManifest
from pgherd.errors import TryLater

REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=5)
WATCH_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5)


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One key as etcd has it. `value` None: it was deleted. `lease` 0: it has none."""

    key: str
    value: str | None
    mod_revision: int
    lease: int = 0


class EtcdClient:
    """A client of one environment's etcd. Every call raises TryLater when etcd does not answer.

    `tls` holds for each new connection; another one may take its place.
    """

    def __init__(self, base_url: str, tls: ssl.SSLContext) -> None:
        self.tls = tls
        self._base_url = base_url
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def of(cls, layout: Layout, manifest: EnvironmentManifest) -> EtcdClient:
        """The operator's client of an environment's etcd."""
        return cls(url(manifest), operator_tls(layout, manifest.name))

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(keepalive_timeout=60)
        self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session:
            await self._session.close()

    async def range(self, prefix: str) -> tuple[int, list[KeyValue]]:
        """All keys that start with `prefix`, and the revision at which they were so."""
        answer = await self._post("kv/range", _prefix(prefix))
        revision = int(answer["header"]["revision"])
        return revision, [_key_value(kv) for kv in answer.get("kvs", [])]

    async def delete(self, prefix: str) -> None:
        """No key starts with `prefix` any more."""
        await self._post("kv/deleterange", _prefix(prefix))

    async def delete_unchanged(self, key: str, revision: int) -> bool:
        """Delete `key` if it was last written with that revision; whether it was."""
        compare = {"key": _encode(key), "target": "MOD", "mod_revision": str(revision)}
        delete = {"request_delete_range": {"key": _encode(key)}}
        answer = await self._post("kv/txn", {"compare": [compare], "success": [delete]})
        return bool(answer.get("succeeded"))

    async def time_to_live(self, lease: int) -> int:
        """Seconds until a lease ends; -1 when it has."""
        answer = await self._post("kv/lease/timetolive", {"ID": str(lease)})
        return int(answer.get("TTL", -1))

    async def watch(self, prefix: str, revision: int) -> AsyncIterator[list[KeyValue]]:
        """The changes below `prefix` from `revision` on, as they come. Ends only by an error."""
        body = {"create_request": {**_prefix(prefix), "start_revision": str(revision)}}
        try:
            async with self._opened.post(
                f"{self._base_url}/v3/watch", json=body, timeout=WATCH_TIMEOUT, ssl=self.tls
            ) as response:
                buffer = b""
                async for chunk in response.content.iter_any():
                    *lines, buffer = (buffer + chunk).split(b"\n")
                    for line in filter(None, lines):
                        result = json.loads(line).get("result", {})
                        if result.get("canceled"):
                            raise TryLater(f"etcd at {self._base_url} ended the watch")
                        if events := result.get("events"):
                            yield [_event(event) for event in events]
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise TryLater(f"etcd at {self._base_url} does not answer: {error}") from error
        raise TryLater(f"etcd at {self._base_url} closed the watch")

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("EtcdClient is used outside of `async with`")
        return self._session

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            async with self._opened.post(
                f"{self._base_url}/v3/{path}", json=body, timeout=REQUEST_TIMEOUT, ssl=self.tls
            ) as response:
                answer: dict[str, Any] = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise TryLater(f"etcd at {self._base_url} does not answer: {error}") from error
        if response.status != 200:
            raise TryLater(f"etcd at {self._base_url} says: {answer.get('message', answer)}")
        return answer


def operator_tls(layout: Layout, environment: str) -> ssl.SSLContext:
    """TLS as the operator towards etcd and Patroni of one environment."""
    place = identity.operator_place(layout, environment)
    context = ssl.create_default_context(cafile=str(place.folder / "control-authority.crt"))
    context.load_cert_chain(place.certificate, place.key)
    return context


def _prefix(prefix: str) -> dict[str, str]:
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return {"key": _encode(prefix), "range_end": _encode(end)}


def _event(event: Mapping[str, Any]) -> KeyValue:
    kv = _key_value(event["kv"])
    if event.get("type") == "DELETE":
        return KeyValue(kv.key, None, kv.mod_revision)
    return kv


def _key_value(kv: Mapping[str, Any]) -> KeyValue:
    return KeyValue(
        _decode(kv["key"]),
        _decode(kv.get("value", "")),
        int(kv["mod_revision"]),
        int(kv.get("lease", 0)),
    )


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()
