"""Drills on the local OCI: what is made is looked at and deleted, whatever comes between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from oci_story import Story, made, picture

from pgherd.contract.access import Access
from pgherd.contract.backups import Moment
from pgherd.contract.observed import DatabaseState, ObservedDatabase
from pgherd.contract.proofs import Check
from pgherd.engines.oci import looking
from pgherd.engines.oci import proofs as drills
from pgherd.engines.oci.engine import OciEngine
from pgherd.engines.oci.proofs import OciProofs
from pgherd.engines.oci.routes import METADATA_KEY, read
from pgherd.errors import Busy, InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import DatabaseId
from pgherd.testing.fleets import database, environment, fleet
from pgherd.testing.oci.server import Call, LocalOci

pytestmark = pytest.mark.local_oci

AUTH = database("auth", environment("production", engine="oci"), ocpus=(4, 128), replicas=(1, 3))
WELL = (Check("tables", ok=True, detail="2 tables, 5 rows"),)
DAMAGED = (Check("tables", ok=False, detail="invalid page in block 7"),)
CREATE = "CREATE_POSTGRESQL_DB_SYSTEM"


class Played:
    """Looks as somebody near; `then` is done while the copy is there."""

    def __init__(self) -> None:
        self.near = True
        self.found: tuple[Check, ...] = WELL
        self.deaf = 0
        self.looked: list[str] = []
        self.then: Callable[[DatabaseId], Awaitable[None]] | None = None

    async def is_near(self, addresses: Sequence[str], port: int) -> bool:
        assert (addresses, port) == (["10.0.16.2", "10.0.16.3"], 6432)
        return self.near

    async def answer(self, access: Access) -> None:
        if self.deaf:
            self.deaf -= 1
            raise TryLater("no such database")

    async def checks(self, access: Access) -> tuple[Check, ...]:
        assert access.certificate is not None
        assert access.certificate.exists()
        assert access.user == access.database
        self.looked.append(access.user)
        if self.then:
            await self.then(DatabaseId("production", access.user))
        return self.found


@pytest.fixture
def looks() -> Played:
    return Played()


@pytest.fixture
async def story(cloud: LocalOci, tmp_path: Path) -> Story:
    """A database that is up and backed up."""
    story = Story(cloud, fleet(AUTH), tmp_path / "state")
    assert (await story.up()).is_complete
    cloud.rows(system(cloud)["id"]).append("early")
    await story.engine().backups.back_up(AUTH.id)
    return story


def drilled(story: Story, looks: Played) -> OciEngine:
    """A new process's engine, with these looks."""
    engine = story.engine()
    engine.proofs = OciProofs(engine._tenancy, engine._eye, looks)
    return engine


def system(cloud: LocalOci, service: str = "auth") -> dict[str, Any]:
    (found,) = [s for s in cloud.systems() if s["freeformTags"]["pgherd-service"] == service]
    return found


def creations(cloud: LocalOci) -> int:
    return sum(call.operation == "create_db_system" for call in cloud.calls)


def routed(cloud: LocalOci) -> set[str]:
    told = [read(i["metadata"].get(METADATA_KEY)) for i in cloud.resources("instance")]
    return {service for one in told if one for service in one.databases}


