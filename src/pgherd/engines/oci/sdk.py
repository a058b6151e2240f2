"""The SDK of OCI, as far as pgherd uses it: signing in, one call, one answer, our errors.

Every retry is decided here, and none by the SDK: its own would repeat a change that carries no
token (adding a node) and add a node twice, and its circuit breaker, which all clients of a
process share, would let a throttled service stop all others.
"""

from __future__ import annotations

import asyncio
import configparser
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pgherd.engines.oci.section import OCI
from pgherd.errors import InputError, NeedsHuman, PgherdError, TryLater
from pgherd.fleet.desired import Environment

ENDPOINT_VARIABLE = "PGHERD_OCI_ENDPOINT"
"""Where a local OCI listens, in place of the services of a region."""
CONFIG_VARIABLE = "OCI_CONFIG_FILE"
TIMEOUT = (10, 60)
"""Seconds to connect, and to wait for an answer."""
ATTEMPTS = 4
FIRST_DELAY = 0.2
PAGE = 100
THREADS = 10

Sleep = Callable[[float], Awaitable[Any]]

CLIENTS = {
    "identity": ("identity", "IdentityClient"),
    "network": ("core", "VirtualNetworkClient"),
    "compute": ("core", "ComputeClient"),
    "vaults": ("key_management", "KmsVaultClient"),
    "keys": ("key_management", "KmsManagementClient"),
    "secrets": ("vault", "VaultsClient"),
    "bundles": ("secrets", "SecretsClient"),
    "psql": ("psql", "PostgresqlClient"),
    "monitoring": ("monitoring", "MonitoringClient"),
    "limits": ("limits", "LimitsClient"),
}
"""Our word for a service: the SDK's package, and its client."""

_SAFE = ("get_", "list_", "summarize_", "delete_", "terminate_", "schedule_")
"""What may be repeated without a token: a look, and what is gone stays gone."""
_PASSING = {"IncorrectState", "LockConflict", "ExternalServerIncorrectState", "Conflict"}
_USED_UP = {"LimitExceeded", "QuotaExceeded", "OutOfHostCapacity"}


class Stale(TryLater):
    """It changed since it was looked at; only another look helps."""


class NotFound(InputError):
    """It is not there, or may not be seen: OCI gives the same answer to both."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answered: the data, and the headers that matter."""

    data: Any
    etag: str | None = None
    work_request: str | None = None


def load() -> ModuleType:
    """The SDK; InputError where it is not installed."""
    try:
        return import_module("oci")
    except ImportError as error:
        raise InputError(
            f"engine oci needs the OCI SDK: {error}", "run pip install 'pgherd[oci]'"
        ) from None


def sign_in(profile: str) -> dict[str, Any]:
    """The SDK's configuration of a profile; InputError where it cannot be used."""
    oci = load()
    path = os.environ.get(CONFIG_VARIABLE) or oci.config.DEFAULT_LOCATION
    try:
        config: dict[str, Any] = oci.config.from_file(path, profile)
        # A session's profile names no user: its token does.
        session = {"user": config.get("tenancy")} if "security_token_file" in config else {}
        oci.config.validate_config(session | config)
    except (oci.exceptions.ConfigFileNotFound, FileNotFoundError):
        raise InputError(
            f"{path} does not exist", "write it with `oci setup config`, or set OCI_CONFIG_FILE"
        ) from None
    except oci.exceptions.ProfileNotFound:
        raise InputError(
            f"profile {profile!r} is not in {path}", "write oci: {profile: NAME} with one that is"
        ) from None
    except (oci.exceptions.ClientError, configparser.Error, ValueError) as error:
        raise InputError(
            f"profile {profile!r} of {path} cannot be used: {_first_line(error)}"
        ) from None
    return config


