"""The local OCI tells late of what was made, and brings back what is gone: nothing is doubled."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from oci_story import Story, made, quickly

from pgherd.control.outcome import Outcome
from pgherd.engines.oci.blueprint import Kind, Thing
from pgherd.engines.oci.estate import Estate
from pgherd.engines.oci.names import KEY, Owner
from pgherd.engines.oci.sdk import Cloud
from pgherd.errors import TryLater
from pgherd.testing.fleets import database, environment, fleet
from pgherd.testing.oci.server import LocalOci

pytestmark = pytest.mark.local_oci

AUTH = database("auth", environment("production", engine="oci", availability_domains=1))
OWNER = Owner("ecommerce", "production")
ONCE = ("compartment", "vcn", "vault", "key", "db_system", "instance")


@pytest.fixture
def story(cloud: LocalOci, tmp_path: Path) -> Story:
    return Story(cloud, fleet(AUTH), tmp_path / "state")


@pytest.fixture
def region(cloud: LocalOci) -> Iterator[Cloud]:
    """The first region, as the console shows it."""
    with ThreadPoolExecutor(2) as threads:
        yield Cloud("DEFAULT", cloud.regions[0], threads, sleep=quickly)


def is_complete(outcome: Outcome) -> None:
    assert outcome.is_complete, [e.message for e in outcome.errors]


async def test_what_was_just_made_answers_404_for_a_while(cloud: LocalOci, story: Story) -> None:
    looks = (
        "get_compartment",
        "get_vcn",
        "get_subnet",
        "get_vault",
        "get_key",
        "get_secret",
        "get_instance",
        "get_db_system",
        "get_work_request",
    )
    for operation in looks:
        cloud.fail(operation, "not-found", times=3)
    is_complete(await story.up())
    assert cloud.faults_left == 0
    assert {kind: made(cloud, kind) for kind in ONCE} == dict.fromkeys(ONCE, 1)
    assert made(cloud, "subnet") == 2
    assert made(cloud, "secret") == 3


async def test_a_new_compartment_answers_404_for_a_while(cloud: LocalOci, story: Story) -> None:
    lists = ("list_vcns", "list_vaults", "list_secrets", "list_instances", "list_db_systems")
    for operation in lists:
        cloud.fail(operation, "not-found")
    is_complete(await story.up())
    assert cloud.faults_left == 0
    assert {kind: made(cloud, kind) for kind in ONCE} == dict.fromkeys(ONCE, 1)


async def test_a_database_that_somebody_deletes_is_made_again(
    cloud: LocalOci, story: Story, region: Cloud
) -> None:
    is_complete(await story.up())
    (system,) = cloud.systems()
    await region.call("psql", "delete_db_system", system["id"])
    is_complete(await story.up())
    (again,) = cloud.systems()
    assert again["id"] != system["id"]
    assert again["lifecycleState"] == "ACTIVE"


def network(cloud: LocalOci, region: Cloud) -> Estate:
    """An environment, as a process of pgherd that has just started knows it."""
    return Estate(region, OWNER, next(c["id"] for c in cloud.resources("compartment")))


@pytest.fixture
async def lost(cloud: LocalOci, region: Cloud) -> Thing:
    """A network that was made, and deleted: its token brings it back, a look does not."""
    cloud.plant("compartment", cloud.regions[0], {"name": "databases"})
    values = {"cidr_blocks": ["10.0.0.0/16"]}
    vcn = Thing(Kind.VCN, "vcn", OWNER.name("vcn"), values, OWNER.tags | {KEY: "vcn"})
    estate = network(cloud, region)
    await estate.ensure(vcn)
    await estate.ensure_absent(Kind.VCN)
    return vcn


async def test_what_a_token_brings_back_may_be_new(
    cloud: LocalOci, region: Cloud, lost: Thing
) -> None:
    with pytest.raises(TryLater, match="oci does not show it"):
        await network(cloud, region).ensure(lost)
    assert made(cloud, "vcn") == 1


async def test_what_a_token_brings_back_from_long_ago_is_gone(
    cloud: LocalOci, region: Cloud, lost: Thing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgherd.engines.oci.creation.NEWS", timedelta(0))
    found = await network(cloud, region).ensure(lost)
    assert [v["id"] for v in cloud.resources("vcn") if is_there(v)] == [found.id]
    assert (await network(cloud, region).ensure(lost)).id == found.id
    assert made(cloud, "vcn") == 2


def is_there(thing: dict[str, Any]) -> bool:
    return bool(thing["lifecycleState"] == "AVAILABLE")