async def test_the_newest_moment_is_looked_at_in_the_smallest_system_and_nothing_is_left(
    story: Story, looks: Played
) -> None:
    cloud, before = story.cloud, picture(story.cloud)
    seen: list[dict[str, Any]] = []

    async def then(copy: DatabaseId) -> None:
        found = system(cloud, copy.service)
        seen.append({**found, "rows": list(cloud.rows(found["id"]))})
        observed = (await story.engine().observe()).databases[copy]
        assert isinstance(observed, ObservedDatabase)
        assert observed.state is DatabaseState.RUNNING

    looks.then, looks.deaf = then, 2
    await asyncio.sleep(1.1)  # so that what was written is before the last second that is whole
    engine = drilled(story, looks)
    asked = datetime.now(UTC)
    proof = await engine.proofs.prove(AUTH.id)

    assert proof.ok
    assert [c.name for c in proof.checks] == ["restored", "answers", "tables"]
    assert proof.restored_to is not None
    assert asked - timedelta(seconds=30) < proof.restored_to <= datetime.now(UTC)
    assert (proof.rto_seconds or 0) > 0
    assert (proof.rpo_seconds or 0) < 30
    (copy,) = seen
    assert copy["rows"] == ["early"]
    assert (copy["instanceOcpuCount"], len(copy["instances"])) == (1, 1)
    assert copy["managementPolicy"]["backupPolicy"]["kind"] == "NONE"
    assert copy["managementPolicy"]["pitrPolicy"]["kind"] == "NONE"

    assert picture(cloud) == before
    assert routed(cloud) == {"auth"}
    assert not list((story.state / "production").glob("pgherd-drill-*"))
    assert await drilled(story, looks).proofs.known(AUTH.id) == (proof,)


async def test_a_copy_that_is_no_good_is_deleted_and_told_of(story: Story, looks: Played) -> None:
    before = picture(story.cloud)
    looks.found = DAMAGED
    proof = await drilled(story, looks).proofs.prove(AUTH.id)
    assert not proof.ok
    assert proof.failed == DAMAGED[0]
    assert picture(story.cloud) == before
    looks.found = WELL
    again = await drilled(story, looks).proofs.prove(AUTH.id)
    assert await story.engine().proofs.known(AUTH.id) == (again,)


async def test_a_copy_that_never_answers_is_deleted(
    story: Story, looks: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drills, "ANSWER_SECONDS", 1.0)
    before = picture(story.cloud)
    looks.deaf = 1000
    proof = await drilled(story, looks).proofs.prove(AUTH.id)
    assert proof.failed == Check("answers", ok=False, detail="no such database")
    assert (proof.rto_seconds, looks.looked) == (None, [])
    assert picture(story.cloud) == before


async def test_a_restore_that_fails_is_a_proof_of_nothing(story: Story, looks: Played) -> None:
    before = picture(story.cloud)
    story.cloud.fail_work(CREATE)
    proof = await drilled(story, looks).proofs.prove(AUTH.id)
    assert proof.failed is not None
    assert proof.failed.name == "restored"
    assert (proof.ok, proof.restored_to, proof.rpo_seconds) == (False, None, None)
    assert picture(story.cloud) == before


async def test_what_is_refused_before_it_begins_says_nothing_of_backups(
    story: Story, looks: Played
) -> None:
    story.cloud.fail("create_db_system", "limit")
    with pytest.raises(NeedsHuman, match="oci refuses"):
        await drilled(story, looks).proofs.prove(AUTH.id)
    assert await story.engine().proofs.known(AUTH.id) == ()


async def test_what_breaks_off_leaves_nothing(story: Story, looks: Played) -> None:
    before = picture(story.cloud)

    async def then(copy: DatabaseId) -> None:
        raise asyncio.CancelledError

    looks.then = then
    with pytest.raises(asyncio.CancelledError):
        await drilled(story, looks).proofs.prove(AUTH.id)
    assert picture(story.cloud) == before


async def test_what_was_made_though_the_answer_was_lost_is_deleted(
    story: Story, looks: Played
) -> None:
    before = picture(story.cloud)
    story.cloud.fail("create_db_system", "lost", times=100)
    with pytest.raises(TryLater):
        await drilled(story, looks).proofs.prove(AUTH.id)
    assert made(story.cloud, "db_system") == 2
    assert picture(story.cloud) == before


async def test_what_is_made_after_the_drill_was_called_off_is_deleted(
    story: Story, looks: Played
) -> None:
    before, loop = picture(story.cloud), asyncio.get_running_loop()
    drill = asyncio.ensure_future(drilled(story, looks).proofs.prove(AUTH.id))

    def call_off(call: Call) -> None:
        if call.operation == "create_db_system":
            loop.call_soon_threadsafe(drill.cancel)
            time.sleep(0.5)

    story.cloud.on_call = call_off
    with pytest.raises(asyncio.CancelledError):
        await drill
    assert made(story.cloud, "db_system") == 2
    assert picture(story.cloud) == before


