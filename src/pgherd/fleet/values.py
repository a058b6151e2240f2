"""How the value of each key is read from its text, and what an editor is told of it.

A reader raises InputError with what is wrong and what to write. `Reads` hands it to pydantic,
together with the JSON Schema of what it accepts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, ip_address
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from pgherd.errors import InputError
from pgherd.fleet.desired import (
    METRICS,
    Durability,
    Listen,
    Ocpus,
    Pooling,
    Replicas,
    Storage,
    WhenFull,
)
from pgherd.fleet.names import NAME_PATTERN
from pgherd.units import (
    format_days,
    parse_bytes,
    parse_days,
    parse_duration,
    parse_open_range,
    parse_percent,
    parse_range,
    parse_whole,
    quoted,
)

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_SIZE = r"[0-9]+(\.[0-9]+)? ?([kKMGTPEmgtpe][iI]?)?[bB]"
_LISTEN = r"(\[[0-9a-fA-F:.]+\]|[^\s:/]+):([0-9]{1,5})"
_MAX_OCPUS = 1024
_MAX_REPLICAS = 15
_MAX_RETENTION_DAYS = 3650
_DAYS = {"type": "string", "pattern": "^[0-9]+ ?d$"}
_LONGEST_EVERY = 366
_LONGEST_OBJECTIVE = timedelta(hours=24)
_MAX_AVAILABILITY_DOMAINS = 9
_RESERVED = ("kubernetes",)
"""Names of engines to come."""


@dataclass(frozen=True, eq=False)
class Reads(Generic[T]):
    """Marks a type as read by `parse` from the text of a scalar, and described by `schema`."""

    parse: Callable[[str], T]
    schema: JsonSchemaValue

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.schema)

    def read(self, value: object) -> T:
        """The value; what is wrong goes on as pydantic's error, with message and hint."""
        try:
            if isinstance(value, str):
                return self.parse(value)
            kind = "a list" if isinstance(value, list) else "a mapping"
            raise InputError(f"{kind} is not a value", "write one value after the colon")
        except InputError as error:
            context = {"message": error.message, "hint": error.hint}
            raise PydanticCustomError("unreadable", "{message}", context) from None


