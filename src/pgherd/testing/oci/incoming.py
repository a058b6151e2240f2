"""From HTTP to a checked request: route, parameters, body, all by the SDK's contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pgherd.testing.oci import strict
from pgherd.testing.oci.calls import Request
from pgherd.testing.oci.contract import Operation, operations
from pgherd.testing.oci.operations import OPERATIONS
from pgherd.testing.oci.refusals import Refused, invalid, missing, not_found

MANAGEMENT = "management"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes; what it carries is not looked at yet."""

    operation: Operation
    region: str
    path: Mapping[str, str]
    vault: str | None


def route(method: str, target: str, regions: tuple[str, ...]) -> Route:
    """Find the operation: `/r/REGION/SERVICE/...`, a vault's own endpoint one level deeper."""
    segments = [unquote(part) for part in urlsplit(target).path.split("/") if part]
    if len(segments) < 4 or segments[0] != "r" or segments[2] not in OPERATIONS:
        raise not_found(f"{method} {target}")
    region, service, rest = segments[1], segments[2], segments[3:]
    if region not in regions:
        raise not_found(f"region {region}")
    vault = None
    if service == "key_management" and rest[0] == MANAGEMENT:
        vault, rest = rest[1], rest[2:]
    known_path = False
    for operation in operations(service).values():
        if (operation.client == "kms_management_client") != (vault is not None):
            continue
        path = _match(operation.segments, rest)
        if path is not None:
            known_path = True
            if operation.method == method:
                return Route(operation, region, path, vault)
    if known_path:
        raise Refused(405, "MethodNotAllowed", f"{method} is not allowed for {target}")
    raise not_found(f"{method} {target}")


def _match(wanted: tuple[str, ...], found: list[str]) -> dict[str, str] | None:
    if len(wanted) != len(found):
        return None
    path: dict[str, str] = {}
    for want, have in zip(wanted, found, strict=True):
        if want.startswith("{"):
            path[want[1:-1]] = have
        elif want != have:
            return None
    return path


def request(
    found: Route,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    namespaces: frozenset[str],
) -> Request:
    """Check all that the call carries."""
    operation = found.operation
    for name, value in found.path.items():
        strict.identifier(name, value, name)
    query = _query(operation, urlsplit(target).query)
    for name, header in operation.headers.items():
        if header.required and name not in headers:
            raise missing(f"the header {name} is required")
    if len(headers.get("opc-retry-token", "")) > 64:
        raise invalid("opc-retry-token is longer than 64 characters")
    return Request(
        operation=operation,
        region=found.region,
        path=found.path,
        query=query,
        headers=headers,
        body=_body(operation, headers, body, namespaces),
        vault=found.vault,
    )


def _query(operation: Operation, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        parameter = operation.query.get(name)
        if parameter is None:
            raise invalid(f"{operation.name} has no query parameter {name!r}")
        read = _read(parameter.type, value, name)
        if parameter.type.startswith("list["):
            read = [*found.get(name, []), *read]
        strict.allowed(read, parameter.allowed, name)
        strict.identifier(name, read, name)
        found[name] = read
    for name, parameter in operation.query.items():
        if parameter.required and name not in found:
            raise missing(f"{operation.name} needs the query parameter {name}")
    if not 1 <= found.get("limit", 1) <= 1000:
        raise invalid("limit must be 1..1000")
    return found


def _read(kind: str, value: str, name: str) -> Any:
    if kind == "int":
        if not value.isdecimal():
            raise invalid(f"{name} must be a whole number, is {value!r}")
        return int(value)
    if kind == "bool":
        if value not in ("true", "false", "True", "False"):
            raise invalid(f"{name} must be true or false, is {value!r}")
        return value.lower() == "true"
    if kind == "datetime":
        return strict.moment(value.replace(" ", "+"), name)
    if kind.startswith("list["):
        return value.split(",")
    return value


def _body(
    operation: Operation, headers: Mapping[str, str], body: bytes, namespaces: frozenset[str]
) -> dict[str, Any]:
    if operation.body is None:
        if body.strip():
            raise invalid(f"{operation.name} takes no body")
        return {}
    if not body.strip():
        if operation.body_required:
            raise missing(f"{operation.name} needs a body")
        return {}
    if headers.get("content-type", "").split(";")[0] != "application/json":
        raise Refused(415, "UnsupportedMediaType", "the body must be application/json")
    try:
        found = json.loads(body)
    except ValueError:
        raise Refused(400, "CannotParseRequest", "the body is no JSON") from None
    strict.check(operation.service, operation.body, found, operation.body)
    body_found: dict[str, Any] = found
    strict.tags(body_found, namespaces)
    return body_found
