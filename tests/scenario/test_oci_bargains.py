"""What a plan refuses on the local OCI, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from oci_story import QUICK, Story, insisting

from pgherd.contract.backups import Moment
from pgherd.control.clock import SystemClock
from pgherd.control.restore import restore, restored
from pgherd.control.up import preview
from pgherd.engines.oci.values import OciValues
from pgherd.fleet.desired import Fleet, Ocpus
from pgherd.testing.fleets import database, environment, fleet
from pgherd.testing.oci.server import LocalOci

pytestmark = pytest.mark.local_oci

PRODUCTION = environment("production", engine="oci")
AUTH = database("auth", PRODUCTION, replicas=(0, 2), ocpus=(2, 16))
ORDER = database("order", PRODUCTION, replicas=(0, 0), ocpus=(2, 16))


@pytest.fixture
def story(cloud: LocalOci, tmp_path: Path) -> Story:
    return Story(cloud, fleet(AUTH), tmp_path / "state")


async def refused(story: Story) -> dict[str, set[str]]:
    """What a plan says of each database that it refuses."""
    found: dict[str, set[str]] = {}
    for one in (await preview(story.fleet, {"oci": story.engine()})).plan.refused:
        found.setdefault(one.subject, set()).add(one.message)
    return found


async def up(story: Story) -> None:
    outcome = await insisting(story.up)
    assert outcome.is_complete, [e.message for e in outcome.errors]


def without_pooler(found: Fleet) -> Fleet:
    """The same, with nothing stated of poolers."""
    (one,) = found.environments
    around = one.with_values("oci", replace(one.values_of(OciValues), pooler=None))
    databases = tuple(replace(d, environment=around) for d in found.databases)
    return replace(found, environments=(around,), databases=databases)


async def test_environments_share_the_limits_of_their_region(
    cloud: LocalOci, tmp_path: Path
) -> None:
    staging = environment("staging", engine="oci", network="10.1.0.0/16")
    both = fleet(AUTH, database("auth", staging, replicas=(0, 0), ocpus=(2, 16)))
    story = Story(cloud, both, tmp_path / "state")
    cloud.set_limit("db-system-count", 1)
    message = "us-ashburn-1 has room for 1 more DB systems and production, staging need 2"
    assert await refused(story) == {"production/auth": {message}, "staging/auth": {message}}
    cloud.set_limit("db-system-count", 2)
    assert await refused(story) == {}


async def test_what_exists_is_started_though_nothing_new_may_be_made(
    cloud: LocalOci, story: Story
) -> None:
    await up(story)
    await insisting(story.down)
    cloud.set_limit("db-system-count", 1)
    both = fleet(AUTH, ORDER)
    story.fleet = without_pooler(Story(cloud, both, story.state).fleet)
    assert await refused(story) == {
        "production/order": {
            "oci asks no client for a certificate",
            "us-ashburn-1 has room for 0 more DB systems and production needs 1",
        }
    }
    outcome = await story.up()
    assert outcome.troubles == ()
    assert {r.subject for r in outcome.refused} == {"production/order"}
    assert [s["lifecycleState"] for s in cloud.systems()] == ["ACTIVE"]


async def test_more_than_its_shape_has_is_refused_before_anything_is_done(
    cloud: LocalOci, story: Story
) -> None:
    await up(story)
    accepting = story.fleet
    (auth,) = accepting.databases
    (around,) = accepting.environments
    strict = around.with_values("oci", replace(around.values_of(OciValues), accept=frozenset()))
    larger = replace(auth, ocpus=Ocpus(80, 100))
    story.fleet = replace(
        accepting, environments=(strict,), databases=(replace(larger, environment=strict),)
    )
    (messages,) = (await refused(story)).values()
    assert (
        "its shape VM.Standard.E5.Flex ends at 64 OCPUs, not 100, and its series cannot change"
    ) in messages
    story.fleet = replace(accepting, databases=(larger,))
    assert await refused(story) == {}
    await up(story)
    (system,) = cloud.systems()
    assert system["instanceOcpuCount"] == 64
    assert (await story.up()).done == ()


async def test_two_domains_of_three_are_wherever_the_service_puts_nodes(
    cloud: LocalOci, story: Story
) -> None:
    (around,) = story.fleet.environments
    two = replace(around, availability_domains=2)
    story.fleet = replace(
        story.fleet,
        environments=(two,),
        databases=tuple(
            replace(d, environment=two, replicas=replace(d.replicas, min=2, max=2))
            for d in story.fleet.databases
        ),
    )
    await up(story)
    (seen,) = (await story.engine().observe()).databases.values()
    assert 3 in {i.availability_domain for i in seen.instances}  # type: ignore[union-attr]
    assert await refused(story) == {}
    assert (await story.up()).done == ()


async def test_what_a_restore_made_is_seen_at_once(cloud: LocalOci, story: Story) -> None:
    await up(story)
    cloud.advance(2 * 86400)
    engine = story.engine()
    taken_at = (await engine.backups.history(AUTH.id)).backups[0].taken_at
    target = restored(story.fleet, AUTH.id, "rescued")
    await restore(
        {"oci": engine},
        AUTH.id,
        target,
        Moment(taken_at + timedelta(minutes=1)),
        region=None,
        masking="",
        overwrites=False,
        clock=SystemClock(),
        patience=QUICK,
    )
    assert target.id in (await engine.observe()).databases