def body(service: str, model: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The wire form of a request body, from the SDK's names: `cidr_blocks` is cidrBlocks.

    Values of None are left out. A name that the model does not have is a KeyError.
    """
    models = import_module(f"oci.{CLIENTS[service][0]}.models")
    return _wire(models, getattr(models, model), values)


def _wire(models: ModuleType, model: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    if hasattr(model, "get_subtype"):
        names = model().attribute_map
        kinds = {names[k]: v for k, v in values.items() if k in names}
        model = getattr(models, model.get_subtype(kinds))
    blank = model()
    return {
        blank.attribute_map[name]: _value(models, blank.swagger_types[name], value)
        for name, value in values.items()
        # Looked up first, so that a wrong name is an error without a value too.
        if blank.attribute_map[name] and value is not None
    }


def _value(models: ModuleType, type: str, value: Any) -> Any:
    if type.startswith("list["):
        return [_value(models, type[5:-1], item) for item in value]
    model = getattr(models, type, None)
    if model is None or not isinstance(value, Mapping):
        return value
    return _wire(models, model, value)


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
        return OCI.of(environment).parent or self.tenancy

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
        """Blocks."""
        try:
            response = self._response(request)
        except PgherdError:
            raise
        except Exception as error:
            raise _translated(error, f"{request.operation} in {self.region}") from error
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
            return _new_signer(oci, self.config)
        except (oci.exceptions.ClientError, OSError, ValueError) as error:
            raise InputError(
                f"profile {self.profile!r} cannot sign: {_first_line(error)}",
                "check its key_file, pass_phrase and security_token_file",
            ) from None


def _new_signer(oci: ModuleType, config: Mapping[str, Any]) -> Any:
    """With the key of the profile's user, or the token that `oci session authenticate` wrote."""
    if token := config.get("security_token_file"):
        key = oci.signer.load_private_key_from_file(config["key_file"], config.get("pass_phrase"))
        return oci.auth.signers.SecurityTokenSigner(Path(token).expanduser().read_text(), key)
    return oci.signer.Signer(
        config["tenancy"],
        config["user"],
        config["fingerprint"],
        config.get("key_file"),
        config.get("pass_phrase"),
        config.get("key_content"),
    )


def _translated(error: Exception, what: str) -> PgherdError:
    """Our error for one of the SDK's."""
    oci = load()
    if isinstance(error, oci.exceptions.ServiceError):
        return _of_service(error, what)
    if isinstance(error, oci.exceptions.RequestException | OSError):
        return TryLater(f"oci does not answer to {what}: {_reason(error)}", _where_to_look())
    return NeedsHuman(f"{what} failed: {_first_line(error)}", "see `pgherd doctor --engine oci`")


def _of_service(error: Any, what: str) -> PgherdError:
    status, code = error.status, error.code
    text = f"oci refuses {what}: {_first_line(error.message) or code}"
    if status == 404:
        return NotFound(text, "see `pgherd doctor --engine oci` for what this profile may do")
    if status in (401, 403):
        return InputError(text, "check the profile's key and user, then `pgherd doctor`")
    if code in _USED_UP:
        return NeedsHuman(text, "ask for a higher limit in the console, then run it again")
    if status == 412:
        return Stale(text)
    if status == 429 or status >= 500 or code in _PASSING:
        return TryLater(f"oci is not ready for {what}: {_first_line(error.message) or code}")
    if status == 409:
        return TryLater(text)
    return InputError(text)


def _reason(error: BaseException) -> str:
    """Why there is no answer: the innermost reason, less the objects that it is wrapped in."""
    text = str(error)
    for sign, reason in (
        ("Connection refused", "the connection is refused"),
        ("Name or service not known", "its name is not known"),
        ("No address associated", "its name is not known"),
        ("timed out", "it took too long"),
        ("Connection reset", "the connection was reset"),
        ("RemoteDisconnected", "the connection was closed"),
    ):
        if sign in text:
            return reason
    return _first_line(error)


def _where_to_look() -> str:
    if endpoint := os.environ.get(ENDPOINT_VARIABLE):
        return f"{ENDPOINT_VARIABLE} is {endpoint}: does a local OCI run there?"
    return "check the network, the proxy and the region's name"


def _first_line(error: object) -> str:
    lines = str(error or "").strip().splitlines()
    return lines[0][:300] if lines else ""