async def test_a_deletion_that_is_refused_for_now_is_tried_again(
    story: Story, looks: Played
) -> None:
    before = picture(story.cloud)
    story.cloud.fail("delete_db_system", "conflict", times=4)
    assert (await drilled(story, looks).proofs.prove(AUTH.id)).ok
    assert story.cloud.faults_left == 0
    assert picture(story.cloud) == before


async def test_what_a_killed_drill_left_goes_with_the_next(story: Story, looks: Played) -> None:
    before = picture(story.cloud)

    class Killed(BaseException):
        pass

    async def killed(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:

        async def then(copy: DatabaseId) -> None:
            patch.setattr(drills, "ensure_absent", killed)

        looks.then = then
        with pytest.raises(Killed):
            await drilled(story, looks).proofs.prove(AUTH.id)
    await story.up()
    assert system(story.cloud, looks.looked[0])["lifecycleState"] == "ACTIVE"
    looks.then = None
    assert (await drilled(story, looks).proofs.prove(AUTH.id)).ok
    assert looks.looked[0] == looks.looked[1]
    assert picture(story.cloud) == before


async def test_nothing_is_made_where_nobody_could_look_at_it(story: Story, looks: Played) -> None:
    before = creations(story.cloud)
    looks.near = False
    proofs = drilled(story, looks).proofs
    for call in (proofs.hire, proofs.prove):
        with pytest.raises(InputError, match="do not answer from here"):
            await call(AUTH.id)
    assert creations(story.cloud) == before


async def test_from_this_machine_poolers_of_a_network_elsewhere_are_not_seen(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "CONNECT_SECONDS", 0.2)
    with pytest.raises(InputError, match="do not answer from here"):
        await story.engine().proofs.hire(AUTH.id)


async def test_a_database_that_is_stopped_is_not_started(story: Story, looks: Played) -> None:
    await story.engine().ensure_stopped(AUTH.id)
    with pytest.raises(InputError, match="is stopped"):
        await drilled(story, looks).proofs.prove(AUTH.id)
    assert system(story.cloud)["lifecycleState"] == "INACTIVE"


async def test_one_at_a_time(story: Story, looks: Played) -> None:
    async def then(copy: DatabaseId) -> None:
        with pytest.raises(Busy):
            await drilled(story, looks).proofs.prove(AUTH.id)

    looks.then = then
    assert (await drilled(story, looks).proofs.prove(AUTH.id)).ok


async def test_a_restore_takes_the_proof_away(story: Story, looks: Played) -> None:
    engine = drilled(story, looks)
    await asyncio.sleep(1.1)
    proof = await engine.proofs.prove(AUTH.id)
    assert proof.restored_to is not None
    goal = Moment(proof.restored_to)
    beside = replace(AUTH, id=DatabaseId("production", "beside"), environment=environment_of(story))
    await engine.backups.restore(AUTH.id, beside, goal)
    assert await engine.proofs.known(beside.id) == ()
    assert await engine.proofs.known(AUTH.id) == (proof,)
    await engine.backups.restore(AUTH.id, story.fleet.database(AUTH.id), goal)
    assert await engine.proofs.known(AUTH.id) == ()
    assert list(story.cloud.rows(system(story.cloud)["id"])) == ["early"]


def environment_of(story: Story) -> Any:
    return story.fleet.environment("production")


async def test_what_it_costs_is_the_smallest_system_and_what_is_used(
    story: Story, looks: Played
) -> None:
    proofs = drilled(story, looks).proofs
    hire = await proofs.hire(AUTH.id)
    assert (hire.ocpus, hire.storage_bytes) == (1, None)
    story.cloud.set_metric(system(story.cloud)["id"], "UsedStorage", 5e9)
    assert (await proofs.hire(AUTH.id)).storage_bytes == 5_000_000_000
    assert creations(story.cloud) == 1
