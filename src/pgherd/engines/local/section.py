"""The local engine's section of the fleet file: its scale, and where backups go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from pgherd.engines.local.values import (
    NEEDED,
    Ability,
    LocalValues,
    Store,
    StoreType,
    UriStyle,
    allowed,
)
from pgherd.errors import InputError
from pgherd.fleet.document import Path
from pgherd.fleet.draft import Draft
from pgherd.fleet.keys import Section
from pgherd.fleet.names import NAME_PATTERN
from pgherd.fleet.problem import Problem
from pgherd.fleet.receiver_values import WholePath
from pgherd.fleet.section import EngineSection
from pgherd.fleet.values import TEXT, Reads, Size, one_of
from pgherd.units import quoted

ENGINE = "local"


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


CoreShare = Annotated[
    float, Reads(_core_share, {"type": "number", "minimum": 0.001, "maximum": 64})
]

Required = Annotated[Ability, one_of(Ability)]


def _one(what: str, pattern: str, example: str) -> Reads[str]:
    """Reads a word of that form: it stands in a configuration as it is."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise InputError(f"{quoted(text)} is not {what}", f"write one as in {example}")
        return text

    return Reads(parse, TEXT)


_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_PATH = r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+"
Bucket = Annotated[str, _one("a bucket", r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", "backups")]
Endpoint = Annotated[
    str, _one("an endpoint", _HOST + r"(:[0-9]{1,5})?", "s3.eu-central-1.amazonaws.com")
]
StoreRegion = Annotated[str, _one("a region", r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", "eu-central-1")]
Account = Annotated[str, _one("an account", r"[a-z0-9]{3,24}", "companybackups")]
StorePath = Annotated[str, _one("a path in a store", _PATH, "/ecommerce/production")]
Host = Annotated[str, _one("a host", _HOST, "backups.example.com")]
Login = Annotated[str, _one("a login", r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", "pgherd")]
Fingerprint = Annotated[
    str, _one("a SHA-256 in hexadecimal digits", r"[0-9a-f]{64}", "9f86d0... of 64 digits")
]
RegionName = Annotated[str, _one("a name for a region", NAME_PATTERN, "vault")]
Type = Annotated[StoreType, one_of(StoreType)]
Style = Annotated[UriStyle, one_of(UriStyle)]


class RepositoryProfile(Section):
    """A store for backups in place of a directory of this machine."""

    type: Type | None = Field(
        None,
        description="What kind of store it is: s3 (and all that is compatible), azure, gcs, sftp. "
        "Needed.",
        examples=["s3"],
    )
    bucket: Bucket | None = Field(
        None, description="s3, gcs: the bucket. Needed there.", examples=["company-backups"]
    )
    endpoint: Endpoint | None = Field(
        None,
        description="Host of the store, and a port where it is not 443; s3: needed. It speaks TLS.",
        examples=["s3.eu-central-1.amazonaws.com"],
    )
    region: StoreRegion | None = Field(
        None, description="s3: the region. Needed there.", examples=["eu-central-1"]
    )
    uri_style: Style | None = Field(
        None,
        description="s3, azure: whether the bucket is in the name of the host, or in the path, as "
        "most servers of one's own want it. Without it: host.",
        examples=["path"],
    )
    account: Account | None = Field(
        None, description="azure: the storage account. Needed there.", examples=["companybackups"]
    )
    container: Bucket | None = Field(
        None, description="azure: the container. Needed there.", examples=["backups"]
    )
    host: Endpoint | None = Field(
        None,
        description="sftp: the host, and a port where it is not 22. Needed there.",
        examples=["backups.example.com"],
    )
    user: Login | None = Field(
        None, description="sftp: who signs in there. Needed there.", examples=["pgherd"]
    )
    fingerprint: Fingerprint | None = Field(
        None,
        description="sftp: SHA-256 of the host's key, in hexadecimal digits. Needed there.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    path: StorePath | None = Field(
        None,
        description="Where in the store; no two environments share one. Without it: "
        "/FLEET/ENVIRONMENT. sftp: needed.",
        examples=["/ecommerce/production"],
    )
    key_file: WholePath | None = Field(
        None,
        description="A file with the key that opens the store, which only whoever runs pgherd may "
        "read. Needed. s3: as the AWS command line has it (`aws_access_key_id = ...`, "
        "`aws_secret_access_key = ...`); azure: the account's key, or a SAS token; gcs: the JSON "
        "of a service account; sftp: a private key in PEM.",
        examples=["/etc/pgherd/s3"],
    )
    read_key_file: WholePath | None = Field(
        None,
        description="The same with a key that can read there, and nothing else: for restores. "
        "Without it they have the other one.",
        examples=["/etc/pgherd/s3-read"],
    )
    ca_file: WholePath | None = Field(
        None,
        description="s3, azure, gcs: the certificates that are trusted. Without it: the machine's.",
        examples=["/etc/ssl/certs/company.pem"],
    )


class LocalProfile(Section):
    """The scale of the scale model: what one OCPU is where the engine is local."""

    core_per_ocpu: CoreShare | None = Field(
        None, description="Cores of this machine that one OCPU is.", examples=[0.1]
    )
    memory_per_ocpu: Size | None = Field(
        None, description="Memory of this machine that one OCPU has.", examples=["64MiB"]
    )
    require: tuple[Required | None, ...] | None = Field(
        None,
        description="What this machine must be able to do; where it cannot, nothing is made. "
        "cpu-quota: each instance has its share of the CPU, and no more.",
        examples=[["cpu-quota"]],
    )
    repository: RepositoryProfile | None = Field(
        None,
        description="The store that backups go to, taken whole from where it is stated. Without "
        "it: a directory of this machine.",
        examples=[{"type": "s3", "bucket": "company-backups", "key_file": "/etc/pgherd/s3"}],
    )
    regions: dict[RegionName, WholePath] | None = Field(
        None,
        description="Directories that copies of backups may go to, each by the name that "
        "`backup: {copy_to: [NAME]}` has.",
        examples=[{"vault": "/mnt/vault/pgherd"}],
    )


def repositories_are_whole(draft: Draft) -> Iterator[Problem]:
    """A store is found and opened by what is said of it, and no two environments share a place."""
    places: dict[tuple[str, ...], str] = {}
    for environment in draft.environments_on(ENGINE):
        setting = draft.environment_setting(environment, ENGINE, "repository")
        profile = setting.value
        if setting.path is None or profile is None:
            continue
        if profile.type is None:
            if not draft.is_stated(*setting.path, "type"):
                hint = f"write type: {' or '.join(StoreType)}"
                yield draft.problem(setting.path, "repository", "its type is not stated", hint)
            continue
        yield from _keys_fit(draft, setting.path, profile)
        place = _store(profile).place
        if profile.path and (other := places.setdefault(place, environment)) != environment:
            message = f"{other} has its backups there, too"
            yield draft.problem(setting.path, "repository", message, "give each a path of its own")


def copies_are_of_directories(draft: Draft) -> Iterator[Problem]:
    """pgherd copies no store, and no directory into another one's place."""
    told = set()
    for id in draft.databases_on(ENGINE):
        regions = draft.environment_setting(id.environment, ENGINE, "regions").value or {}
        store = draft.environment_setting(id.environment, ENGINE, "repository")
        copies = draft.setting(id, "backup", "copy_to")
        is_copied = bool({*regions} & {*(copies.value or ())})
        if store.path and copies.path and is_copied and copies.path not in told:
            told.add(copies.path)
            message = "backups that are in a store are not copied"
            hint = "have the store itself copy what is in it, or remove the regions from copy_to"
            yield draft.problem(copies.path, "copy_to", message, hint)


def streams_are_of_directories(draft: Draft) -> Iterator[Problem]:
    """What is received lies beside the archive, and goes from there once it is archived."""
    told = set()
    for id in draft.databases_on(ENGINE):
        stream = draft.setting(id, "backup", "stream")
        store = draft.environment_setting(id.environment, ENGINE, "repository")
        if store.path and stream.path and stream.value and stream.path not in told:
            told.add(stream.path)
            message = "WAL is not streamed where backups are in a store"
            yield draft.problem(stream.path, "stream", message, "remove stream, or the repository")


def _keys_fit(draft: Draft, path: Path, profile: RepositoryProfile) -> Iterator[Problem]:
    type, known = profile.type, RepositoryProfile.model_fields
    if type is None:
        return
    missing = [key for key in NEEDED[type] if not draft.is_stated(*path, key)]
    if missing:
        message = f"{type} needs {', '.join(missing)}"
        yield draft.problem(path, "repository", message, "write what is missing below repository")
    for key in known:
        if key not in allowed(type) and draft.is_stated(*path, key):
            yield draft.problem((*path, key), key, f"{type} has no {key}", "remove it")


def _store(profile: RepositoryProfile) -> Store:
    stated = {key: value for key in profile.model_fields_set if (value := getattr(profile, key))}
    return Store(**{"key_file": "", **stated})


def _resolve(settings: Mapping[str, Any]) -> LocalValues:
    return LocalValues(
        core_per_ocpu=settings["core_per_ocpu"],
        memory_per_ocpu_bytes=settings["memory_per_ocpu"],
        require=frozenset(settings["require"]),
        regions=settings["regions"],
        repository=settings["repository"] and _store(settings["repository"]),
    )


LOCAL = EngineSection(
    engine=ENGINE,
    means="The scale of the scale model, and where backups go, for the local engine.",
    example={"core_per_ocpu": 0.1, "memory_per_ocpu": "64MiB"},
    defaults={"core_per_ocpu": "0.1", "memory_per_ocpu": "64MiB", "require": [], "regions": {}},
    keys=LocalProfile,
    resolve=_resolve,
    rules=(repositories_are_whole, copies_are_of_directories, streams_are_of_directories),
    nested={"repository": RepositoryProfile},
)
