"""The fleet file's section for OCI: where an environment is, and what it may have less of.

Its rules say what OCI cannot do as far as the file alone tells; the rest is in `offers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from pgherd.engines.oci.values import Concession, OciValues, PoolerTier
from pgherd.errors import InputError
from pgherd.fleet.draft import Draft
from pgherd.fleet.keys import Section
from pgherd.fleet.problem import Problem
from pgherd.fleet.section import EngineSection
from pgherd.fleet.values import TEXT, Reads, Word, one_of
from pgherd.units import format_days, parse_whole, quoted

ENGINE = "oci"
MAX_RETENTION_DAYS = 35
"""Of automatic backups (Oracle's page on backups)."""
MAX_REPLICAS = 7
NETWORK_PREFIXES = (16, 25)
"""OCI's VCNs have /16 to /30; a sixteenth of less than a /25 holds no database."""
IOPS_TIERS = (75_000, 150_000, 225_000, 300_000)


def _is_region(text: str) -> bool:
    """It has the form of a region, as in us-ashburn-1."""
    return re.fullmatch(r"[a-z]{2,3}(-[a-z]+)+-[0-9]+", text) is not None


def _region(text: str) -> str:
    if not _is_region(text):
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


Region = Annotated[str, Reads(_region, {"type": "string", "pattern": "^[a-z]+(-[a-z]+)+-[0-9]+$"})]
CompartmentOcid = Annotated[str, Reads(_ocid("compartment"), TEXT)]
VcnOcid = Annotated[str, Reads(_ocid("vcn"), TEXT)]
VaultOcid = Annotated[str, Reads(_ocid("vault"), TEXT)]
KeyOcid = Annotated[str, Reads(_ocid("key"), TEXT)]
Iops = Annotated[int, Reads(_iops, {"enum": list(IOPS_TIERS)})]
PoolerMaker = Annotated[PoolerTier, one_of(PoolerTier)]
Accepted = Annotated[Concession, one_of(Concession)]


class OciProfile(Section):
    """Where on OCI an environment is, and what it takes from there."""

    profile: Word | None = Field(
        None,
        description="Profile of the SDK's configuration file to sign in with.",
        examples=["DEFAULT"],
    )
    region: Region | None = Field(
        None, description="Region, needed where the engine is oci.", examples=["us-ashburn-1"]
    )
    parent: CompartmentOcid | None = Field(
        None,
        description="Compartment in which the environment's own compartment is made. Without it: "
        "the tenancy's root.",
        examples=["ocid1.compartment.oc1..aaaa"],
    )
    vcn: VcnOcid | None = Field(
        None,
        description="A VCN of yours that holds the environment's network. Without it: one of its "
        "own is made.",
        examples=["ocid1.vcn.oc1.iad.aaaa"],
    )
    vault: VaultOcid | None = Field(
        None,
        description="A vault of yours. Without it: one of its own is made.",
        examples=["ocid1.vault.oc1.iad.aaaa"],
    )
    key: KeyOcid | None = Field(
        None,
        description="A key of yours in that vault. Without it: one of its own is made.",
        examples=["ocid1.key.oc1.iad.aaaa"],
    )
    iops: Iops | None = Field(
        None, description="Performance tier of each database's storage.", examples=[75000]
    )
    pooler: PoolerMaker | None = Field(
        None,
        description="Who makes the PgBouncer tier that asks for client certificates, which the "
        "service itself does not: pgherd (create), or you with its cloud-init (render). Needed.",
        examples=["create"],
    )
    accept: tuple[Accepted | None, ...] | None = Field(
        None,
        description="Where less than the file asks for is accepted: max-ocpus, storage, "
        "availability-domains, retention.",
        examples=[["max-ocpus", "storage"]],
    )


def no_more_than_it_can(draft: Draft) -> Iterator[Problem]:
    """OCI Database with PostgreSQL has limits of its own."""
    for id in draft.databases_on(ENGINE):
        accept = draft.environment_setting(id.environment, ENGINE, "accept").value or ()
        retention = draft.setting(id, "backup", "retention")
        if (
            retention.path
            and retention.value
            and retention.value > MAX_RETENTION_DAYS
            and Concession.RETENTION not in accept
        ):
            longest = format_days(MAX_RETENTION_DAYS)
            message = f"oci keeps backups for at most {longest}"
            hint = f"write {longest} or less, or oci: {{accept: [{Concession.RETENTION}]}}"
            yield draft.problem(retention.path, "retention", message, hint)
        replicas = draft.setting(id, "replicas")
        if replicas.path and replicas.value and replicas.value.max > MAX_REPLICAS:
            message = f"oci has at most {MAX_REPLICAS} replicas"
            hint = f"write {MAX_REPLICAS} or less"
            yield draft.problem(replicas.path, "replicas", message, hint)


def copies_go_to_other_regions(draft: Draft) -> Iterator[Problem]:
    """A copy in the database's own region is lost with it."""
    for id in draft.databases_on(ENGINE):
        own = draft.environment_setting(id.environment, ENGINE, "region").value
        copies = draft.setting(id, "backup", "copy_to")
        for index, region in enumerate(copies.value or () if copies.path else ()):
            path = (*copies.path, index) if copies.path else ()
            if region is not None and region == own:
                message = f"{quoted(region)} is the region of the database itself"
                yield draft.problem(path, "copy_to", message, "write another region")
            elif region is not None and not _is_region(region):
                message = f"{quoted(region)} is not a region of oci"
                yield draft.problem(path, "copy_to", message, "write one as in us-phoenix-1")


def networks_fit(draft: Draft) -> Iterator[Problem]:
    """A VCN of OCI has /16 to /30, and a sixteenth of less than a /25 holds no database."""
    low, high = NETWORK_PREFIXES
    for environment in draft.environments_on(ENGINE):
        setting = draft.environment_setting(environment, "network")
        if (
            setting.path
            and setting.value is not None
            and not low <= setting.value.prefixlen <= high
        ):
            message = f"{setting.value} does not fit a VCN of oci"
            yield draft.problem(setting.path, "network", message, f"write a /{low} to /{high}")


def _resolve(settings: Mapping[str, Any]) -> OciValues:
    return OciValues(**{**settings, "accept": frozenset(settings["accept"])})


OCI = EngineSection(
    engine=ENGINE,
    means="Where on OCI it is, for the oci engine.",
    example={"region": "us-ashburn-1", "pooler": "create"},
    defaults={"profile": "DEFAULT", "iops": "75000", "accept": []},
    keys=OciProfile,
    resolve=_resolve,
    rules=(no_more_than_it_can, copies_go_to_other_regions, networks_fit),
)
