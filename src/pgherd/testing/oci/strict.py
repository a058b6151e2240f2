"""Values against the SDK's models, in both directions: stricter than the SDK is itself.

Requests: required fields, unknown fields, exact types (no float for int), enums, subtypes, the
shape of OCIDs, tags. Answers are held to the same models, so the local OCI cannot drift either.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from pgherd.testing.oci import models
from pgherd.testing.oci.refusals import Refused, invalid, missing

OCID = re.compile(r"ocid1\.[a-z0-9]+\.oc1\.[a-z0-9-]*(\.[a-z0-9]+)+")
_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
}
# Identifiers that are none of OCI's own.
_OTHER_IDS = frozenset({"securityRuleIds", "externalSystemId", "identityProviderId"})
TAGS = 10


def check(service: str, kind: str, value: Any, where: str) -> None:
    """Refuse a value that is not of the SDK's type `kind`."""
    if kind.startswith("list["):
        _must(isinstance(value, list), where, kind, value)
        for number, item in enumerate(value):
            check(service, kind[5:-1], item, f"{where}[{number}]")
    elif kind.startswith("dict("):
        _must(isinstance(value, dict), where, kind, value)
        for key, item in value.items():
            check(service, kind[5:-1].split(",", 1)[1].strip(), item, f"{where}.{key}")
    elif kind in _PLAIN:
        right = isinstance(value, _PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        _must(right, where, kind, value)
    elif kind in ("datetime", "date"):
        moment(value, where)
    elif kind != "object":
        _model(service, kind, value, where)


def _model(service: str, name: str, value: Any, where: str) -> None:
    _must(isinstance(value, dict), where, name, value)
    model = models.model(service, name)
    if model.discriminator is not None:
        chosen = model.subtypes.get(value.get(model.discriminator, ""))
        if chosen is None:
            raise invalid(
                f"{where}.{model.discriminator} is {value.get(model.discriminator)!r}, must be "
                f"one of {sorted(model.subtypes)}"
            )
        model = models.model(service, chosen)
    for key in value:
        if key not in model.fields:
            raise invalid(f"{where} has an unknown field {key!r} ({model.name})")
    for key, field in model.fields.items():
        item = value.get(key)
        if item is None:
            if field.required:
                raise missing(f"{where}.{key} is required ({model.name})")
            continue
        check(service, field.type, item, f"{where}.{key}")
        allowed(item, field.allowed, f"{where}.{key}")
        identifier(key, item, f"{where}.{key}")


def allowed(value: Any, values: tuple[str, ...], where: str) -> None:
    """Refuse what an enum does not list, `UNKNOWN_ENUM_VALUE` with it."""
    for item in value if isinstance(value, list) else [value]:
        if values and item not in values:
            raise invalid(f"{where} is {item!r}, must be one of {list(values)}")


def identifier(key: str, value: Any, where: str) -> None:
    """Refuse an OCID that is none."""
    if key in _OTHER_IDS or not key.endswith(("Id", "Ids")):
        return
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str) or not OCID.fullmatch(item):
            raise invalid(f"{where} is no OCID: {item!r}")


def moment(value: Any, where: str) -> datetime:
    """RFC 3339 with a zone."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise invalid(f"{where} is no RFC 3339 time: {value!r}") from None
    if found.tzinfo is None:
        raise invalid(f"{where} has no time zone: {value!r}")
    return found


def _must(right: bool, where: str, kind: str, value: Any) -> None:
    if not right:
        raise invalid(f"{where} must be {kind}, is {type(value).__name__} {value!r}"[:300])


def tags(body: dict[str, Any], namespaces: frozenset[str]) -> None:
    """Hold tags to OCI's limits."""
    free = body.get("freeformTags") or {}
    if len(free) > TAGS:
        raise invalid(f"freeformTags has {len(free)} tags, at most {TAGS} are allowed")
    for key, value in free.items():
        if not 1 <= len(key) <= 100 or not re.fullmatch(r"[!-~]+", key) or "." in key:
            raise invalid(f"freeformTags key {key!r} is not 1..100 printable characters")
        if len(value) > 256:
            raise invalid(f"freeformTags {key!r} is longer than 256 characters")
    for namespace in body.get("definedTags") or {}:
        if namespace not in namespaces:
            raise invalid(f"definedTags namespace {namespace!r} does not exist")


def project(service: str, kind: str, value: Any) -> Any:
    """What of the value the SDK's type `kind` has: a summary shows less than the whole."""
    if kind.startswith("list[") and isinstance(value, list):
        return [project(service, kind[5:-1], item) for item in value]
    if not isinstance(value, dict) or kind == "object" or kind.startswith("dict("):
        return value
    model = models.model(service, kind)
    if model.discriminator is not None and value.get(model.discriminator) in model.subtypes:
        model = models.model(service, model.subtypes[value[model.discriminator]])
    return {
        key: project(service, model.fields[key].type, item)
        for key, item in value.items()
        if key in model.fields and item is not None
    }


def answer(service: str, kind: str, value: Any) -> Any:
    """What goes out; a fault of the local OCI itself is said plainly."""
    shown = project(service, kind, value)
    try:
        check(service, kind, shown, kind)
    except Refused as problem:
        raise AssertionError(f"the local OCI's own answer is wrong: {problem.message}") from problem
    return shown
