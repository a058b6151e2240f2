"""Single days of a fleet on the local OCI: what users bring, ask for, and run into."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from oci_story import QUICK, Story, insisting, made

from pgherd.contract.access import AccessRole
from pgherd.contract.backups import Latest, Moment, Point, Position, Transaction
from pgherd.contract.observed import DatabaseState, ObservedDatabase, Role
from pgherd.control.outcome import Outcome
from pgherd.control.up import converge, preview
from pgherd.engines.oci.blueprint import pooler_addresses
from pgherd.engines.oci.engine import OciEngine
from pgherd.engines.oci.routes import METADATA_KEY, Routes, read
from pgherd.engines.oci.secrets import PoolerSecret, fits
from pgherd.engines.oci.values import Concession, OciValues, PoolerTier
from pgherd.errors import InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import Environment, Fleet, Replicas
from pgherd.testing.fleets import database, environment, fleet
from pgherd.testing.memory.engine import MemoryEngine
from pgherd.testing.oci.server import LocalOci
from pgherd.testing.world import World

pytestmark = pytest.mark.local_oci

PRODUCTION = environment("production", engine="oci")
AUTH = database("auth", PRODUCTION, replicas=(1, 3))
ORDER = database("order", PRODUCTION)


@pytest.fixture
def story(cloud: LocalOci, tmp_path: Path) -> Story:
    return Story(cloud, fleet(AUTH), tmp_path / "state")


def with_oci(story: Story, **changes: Any) -> Fleet:
    """The story's fleet, with other settings of OCI."""
    found = story.fleet

    def changed(environment: Environment) -> Environment:
        return environment.with_values("oci", replace(environment.values_of(OciValues), **changes))

    return replace(
        found,
        environments=tuple(changed(e) for e in found.environments),
        databases=tuple(replace(d, environment=changed(d.environment)) for d in found.databases),
    )


async def seen(story: Story) -> ObservedDatabase:
    found = (await story.engine().observe()).databases[AUTH.id]
    assert isinstance(found, ObservedDatabase)
    return found


def secret_texts(cloud: LocalOci, part: str) -> list[bytes]:
    """What the secrets of a part say, one for each region."""
    secrets = [s for s in cloud.resources("secret") if s["freeformTags"].get("pgherd-part") == part]
    return [cloud.secret(s["id"]) for s in secrets]


def is_complete(outcome: Outcome) -> None:
    assert outcome.is_complete, [e.message for e in outcome.errors]


async def up(story: Story, fleet: Fleet | None = None) -> None:
    is_complete(await story.up(fleet))


def pooled(cloud: LocalOci) -> set[str]:
    """The databases that every pooler knows."""
    known = []
    for instance in cloud.resources("instance"):
        if instance["lifecycleState"] != "TERMINATED":
            found = read(instance["metadata"].get(METADATA_KEY))
            assert found is not None
            known.append(set(found.databases))
    assert all(names == known[0] for names in known)
    return known[0]


async def test_what_a_user_brings_is_used_and_left_behind(cloud: LocalOci, story: Story) -> None:
    region = cloud.regions[0]
    theirs = cloud.plant("compartment", region, {"name": "network-team"})
    vcn = cloud.plant(
        "vcn",
        region,
        {"compartmentId": theirs, "cidrBlocks": ["10.0.0.0/8"], "dnsLabel": "theirs"},
    )
    vault = cloud.plant("vault", region, {"compartmentId": theirs, "displayName": "theirs"})
    key = cloud.plant("key", region, {"compartmentId": theirs, "vaultId": vault})
    before = {kind: cloud.resources(kind) for kind in ("vcn", "vault", "key")}
    story.fleet = with_oci(story, vcn=vcn, vault=vault, key=key)
    for _ in range(2):
        await up(story)
        assert made(cloud, "vcn") == made(cloud, "vault") == made(cloud, "key") == 0
        (system,) = cloud.systems()
        assert system["storageDetails"]["kmsKeyId"] == key
        assert {s["vcnId"] for s in cloud.resources("subnet")} == {vcn}
        assert {s["vaultId"] for s in cloud.resources("secret")} == {vault}
        is_complete(await story.destroy())
    assert {kind: cloud.resources(kind) for kind in before} == before