def _whole(what: str, low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = parse_whole(text)
        if not low <= number <= high:
            raise InputError(f"{number} is out of range", f"write {what} from {low} to {high}")
        return number

    return parse


def _choice(choices: Mapping[str, T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        if text not in choices:
            raise InputError(f"{quoted(text)} is unknown", f"write {' or '.join(choices)}")
        return choices[text]

    return parse


def one_of(kind: type[E]) -> Reads[E]:
    """Reads one of the values of an enumeration."""
    members = {member.value: member for member in kind}
    return Reads(_choice(members), {"enum": list(members)})


def engine_name(names: Sequence[str]) -> Reads[str]:
    """Reads the name of one of these engines."""
    known = _choice({name: name for name in names})

    def parse(text: str) -> str:
        if text in _RESERVED and text not in names:
            hint = f"write {' or '.join(names)}"
            raise InputError(f"{text} is reserved for a later version", hint)
        return known(text)

    return Reads(parse, {"enum": list(names)})


def _network(text: str) -> IPv4Network:
    try:
        network = IPv4Network(text if "/" in text else "", strict=False)
    except ValueError:
        raise InputError(
            f"{quoted(text)} is not an IPv4 network", "write one as in 10.0.0.0/16"
        ) from None
    if not text.startswith(f"{network.network_address}/"):
        raise InputError(f"{quoted(text)} has host bits set", f"write {network}")
    return network


def _ocpus(text: str) -> Ocpus:
    return Ocpus(*parse_range(text, _whole("OCPUs", 1, _MAX_OCPUS), "initial"))


def _positive_bytes(text: str) -> int:
    size = parse_bytes(text)
    if size == 0:
        raise InputError("0 bytes hold nothing", "write a size as in 2TB")
    return size


def _storage(text: str) -> Storage:
    return Storage(*parse_open_range(text, _positive_bytes, "initial"))


def _replicas(text: str) -> Replicas:
    return Replicas(*parse_range(text, _whole("replicas", 0, _MAX_REPLICAS)))


def _threshold(text: str) -> int:
    percent = parse_percent(text)
    if not 1 <= percent <= 99:
        raise InputError(f"{quoted(text)} is no threshold", "write one from 1% to 99%")
    return percent


def _days(lack: str, longest: int) -> Callable[[str], int]:
    """From one day to the `longest`; others are told of as `lack`, as in `no retention`."""

    def read(text: str) -> int:
        days = parse_days(text)
        if not 1 <= days <= longest:
            hint = f"write one from 1d to {format_days(longest)}"
            raise InputError(f"{quoted(text)} is {lack}", hint)
        return days

    return read


def _objective(text: str) -> timedelta:
    duration = parse_duration(text)
    if not timedelta(0) < duration <= _LONGEST_OBJECTIVE:
        raise InputError(f"{quoted(text)} is no objective", "write one from 1s to 24h")
    return duration


def _one_word(text: str) -> str:
    if not text.strip() or text != text.strip() or not text.isprintable():
        raise InputError(f"{quoted(text)} is not a name", "write one word")
    return text


def off(otherwise: str) -> Reads[Literal[False]]:
    """Reads `false`; `otherwise` is what one writes in its place."""

    def parse(text: str) -> Literal[False]:
        if text != "false":
            raise InputError(f"{quoted(text)} is unknown", f"write {otherwise}, or false for none")
        return False

    return Reads(parse, {"const": False})


def _loopback(text: str) -> Listen:
    match = re.fullmatch(_LISTEN, text)
    if match is None:
        raise InputError(f"{quoted(text)} is not an address and a port", f"write {METRICS}")
    host, port = match[1].strip("[]"), int(match[2])
    if not 1024 <= port <= 65535:
        raise InputError(f"port {port} is out of range", "write one from 1024 to 65535")
    try:
        is_loopback = ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise InputError(
            f"{quoted(host)} is not a loopback address, and others could read what is served there",
            f"write 127.0.0.1:{port}; mTLS elsewhere is planned",
        )
    return Listen(host, port)


def _number_or(pattern: str) -> dict[str, Any]:
    return {"type": ["integer", "string"], "pattern": f"^{pattern}$"}


TEXT = {"type": "string", "minLength": 1}
"""The JSON Schema of what is read from any text but an empty one."""
_NAME = {"type": "string", "pattern": NAME_PATTERN}
_FLAG = {"true": True, "false": False}

OFF = off("{cpu: 80%, memory: 80%}")
Loopback = Annotated[Listen, Reads(_loopback, {"type": "string", "pattern": f"^{_LISTEN}$"})]
Word = Annotated[str, Reads(_one_word, TEXT)]
Name = Annotated[str, Reads(str, _NAME)]
Size = Annotated[int, Reads(_positive_bytes, {"type": "string", "pattern": f"^{_SIZE}$"})]
Percent = Annotated[int, Reads(_threshold, {"type": "string", "pattern": "^[1-9][0-9]? ?%$"})]
OcpuCount = Annotated[
    int,
    Reads(_whole("OCPUs", 1, _MAX_OCPUS), {"type": "integer", "minimum": 1, "maximum": _MAX_OCPUS}),
]
OcpuRange = Annotated[Ocpus, Reads(_ocpus, _number_or(r"[0-9]+( ?\.\. ?[0-9]+)?"))]
StorageRange = Annotated[
    Storage,
    Reads(
        _storage,
        {"type": "string", "pattern": rf"^{_SIZE}( ?\.\. ?({_SIZE}|[uU]nlimited))?$"},
    ),
]
ReplicaRange = Annotated[Replicas, Reads(_replicas, _number_or(r"[0-9]+( ?\.\. ?[0-9]+)?"))]
Retention = Annotated[int, Reads(_days("no retention", _MAX_RETENTION_DAYS), _DAYS)]
Every = Annotated[int, Reads(_days("not how often", _LONGEST_EVERY), _DAYS)]
Objective = Annotated[
    timedelta,
    Reads(
        _objective, {"type": "string", "pattern": r"^([0-9]+h)?([0-9]+m)?([0-9]+(\.[0-9]+)?s)?$"}
    ),
]
Network = Annotated[
    IPv4Network, Reads(_network, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+){3}/[0-9]+$"})
]
Flag = Annotated[bool, Reads(_choice(_FLAG), {"type": "boolean"})]
CommitDurability = Annotated[Durability, one_of(Durability)]
FullDisk = Annotated[WhenFull, one_of(WhenFull)]
PoolingMode = Annotated[Pooling, one_of(Pooling)]
Domains = Annotated[
    int,
    Reads(
        _whole("availability domains", 1, _MAX_AVAILABILITY_DOMAINS),
        {"type": "integer", "minimum": 1, "maximum": _MAX_AVAILABILITY_DOMAINS},
    ),
]
Version = Annotated[
    int,
    Reads(_whole("a major version", 14, 18), {"type": "integer", "minimum": 14, "maximum": 18}),
]
