"""One call of OCI's SDK, one answer, and what is tried again.

Every retry is decided here, and none by the SDK: its own would repeat a change that carries no
token (adding a node) and add a node twice, and its circuit breaker, which all clients of a
process share, would let a throttled service stop all others.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

from pgherd.engines.oci.bodies import CLIENTS
from pgherd.engines.oci.refusals import Stale, first_line, translated
from pgherd.engines.oci.sign_in import load, new_signer, sign_in
from pgherd.engines.oci.values import OciValues
from pgherd.engines.oci.variables import ENDPOINT_VARIABLE
from pgherd.errors import InputError, PgherdError, TryLater
from pgherd.fleet.desired import Environment

TIMEOUT = (10, 60)
"""Seconds to connect, and to wait for an answer."""
ATTEMPTS = 4
FIRST_DELAY = 0.2
PAGE = 100
THREADS = 10

Sleep = Callable[[float], Awaitable[Any]]

_SAFE = ("get_", "list_", "summarize_", "delete_", "terminate_", "schedule_")
"""What may be repeated without a token: a look, and what is gone stays gone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answered: the data, and the headers that matter."""

    data: Any
    etag: str | None = None
    work_request: str | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    """One call of an operation of the SDK."""

    service: str
    operation: str
    arguments: tuple[Any, ...]
    at: str | None
    options: Mapping[str, Any]

    @property
    def is_repeatable(self) -> bool:
        """Sent twice, it does no more than once."""
        return self.operation.startswith(_SAFE) or "opc_retry_token" in self.options

    def of(self, client: Any) -> Any:
        """What a client of the SDK answers; its errors go through."""
        return getattr(client, self.operation)(*self.arguments, **self.options)


@dataclass(slots=True, eq=False)
class Cloud:
    """One region of a tenancy, seen with one profile. Calls run in threads."""

    profile: str
    region: str
    threads: ThreadPoolExecutor
    endpoint: str | None = field(default_factory=lambda: os.environ.get(ENDPOINT_VARIABLE))
    sleep: Sleep = asyncio.sleep
    _config: dict[str, Any] = field(default_factory=dict)
    _clients: dict[tuple[str, str | None], Any] = field(default_factory=dict)
    _signer: Any = None

    @property
    def config(self) -> dict[str, Any]:
        """The SDK's configuration, with this region."""
        if not self._config:
            # A profile may ask for a log of all requests: passwords are in their bodies.
            ours = {"region": self.region, "log_requests": False}
            self._config = sign_in(self.profile) | ours
        return self._config

    @property
    def tenancy(self) -> str:
        """The OCID of the tenancy."""
        return str(self.config["tenancy"])

    def parent(self, environment: Environment) -> str:
        """Where an environment's compartment is made: as the fleet file says, or in the root."""
        return environment.values_of(OciValues).parent or self.tenancy

    async def call(
        self, service: str, operation: str, *arguments: Any, at: str | None = None, **options: Any
    ) -> Answer:
        """One call. `at` is the endpoint of a service that has several (a vault's keys).

        What passes by itself is tried again where a repetition is safe: a look, a deletion, a
        change with a retry token. Raises NotFound, InputError, TryLater and NeedsHuman.
        """
        request = _Request(service, operation, arguments, at, options)
        loop = asyncio.get_running_loop()
        for attempt in range(ATTEMPTS):
            try:
                return await loop.run_in_executor(self.threads, self._answer, request)
            except TryLater as error:
                is_last = attempt == ATTEMPTS - 1
                if is_last or not request.is_repeatable or isinstance(error, Stale):
                    raise
                await self.sleep(FIRST_DELAY * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError("unreachable")

    async def all(
        self, service: str, operation: str, *arguments: Any, at: str | None = None, **options: Any
    ) -> list[Any]:
        """Everything that a list operation has, page after page."""
        found: list[Any] = []
        page: str | None = None
        while True:
            rest: dict[str, Any] = {} if page is None else {"page": page}
            answer = await self.call(
                service, operation, *arguments, at=at, limit=PAGE, **rest, **options
            )
            items, page = answer.data
            found += items
            if page is None:
                return found

    def _answer(self, request: _Request) -> Answer:
        """Ask, and wait for the answer: to be called in a thread."""
        try:
            response = self._response(request)
        except PgherdError:
            raise
        except Exception as error:
            raise translated(error, f"{request.operation} in {self.region}") from error
        headers = response.headers
        data = response.data
        if request.operation.startswith("list_"):
            data = (list(getattr(data, "items", data)), headers.get("opc-next-page"))
        return Answer(data, headers.get("etag"), headers.get("opc-work-request-id"))

    def _response(self, request: _Request) -> Any:
        client = self._client(request.service, request.at)
        try:
            return request.of(client)
        except load().exceptions.ServiceError as error:
            # A session's token lasts an hour, and is renewed from outside in its file.
            if error.status != 401 or not self._has_new_token(client):
                raise
        return request.of(self._client(request.service, request.at))

    def _has_new_token(self, client: Any) -> bool:
        """The session was renewed since that client was made; others are made from now on."""
        if "security_token_file" not in self.config:
            return False
        signer = self._new_signer(load())
        if signer.api_key == client.base_client.signer.api_key:
            return False
        self._signer = signer
        self._clients.clear()
        return True

    def _client(self, service: str, at: str | None) -> Any:
        # Two threads may both make one, or forget all: either of them will do.
        client = self._clients.get((service, at))
        if client is None:
            client = self._clients[service, at] = self._new_client(service, at)
        return client

    def _new_client(self, service: str, at: str | None) -> Any:
        oci = load()
        package, name = CLIENTS[service]
        options: dict[str, Any] = {
            "retry_strategy": oci.retry.NoneRetryStrategy(),
            "circuit_breaker_strategy": oci.circuit_breaker.NoCircuitBreakerStrategy(),
            "timeout": TIMEOUT,
        }
        # One for all clients: loading the key is most of what a client costs.
        self._signer = self._signer or self._new_signer(oci)
        options["signer"] = self._signer
        if at is not None:
            options["service_endpoint"] = at
        elif self.endpoint:
            options["service_endpoint"] = f"{self.endpoint}/r/{self.region}/{package}"
        client = getattr(import_module(f"oci.{package}"), name)
        return client(self.config, **options)

    def _new_signer(self, oci: ModuleType) -> Any:
        try:
            return new_signer(oci, self.config)
        except (oci.exceptions.ClientError, OSError, ValueError) as error:
            raise InputError(
                f"profile {self.profile!r} cannot sign: {first_line(error)}",
                "check its key_file, pass_phrase and security_token_file",
            ) from None