async def test_poolers_that_the_user_launches(cloud: LocalOci, story: Story) -> None:
    story.fleet = with_oci(story, pooler=PoolerTier.RENDER)
    outcome = await story.up()
    (error,) = outcome.errors
    assert isinstance(error, NeedsHuman)
    assert "10.0.16.2, 10.0.16.3" in error.hint
    assert "pgherd render cloud-init production" in error.hint
    (compartment,) = [c for c in cloud.resources("compartment") if c["name"].endswith("production")]
    tags = {"pgherd-fleet": "ecommerce", "pgherd-environment": "production"}
    for number in (1, 2):
        cloud.plant(
            "instance",
            cloud.regions[0],
            {
                "compartmentId": compartment["id"],
                "displayName": f"door-{number}",
                "freeformTags": tags | {"pgherd-part": f"pooler-{number}"},
            },
        )
    await up(story)
    assert pooled(cloud) == {"auth"}
    assert made(cloud, "instance") == 2


async def test_the_other_region_has_copies_to_restore_from(
    cloud: LocalOci, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The local OCI's clock goes ahead of this machine's.
    monkeypatch.setattr("pgherd.engines.oci.estate.DELETION_GRACE", timedelta(days=12))
    copied = replace(AUTH.backup, copy_to=("us-phoenix-1",))
    story.fleet = replace(
        story.fleet, databases=tuple(replace(d, backup=copied) for d in story.fleet.databases)
    )
    await up(story)
    (system,) = cloud.systems()
    cloud.rows(system["id"]).append("paid")
    cloud.advance(2 * 86400)
    engine = story.engine()
    history = await engine.backups.history(AUTH.id)
    copies = [b for b in history.backups if b.region == "us-phoenix-1"]
    assert copies
    moment = copies[0].taken_at + timedelta(minutes=1)
    (auth,) = story.fleet.databases
    with pytest.raises(InputError, match="its copies are in us-phoenix-1"):
        await engine.backups.restore(AUTH.id, auth, Moment(moment), region="us-phoenix-1")
    copy = replace(auth, id=replace(auth.id, service="rescued"), name="rescued")
    for _ in range(2):
        await engine.backups.restore(AUTH.id, copy, Moment(moment), region="us-phoenix-1")
    (rescued,) = [s for s in cloud.systems() if s["region"] == "us-phoenix-1"]
    assert list(cloud.rows(rescued["id"])) == ["paid"]
    assert secret_texts(cloud, "admin-password") == secret_texts(cloud, "admin-password")[:1] * 2
    found = await story.engine().observe()
    assert set(found.databases) == {AUTH.id, copy.id}
    assert (await engine.access(copy.id, AccessRole.SERVICE)).user == "rescued"

    # Written into the fleet file, it stays where it is.
    adopted = replace(story.fleet, databases=(*story.fleet.databases, copy))
    assert (await story.up(adopted)).done == ()
    is_complete(await story.down())
    assert {i["lifecycleState"] for i in cloud.resources("instance")} == {"STOPPED"}
    await up(story, adopted)
    assert {i["lifecycleState"] for i in cloud.resources("instance")} == {"RUNNING"}
    assert len(cloud.systems()) == 2
    assert (await story.up(adopted)).done == ()
    is_complete(await story.destroy())
    assert cloud.systems() == []
    assert {r["lifecycleState"] for r in cloud.resources("vcn")} == {"TERMINATED"}


async def test_a_making_that_fails_needs_a_human_and_stops_nobody_else(
    cloud: LocalOci, tmp_path: Path
) -> None:
    story = Story(cloud, fleet(AUTH, ORDER), tmp_path / "state")
    cloud.fail_work("create_db_system")
    outcome = await story.up()
    (trouble,) = outcome.troubles
    assert isinstance(trouble.error, NeedsHuman)
    assert "see" in trouble.error.hint
    states = {s["displayName"]: s["lifecycleState"] for s in cloud.systems()}
    assert sorted(states.values()) == ["ACTIVE", "FAILED"]
    assert sum(made(cloud, kind) for kind in ("db_system",)) == 2
    failed = next(d.id for d in (AUTH, ORDER) if states[d.name] == "FAILED")
    await insisting(lambda: story.engine().ensure_absent(failed))
    await up(story)
    assert pooled(cloud) == {"auth", "order"}


async def test_what_the_service_cannot_do_is_said_before_anything_is_made(
    cloud: LocalOci, tmp_path: Path
) -> None:
    story = Story(cloud, fleet(AUTH, ORDER), tmp_path / "state")
    cloud.set_limit("db-system-count", 1)
    story.fleet = with_oci(story, pooler=None, accept=frozenset())
    found = await preview(story.fleet, {"oci": story.engine()})
    told = {r.message for r in found.plan.refused if r.subject == "production/auth"}
    assert told == {
        "oci asks no client for a certificate",
        "us-ashburn-1 has room for 1 more DB systems and production needs 2",
        "the largest shape in us-ashburn-1 has 126 OCPUs, not 128",
        "storage on oci ends at 32TB",
    }
    assert found.plan.is_empty
    outcome = await story.up()
    assert outcome.exit_code == 2
    assert not [c for c in cloud.calls if c.operation.startswith("create")]


async def test_fewer_domains_than_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalOci(availability_domains=1) as cloud:
        for name, value in cloud.variables(tmp_path).items():
            monkeypatch.setenv(name, value)
        story = Story(cloud, fleet(AUTH), tmp_path / "state")
        (refused,) = (await preview(story.fleet, {"oci": story.engine()})).plan.refused
        assert refused.message == "us-ashburn-1 has 1 availability domain, not 3"
        accept = story.fleet.environments[0].values_of(OciValues).accept | {
            Concession.AVAILABILITY_DOMAINS
        }
        story.fleet = with_oci(story, accept=accept)
        await up(story)
        (system,) = cloud.systems()
        assert system["storageDetails"]["isRegionallyDurable"] is False
        assert system["instanceCount"] == 2
        assert (await story.up()).done == ()


async def test_the_service_fails_over_by_itself(cloud: LocalOci, story: Story) -> None:
    await up(story)
    (system,) = cloud.systems()
    cloud.fail_over(system["id"])
    found = await seen(story)
    assert found.state is DatabaseState.RUNNING
    assert [(i.name, i.role) for i in found.instances] == [
        ("auth-1", Role.REPLICA),
        ("auth-2", Role.PRIMARY),
    ]
    assert (await story.up()).done == ()


async def test_a_pooler_that_is_lost_is_launched_again(cloud: LocalOci, story: Story) -> None:
    await up(story)
    engine = story.engine()
    held = await engine._tenancy.holding("production")
    (site,) = engine._tenancy.sites(held)
    first = cloud.resources("instance")[0]["id"]
    await site.cloud.call("compute", "terminate_instance", first)
    await asyncio.sleep(0.1)
    await insisting(story.up)
    running = [i for i in cloud.resources("instance") if i["lifecycleState"] == "RUNNING"]
    assert len(running) == 2
    assert pooled(cloud) == {"auth"}
    assert (await story.up()).done == ()


async def test_the_reader_endpoint_follows_the_replicas(cloud: LocalOci, story: Story) -> None:
    alone = replace(
        story.fleet,
        databases=tuple(replace(d, replicas=Replicas(0, 0)) for d in story.fleet.databases),
    )
    await up(story, alone)
    assert cloud.systems()[0]["networkDetails"]["isReaderEndpointEnabled"] is False
    await up(story)
    assert cloud.systems()[0]["networkDetails"]["isReaderEndpointEnabled"] is True
    assert cloud.systems()[0]["instanceCount"] == 2
    assert (await story.up()).done == ()


async def test_certificates_are_renewed_for_clients_and_poolers(
    cloud: LocalOci, story: Story
) -> None:
    await up(story)
    engine = story.engine()
    before = {c.path: c.path.read_bytes() for c in await engine.certificates.in_use()}
    assert await engine.certificates.ensure_valid("production") == 0
    assert await engine.certificates.ensure_valid("production", renew=True) == len(before) == 4
    assert all(path.read_bytes() != old for path, old in before.items())
    secrets = {s["secretName"]: s for s in cloud.resources("secret")}
    assert secrets["ecommerce-production-pooler"]["currentVersionNumber"] == 2
    # Another machine has the same authority, from the vault.
    other = Story(cloud, fleet(AUTH), story.state.with_name("other")).engine()
    both = [(await e.access(AUTH.id, AccessRole.SERVICE)).authority for e in (engine, other)]
    assert len({path.read_bytes() for path in both if path}) == 1


async def test_one_fleet_file_mixes_engines(cloud: LocalOci, tmp_path: Path) -> None:
    development = environment("development", engine="memory", network="10.2.0.0/16")
    story = Story(cloud, fleet(AUTH), tmp_path / "state")
    mixed = replace(
        story.fleet,
        environments=(*story.fleet.environments, development),
        databases=(*story.fleet.databases, database("auth", development)),
    )
    world = World()
    engines = {"oci": story.engine(), "memory": MemoryEngine(world)}
    outcome = await converge(mixed, engines, patience=QUICK)
    assert outcome.is_complete
    assert {str(id) for s in outcome.seen.values() for id in s.databases} == {  # type: ignore[union-attr]
        "production/auth",
        "development/auth",
    }


async def test_a_compartment_of_somebody_else_is_not_taken(cloud: LocalOci, story: Story) -> None:
    cloud.plant("compartment", cloud.regions[0], {"name": "ecommerce-production"})
    outcome = await story.up()
    (error,) = outcome.errors
    assert isinstance(error, InputError)
    assert "is there already and is not pgherd's" in error.message
    assert not [c for c in cloud.calls if c.operation.startswith("create")]


async def test_no_answer_is_never_not_there(cloud: LocalOci, story: Story) -> None:
    await up(story)
    cloud.fail("list_db_systems", "error", times=100)
    with pytest.raises(TryLater):
        await story.engine().observe()


async def test_the_rehearsal_for_a_real_tenancy_goes_as_it_should(
    cloud: LocalOci, tmp_path: Path
) -> None:
    program = [sys.executable, "-m", "pgherd.testing.rehearsal", "--yes"]
    done = await asyncio.to_thread(
        subprocess.run,
        [*program, "--region", cloud.regions[0], "--directory", str(tmp_path / "rehearsal")],
        env={**os.environ, "PGHERD_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all of it went as it should" in done.stdout
    assert cloud.systems() == []


async def test_a_moment_before_the_database_cannot_come_back(story: Story) -> None:
    await up(story)
    (auth,) = story.fleet.databases
    with pytest.raises(InputError, match="cannot be restored to 2020"):
        await story.engine().backups.restore(
            AUTH.id, auth, Moment(datetime(2020, 1, 1, tzinfo=UTC))
        )


async def test_a_list_that_failed_is_asked_for_again(cloud: LocalOci, story: Story) -> None:
    await up(story)
    engine = story.engine()
    cloud.fail("list_instances", "error", times=4)
    with pytest.raises(TryLater):
        await engine.observe()
    assert set((await engine.observe()).databases) == {AUTH.id}
    cloud.fail("list_vcns", "error", times=4)
    (auth,) = story.fleet.databases
    with pytest.raises(TryLater):
        await engine.ensure_database(auth)
    await engine.ensure_database(auth)


async def test_a_pooler_that_was_not_told_is_told_by_the_next_up(
    cloud: LocalOci, story: Story
) -> None:
    cloud.fail("update_instance", "error", skip=3, times=1)
    outcome = await story.up()
    assert outcome.is_complete
    assert pooled(cloud) == {"auth"}
    first = cloud.resources("instance")[0]
    engine = story.engine()
    held = await engine._tenancy.holding("production")
    site = engine._tenancy.own(held)
    cut = {**first["metadata"], METADATA_KEY: Routes("10.0.0.0/16").text()}
    await site.cloud.call("compute", "update_instance", first["id"], {"metadata": cut})
    assert (await seen(story)).state is DatabaseState.STARTING
    await up(story)
    assert pooled(cloud) == {"auth"}
    assert (await story.up()).done == ()


async def test_an_environment_ensured_beside_its_databases_keeps_their_routes(
    cloud: LocalOci, tmp_path: Path
) -> None:
    story = Story(cloud, fleet(AUTH, ORDER), tmp_path / "state")
    await up(story)
    engine = story.engine()
    (production,) = story.fleet.environments
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(engine.ensure_environment(production))
            for database in story.fleet.databases:
                group.create_task(insisting(lambda d=database: engine.ensure_database(d)))
    assert pooled(cloud) == {"auth", "order"}


async def test_a_database_that_was_replaced_is_routed_anew(cloud: LocalOci, story: Story) -> None:
    await up(story)
    (old,) = cloud.systems()
    engine = story.engine()
    held = await engine._tenancy.holding("production")
    await engine._tenancy.own(held).systems.delete(AUTH.id, old["id"])
    cloud.fail("get_connection_details", "error", times=4)
    await insisting(story.up)
    (new,) = cloud.systems()
    for instance in cloud.resources("instance"):
        told = read(instance["metadata"][METADATA_KEY])
        assert told is not None
        assert told.databases["auth"].system == new["id"] != old["id"]


async def test_an_environment_is_not_moved(cloud: LocalOci, story: Story) -> None:
    await up(story)
    elsewhere = with_oci(story, region="us-phoenix-1")
    other_name = replace(
        story.fleet,
        environments=tuple(replace(e, compartment="new") for e in story.fleet.environments),
    )
    before = len(cloud.resources("compartment"))
    for moved, what in ((elsewhere, "region us-ashburn-1"), (other_name, "compartment ecommerce")):
        engine = OciEngine("ecommerce", moved.environments, story.state)
        with pytest.raises(InputError, match=f"production is in {what}"):
            await engine.ensure_environment(moved.environments[0])
    assert len(cloud.resources("compartment")) == before


async def test_another_network_is_refused(cloud: LocalOci, story: Story) -> None:
    await up(story)
    (production,) = story.fleet.environments
    moved = replace(production, network=IPv4Network("10.9.0.0/16"))
    engine = OciEngine("ecommerce", [moved], story.state)
    with pytest.raises(InputError, match="pgherd does not change networks"):
        await engine.ensure_environment(moved)


async def test_a_second_pooler_is_in_the_certificate(cloud: LocalOci, story: Story) -> None:
    (production,) = story.fleet.environments
    one = replace(production, availability_domains=1)
    engine = OciEngine("ecommerce", [one], story.state)
    await engine.ensure_environment(one)
    engine = story.engine()
    await engine.ensure_environment(production)
    secrets = {s["secretName"]: s["id"] for s in cloud.resources("secret")}
    pair = PoolerSecret.read(cloud.secret(secrets["ecommerce-production-pooler"]).decode()).pair
    assert fits(pair, pooler_addresses(production), datetime.now(UTC))


async def test_what_the_service_cannot_restore_to_is_said_with_what_it_can(
    cloud: LocalOci, story: Story
) -> None:
    await up(story)
    cloud.advance(86400)
    (auth,) = story.fleet.databases
    backups = story.engine().backups
    for goal in (Latest(), Point("before"), Position(2**24), Transaction(745)):
        with pytest.raises(InputError, match="restores to a time only") as raised:
            await backups.restore(AUTH.id, auth, goal)
        assert re.search(r"--to \d{4}-\d\d-\d\dT", raised.value.hint)
    with pytest.raises(InputError, match="knows no points"):
        await backups.make_point(AUTH.id, "before")
