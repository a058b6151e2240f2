"""What happens to every call, whichever service it is for.

Signature, route, planned faults, form, retry token, the service itself, the page of the answer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from pgherd.testing.oci import incoming, signatures, strict
from pgherd.testing.oci.calls import Answer, Call, Handler, Request
from pgherd.testing.oci.faults import AFTERWARDS
from pgherd.testing.oci.refusals import Refused, invalid, of_kind
from pgherd.testing.oci.world import World

PAGE = 25
TOKENS_LIVE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over the wire."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Remembered:
    digest: str
    reply: Reply
    at: datetime


class Desk:
    """Takes one call after the other, as one OCI would."""

    def __init__(self, world: World, handlers: Mapping[tuple[str, str], Handler]) -> None:
        self.world = world
        self.handlers = handlers
        self.keys: dict[str, rsa.RSAPublicKey] = {}
        self.calls: list[Call] = []
        self.on_call: Callable[[Call], None] | None = None
        self.after_call: Callable[[Call], None] | None = None
        self.rate: float | None = None
        self.lock = threading.RLock()
        self._tokens: dict[tuple[str, str, str], _Remembered] = {}

    def take(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply | None:
        """Answer a call; None: the connection breaks without an answer."""
        try:
            now = datetime.now(UTC)
            signatures.verify(method, target, headers, body, self.keys, now)
            found = incoming.route(method, target, self.world.regions)
        except Refused as refused:
            with self.lock:
                self._note("?", "", "", refused.status)
            return self._refusal(refused, headers)
        operation = found.operation
        call = Call(operation.name, found.region, operation.service, 0, self.world.now())
        if self._breaks(self.on_call, call):
            return None
        with self.lock:
            reply = self._carry_out(found, target, headers, body)
            status = reply.status if reply else 0
            done = self._note(operation.name, found.region, operation.service, status)
        return None if self._breaks(self.after_call, done) else reply

    @staticmethod
    def _breaks(hook: Callable[[Call], None] | None, call: Call) -> bool:
        """Whether a test's hook ends the connection here."""
        try:
            if hook is not None:
                hook(call)
        except BaseException:
            return True
        return False

    def _note(self, operation: str, region: str, service: str, status: int) -> Call:
        call = Call(operation, region, service, status, self.world.now())
        self.calls.append(call)
        return call

    def _carry_out(
        self, found: incoming.Route, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply | None:
        fault = self.world.faults.take(found.operation.name)
        try:
            self._not_too_fast()
            if fault is not None and fault not in AFTERWARDS:
                raise of_kind(fault)
            names = frozenset(self.world.tag_namespaces)
            request = incoming.request(found, target, headers, body, names)
            reply = self._once(request, target, body)
            if fault == "lost":
                return None
            if fault is not None:
                raise of_kind(fault)
            return reply
        except Refused as refused:
            return self._refusal(refused, headers)
        except Exception as problem:
            # A fault of the local OCI must not look like one of the network.
            own = Refused(500, "LocalOciIsWrong", f"{type(problem).__name__}: {problem}")
            return self._refusal(own, headers)

    def _not_too_fast(self) -> None:
        if self.rate is None:
            return
        second_ago = self.world.now() - timedelta(seconds=1)
        recent = 0
        for call in reversed(self.calls):
            if call.at < second_ago:
                break
            recent += call.status != 429
        if recent >= self.rate:
            raise of_kind("throttled")

    def _once(self, request: Request, target: str, body: bytes) -> Reply:
        """A retry token's call is done once; again it gets the first answer."""
        token = request.headers.get("opc-retry-token")
        if token is None or "opc-retry-token" not in request.operation.headers:
            return self._serve(request)
        key = (request.operation.name, request.region, token)
        digest = hashlib.sha256(target.encode() + b"\n" + body).hexdigest()
        before = self._tokens.get(key)
        if before is not None and self.world.now() - before.at < TOKENS_LIVE:
            if before.digest != digest:
                raise Refused(409, "InvalidatedRetryToken", "The token was used for another call")
            return before.reply
        reply = self._serve(request)
        self._tokens[key] = _Remembered(digest, reply, self.world.now())
        return reply

    def _serve(self, request: Request) -> Reply:
        self.world.settle()
        operation = request.operation
        answer = self.handlers[operation.service, operation.name](request)
        headers = {"opc-request-id": _request_id(request.headers)}
        if answer.resource is not None:
            headers["etag"] = answer.resource.etag
        if answer.work_request is not None:
            headers["opc-work-request-id"] = answer.work_request
        body = self._paged(request, answer, headers)
        if operation.response is None:
            return Reply(204 if answer.status == 200 else answer.status, b"", headers)
        shown = strict.answer(operation.service, operation.response, body)
        return Reply(answer.status, json.dumps(shown, default=_written).encode(), headers)

    @staticmethod
    def _paged(request: Request, answer: Answer, headers: dict[str, str]) -> Any:
        kind = request.operation.response or ""
        if not isinstance(answer.body, list):
            return answer.body
        items = answer.body
        if "page" in request.query or "page" in request.operation.query:
            start = _start(request)
            end = start + request.query.get("limit", PAGE)
            if end < len(items):
                headers["opc-next-page"] = _page_token(request, end)
            items = items[start:end]
        return items if kind.startswith("list[") else {"items": items}

    @staticmethod
    def _refusal(refused: Refused, headers: Mapping[str, str]) -> Reply:
        body = json.dumps({"code": refused.code, "message": refused.message}).encode()
        return Reply(refused.status, body, {"opc-request-id": _request_id(headers)})


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get("opc-request-id", secrets.token_hex(16).upper())
    return f"{given}/{secrets.token_hex(16).upper()}/{secrets.token_hex(16).upper()}"


def _page_token(request: Request, start: int) -> str:
    text = json.dumps([request.operation.name, start])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _start(request: Request) -> int:
    token = request.query.get("page")
    if token is None:
        return 0
    try:
        operation, start = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise invalid("page is no token of an earlier answer") from None
    if operation != request.operation.name or not isinstance(start, int):
        raise invalid("page is the token of another operation")
    return start


def _written(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise AssertionError(f"not for JSON: {value!r}")
