"""How the value of each key is read from its text, and what an editor is told of it.

A reader raises InputError with what is wrong and what to write. `Reads` hands it to pydantic,
together with the JSON Schema of what it accepts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from pgherd.errors import InputError
from pgherd.fleet.desired import (
    Concession,
    Durability,
    Ocpus,
    PoolerTier,
    Pooling,
    Replicas,
    Storage,
)
from pgherd.fleet.names import NAME_PATTERN
from pgherd.units import (
    format_days,
    parse_bytes,
    parse_days,
    parse_open_range,
    parse_percent,
    parse_range,
    parse_whole,
    quoted,
)

T = TypeVar("T")

_SIZE = r"[0-9]+(\.[0-9]+)? ?([kKMGTPEmgtpe][iI]?)?[bB]"
_MAX_OCPUS = 1024
_MAX_REPLICAS = 15
_MAX_RETENTION_DAYS = 3650
_MAX_AVAILABILITY_DOMAINS = 9


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


def _choice(choices: dict[str, T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        if text not in choices:
            raise InputError(f"{quoted(text)} is unknown", f"write {' or '.join(choices)}")
        return choices[text]

    return parse


def _engine(text: str) -> str:
    if text == "kubernetes":
        raise InputError("kubernetes is reserved for a later version", "write local or oci")
    return _choice({"local": "local", "oci": "oci"})(text)


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


def _retention(text: str) -> int:
    days = parse_days(text)
    if not 1 <= days <= _MAX_RETENTION_DAYS:
        longest = format_days(_MAX_RETENTION_DAYS)
        raise InputError(f"{quoted(text)} is no retention", f"write one from 1d to {longest}")
    return days


def _core_share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0.001 <= share <= 64:
        raise InputError(
            f"{quoted(text)} is not a share of a core", "write one from 0.001 to 64, as in 0.1"
        )
    return share


def _one_word(text: str) -> str:
    if not text.strip() or text != text.strip() or not text.isprintable():
        raise InputError(f"{quoted(text)} is not a name", "write one word")
    return text


def is_region(text: str) -> bool:
    """It has the form of a region of OCI, as in us-ashburn-1."""
    return re.fullmatch(r"[a-z]{2,3}(-[a-z]+)+-[0-9]+", text) is not None


def _region(text: str) -> str:
    if not is_region(text):
        raise InputError(f"{quoted(text)} is not a region", "write one as in us-ashburn-1")
    return text


def _ocid(kind: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        kinds = (kind, "tenancy") if kind == "compartment" else (kind,)
        if not re.fullmatch(rf"ocid1\.({'|'.join(kinds)})\.[a-z0-9-]+\.[a-z0-9-]*\.\S+", text):
            raise InputError(
                f"{quoted(text)} is not the OCID of a {kind}",
                f"write one as in ocid1.{kind}.oc1..aaaa",
            )
        return text

    return parse


def _iops(text: str) -> int:
    iops = parse_whole(text)
    if iops not in IOPS_TIERS:
        tiers = ", ".join(str(tier) for tier in IOPS_TIERS)
        raise InputError(f"{iops} is not a performance tier", f"write one of {tiers}")
    return iops


def _off(text: str) -> Literal[False]:
    if text != "false":
        raise InputError(
            f"{quoted(text)} is unknown", "write {cpu: 80%, memory: 80%}, or false for none"
        )
    return False


def _number_or(pattern: str) -> dict[str, Any]:
    return {"type": ["integer", "string"], "pattern": f"^{pattern}$"}


IOPS_TIERS = (75_000, 150_000, 225_000, 300_000)

_TEXT = {"type": "string", "minLength": 1}
_NAME = {"type": "string", "pattern": NAME_PATTERN}
_FLAG = {"true": True, "false": False}
_DURABILITIES = {d.value: d for d in Durability}
_POOLINGS = {p.value: p for p in Pooling}
_CONCESSIONS = {c.value: c for c in Concession}
_POOLER_TIERS = {p.value: p for p in PoolerTier}

OFF = Reads(_off, {"const": False})
Word = Annotated[str, Reads(_one_word, _TEXT)]
Name = Annotated[str, Reads(str, _NAME)]
Size = Annotated[int, Reads(_positive_bytes, {"type": "string", "pattern": f"^{_SIZE}$"})]
Percent = Annotated[int, Reads(_threshold, {"type": "string", "pattern": "^[1-9][0-9]? ?%$"})]
OcpuRange = Annotated[Ocpus, Reads(_ocpus, _number_or(r"[0-9]+( ?\.\. ?[0-9]+)?"))]
StorageRange = Annotated[
    Storage,
    Reads(
        _storage,
        {"type": "string", "pattern": rf"^{_SIZE}( ?\.\. ?({_SIZE}|[uU]nlimited))?$"},
    ),
]
ReplicaRange = Annotated[Replicas, Reads(_replicas, _number_or(r"[0-9]+( ?\.\. ?[0-9]+)?"))]
Retention = Annotated[int, Reads(_retention, {"type": "string", "pattern": "^[0-9]+ ?d$"})]
Network = Annotated[
    IPv4Network, Reads(_network, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+){3}/[0-9]+$"})
]
EngineName = Annotated[str, Reads(_engine, {"enum": ["local", "oci"]})]
Flag = Annotated[bool, Reads(_choice(_FLAG), {"type": "boolean"})]
CommitDurability = Annotated[
    Durability, Reads(_choice(_DURABILITIES), {"enum": list(_DURABILITIES)})
]
PoolingMode = Annotated[Pooling, Reads(_choice(_POOLINGS), {"enum": list(_POOLINGS)})]
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
CoreShare = Annotated[
    float, Reads(_core_share, {"type": "number", "minimum": 0.001, "maximum": 64})
]
Region = Annotated[str, Reads(_region, {"type": "string", "pattern": "^[a-z]+(-[a-z]+)+-[0-9]+$"})]
CompartmentOcid = Annotated[str, Reads(_ocid("compartment"), _TEXT)]
VcnOcid = Annotated[str, Reads(_ocid("vcn"), _TEXT)]
VaultOcid = Annotated[str, Reads(_ocid("vault"), _TEXT)]
KeyOcid = Annotated[str, Reads(_ocid("key"), _TEXT)]
Iops = Annotated[int, Reads(_iops, {"enum": list(IOPS_TIERS)})]
PoolerMaker = Annotated[PoolerTier, Reads(_choice(_POOLER_TIERS), {"enum": list(_POOLER_TIERS)})]
Accepted = Annotated[Concession, Reads(_choice(_CONCESSIONS), {"enum": list(_CONCESSIONS)})]
