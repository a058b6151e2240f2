"""Terraform makes an environment, and pgherd takes it over: nothing is made twice."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from oci_story import Story, made
from terraform_player import Player

from pgherd.contract.observed import DatabaseState, Observation
from pgherd.engines.oci import poolers
from pgherd.engines.oci.estate import Estate
from pgherd.engines.oci.names import Owner
from pgherd.engines.oci.sdk import Cloud
from pgherd.engines.oci.terraform import configuration
from pgherd.fleet.desired import Fleet
from pgherd.testing.fleets import database, environment, fleet
from pgherd.testing.oci.server import LocalOci

pytestmark = pytest.mark.local_oci


def small() -> Fleet:
    production = environment("production", engine="oci")
    development = environment(
        "development", engine="oci", network="10.2.0.0/16", availability_domains=1
    )
    return fleet(
        database("auth", production, replicas=(1, 3)), database("auth", development, ocpus=(2, 8))
    )


async def test_what_terraform_made_is_taken_over(cloud: LocalOci, tmp_path: Path) -> None:
    story = Story(cloud, small(), tmp_path / "state")
    with ThreadPoolExecutor(4) as threads:
        sdk = Cloud("DEFAULT", "us-ashburn-1", threads)
        for place in story.fleet.environments:
            await Player(configuration(story.fleet, place), sdk).apply()
        before = len(cloud.calls)

        outcome = await story.up()

        assert outcome.is_complete, outcome
        changes = {
            c.operation
            for c in cloud.calls[before:]
            if not c.operation.startswith(("get_", "list_", "summarize_"))
        }
        assert changes == {"update_instance"}, "only the poolers are told something"
        assert made(cloud, "db_system") == 2 and made(cloud, "secret") == 6
        seen = await story.engine().observe()
        assert isinstance(seen, Observation)
        assert {getattr(d, "state", None) for d in seen.databases.values()} == {
            DatabaseState.RUNNING
        }
        compartment = next(
            c["id"] for c in cloud.resources("compartment") if c["name"].endswith("production")
        )
        estate = Estate(sdk, Owner(story.fleet.name, "production"), compartment)
        told = await poolers.told(estate)
        assert told and all(r is not None and set(r.databases) == {"auth"} for r in told)

        before = len(cloud.calls)
        assert (await story.up()).is_complete
        assert all(c.operation.startswith(("get_", "list_")) for c in cloud.calls[before:])
