"""The loop on the in-memory engine: what it does, in which order, how often it looks."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pgherd.control.act import Actor
from pgherd.control.clock import Patience
from pgherd.control.events import Event, Finished, Late, Parked, Planned, Retrying, Started
from pgherd.control.outcome import Outcome
from pgherd.control.up import converge, preview
from pgherd.decide.actions import (
    ApplyMigrations,
    RestartInstance,
    SetOcpus,
    SetReplicas,
    Switchover,
    subject,
    summary,
)
from pgherd.errors import Impaired, InputError, NeedsHuman, TryLater
from pgherd.fleet.desired import Backup, Database, DatabaseId, Environment, Fleet
from pgherd.testing.clock import FakeClock
from pgherd.testing.fleets import database, ecommerce, environment, fleet, wishes
from pgherd.testing.memory.engine import MAX_OCPUS, MemoryEngine
from pgherd.testing.memory.migrations import MemoryMigrations
from pgherd.testing.world import World

AUTH = database("auth", replicas=(1, 3))
ORDER = database("order", replicas=(1, 3))
FLEET = fleet(AUTH, ORDER)
BUSY = TryLater("auth is busy")


class Run:
    """Runs against one world, with everything that they told."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.clock = FakeClock()
        self.patience = Patience()
        self.events: list[Event] = []

    async def up(self, fleet: Fleet = FLEET, **options: Any) -> Outcome:
        self.events.clear()
        options.setdefault("engines", {"memory": MemoryEngine(self.world)})
        return await converge(
            fleet,
            on_event=self.events.append,
            clock=self.clock,
            patience=self.patience,
            **options,
        )

    def told(self, *kinds: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    def did(self, subject_of: str) -> list[str]:
        done = (event.action for event in self.told(Finished))
        return [summary(action) for action in done if subject(action) == subject_of]


@pytest.fixture
def run() -> Run:
    return Run()


async def test_everything_comes_up_and_says_what_it_did(run: Run) -> None:
    outcome = await run.up()
    assert outcome.is_complete
    assert outcome.exit_code == 0
    assert run.did("production") == ["set up what its databases share"]
    assert run.did("production/auth") == ["create", "replicas 0 → 1"]
    assert [e.action for e in run.told(Finished)] == list(outcome.done)
    assert len(run.told(Started)) == len(outcome.done)


async def test_the_environment_is_there_before_any_of_its_databases(run: Run) -> None:
    await run.up()
    first = run.told(Started, Finished)[:2]
    assert [subject(e.action) for e in first] == ["production", "production"]


async def test_a_run_without_work_is_one_look(run: Run) -> None:
    await run.up()
    run.world.observations = 0
    outcome = await run.up()
    assert run.world.observations == 1
    assert outcome.done == ()
    assert [type(e) for e in run.events] == [Planned]
    assert run.clock.sleeps == []


async def test_a_first_run_is_two_looks(run: Run) -> None:
    await run.up(ecommerce())
    assert run.world.observations == 2
    assert sum(len(d.instances) for d in run.world.databases.values()) == 60


async def test_preview_says_what_up_does_and_does_nothing(run: Run) -> None:
    engines = {"memory": MemoryEngine(run.world)}
    found = await preview(FLEET, engines)
    assert found.troubles == found.concessions == ()
    assert run.world.steps.taken == []
    outcome = await run.up()
    assert sorted(found.plan.steps, key=repr) == sorted(outcome.done, key=repr)


async def test_an_engine_makes_what_it_can_where_that_is_accepted(run: Run) -> None:
    large = database("auth", ocpus=(2 * MAX_OCPUS, 4 * MAX_OCPUS))
    found = await preview(fleet(large), {"memory": MemoryEngine(run.world)})
    assert found.concessions == ((large.id, f"at most {MAX_OCPUS} of {4 * MAX_OCPUS} OCPUs"),)
    assert found.plan.refused == ()
    assert (await run.up(fleet(large))).is_complete
    assert run.world.databases[large.id].ocpus == MAX_OCPUS
    assert (await run.up(fleet(large))).done == ()


async def test_a_changed_retention_is_one_live_step(run: Run) -> None:
    await run.up()
    longer = replace(AUTH, backup=Backup(retention_days=9))
    outcome = await run.up(fleet(longer, ORDER))
    assert [summary(a) for a in outcome.done] == ["backup.retention 3d → 9d"]
    assert (await run.up(fleet(longer, ORDER))).done == ()


async def test_databases_out_of_reach_are_made_without_their_migrations(run: Run) -> None:
    engine = MemoryEngine(run.world)
    engine.reach = None
    migrations = MemoryMigrations(run.world, {AUTH.id: "1"})
    outcome = await converge(FLEET, {"memory": engine}, migrations=migrations)
    assert outcome.is_complete
    assert run.world.databases[AUTH.id].schema_revision is None


async def test_what_the_autopilot_chose_is_kept(run: Run) -> None:
    await run.up()
    engine = MemoryEngine(run.world)
    await engine.ensure_replicas(AUTH, 3)
    await engine.ensure_ocpus(ORDER, 64)
    for name in ("order-1", "order-2"):
        await engine.ensure_restarted(ORDER.id, name)
    assert (await run.up()).done == ()


async def test_failures_that_pass_are_waited_for(run: Run) -> None:
    run.world.fail_next("ensure_replicas", BUSY, id=AUTH.id, times=3)
    outcome = await run.up()
    assert outcome.is_complete
    assert [e.delay for e in run.told(Retrying)] == [0.5, 1.0, 2.0]
    assert run.clock.sleeps == [0.5, 1.0, 2.0]
    assert run.did("production/order") == ["create", "replicas 0 → 1"]


async def test_a_lost_answer_is_not_a_lost_effect(run: Run) -> None:
    run.world.fail_next("ensure_replicas", BUSY, id=AUTH.id, after=True)
    outcome = await run.up()
    assert outcome.is_complete
    assert run.did("production/auth") == ["create"]
    assert len(run.world.databases[AUTH.id].instances) == 2


async def test_the_same_failure_over_and_over_ends_as_late(run: Run) -> None:
    run.world.fail_next("ensure_database", BUSY, id=AUTH.id, times=100)
    outcome = await run.up()
    (trouble,) = outcome.troubles
    assert (trouble.subject, trouble.error) == ("production/auth", BUSY)
    assert outcome.exit_code == 3
    assert len(run.told(Retrying)) == run.patience.attempts - 1
    assert max(run.clock.sleeps) == run.patience.cap
    assert ORDER.id in run.world.databases


async def test_a_database_that_needs_a_human_is_parked_and_the_others_go_on(run: Run) -> None:
    lost = NeedsHuman("auth is damaged", "restore it")
    run.world.fail_next("ensure_database", lost, id=AUTH.id)
    outcome = await run.up()
    assert [(e.subject, e.error) for e in run.told(Parked)] == [("production/auth", lost)]
    assert run.told(Retrying) == []
    assert outcome.exit_code == 4
    assert len(run.world.databases[ORDER.id].instances) == 2


async def test_a_parked_environment_holds_back_only_its_own_databases(run: Run) -> None:
    staging = database("auth", environment("staging", network="10.1.0.0/16"))
    run.world.fail_next("ensure_environment", NeedsHuman("network is taken"))
    outcome = await run.up(fleet(AUTH, staging))
    assert [t.subject for t in outcome.troubles] == ["production"]
    assert set(run.world.databases) == {staging.id}


async def test_what_databases_can_do_without_holds_none_of_them_back(run: Run) -> None:
    impaired = Impaired("its backup repository does not start", "see its log")
    run.world.fail_next("ensure_environment", impaired, times=2, after=True)
    run.world.fail_next("ensure_database", BUSY)  # so that its environment is ensured again
    outcome = await run.up(FLEET)
    assert set(run.world.databases) == {AUTH.id, ORDER.id}
    assert [(t.subject, t.error) for t in outcome.troubles] == [("production", impaired)]
    assert [(e.subject, e.error) for e in run.told(Parked)] == [("production", impaired)]
    assert outcome.exit_code == 4


async def test_what_is_mended_meanwhile_is_no_trouble(run: Run) -> None:
    run.world.fail_next("ensure_environment", Impaired("it does not start"), after=True)
    run.world.fail_next("ensure_database", BUSY)
    assert (await run.up(fleet(AUTH))).is_complete


async def test_an_environment_is_waited_for(run: Run) -> None:
    run.world.fail_next("ensure_environment", BUSY, times=2)
    assert (await run.up()).is_complete


async def test_a_failing_database_brings_its_environment_back_first(run: Run) -> None:
    await run.up(fleet(AUTH))
    run.world.reboot()
    run.world.fail_next("ensure_database", BUSY)

    def services_die(event: Event) -> None:
        run.events.append(event)
        if isinstance(event, Retrying):
            run.world.environments["production"].parts.discard("services")

    outcome = await run.up(fleet(AUTH), engines={"memory": MemoryEngine(run.world)})
    assert outcome.is_complete
    run.world.reboot()
    run.world.fail_next("ensure_database", BUSY)
    outcome = await converge(
        fleet(AUTH),
        {"memory": MemoryEngine(run.world)},
        on_event=services_die,
        clock=run.clock,
    )
    assert outcome.is_complete
    assert [summary(a) for a in outcome.done] == ["set up what its databases share"] * 2 + [
        "repair"
    ]


async def test_what_is_not_seen_is_waited_for_and_left_alone(run: Run) -> None:
    await run.up()
    before = run.world.picture()
    run.world.hide(AUTH.id)
    outcome = await run.up(fleet(database("auth", replicas=(3, 3)), ORDER))
    assert outcome.exit_code == 3
    assert [u.subject for u in outcome.unknown] == ["production/auth"]
    assert outcome.done == ()
    assert run.world.picture() == before


async def test_what_is_seen_again_is_worked_on(run: Run) -> None:
    run.world.blind_next(TryLater("no network"), times=2)
    outcome = await run.up()
    assert outcome.is_complete
    assert run.clock.sleeps == [0.5, 1.0]


async def test_a_database_that_vanishes_from_sight_after_a_failure_ends_as_late(run: Run) -> None:
    await run.up()
    run.world.fail_next("ensure_replicas", BUSY, id=AUTH.id)

    def hide(event: Event) -> None:
        run.events.append(event)
        if isinstance(event, Retrying) and event.error is BUSY:
            run.world.hide(AUTH.id)

    outcome = await converge(
        fleet(replace(AUTH, replicas=replace(AUTH.replicas, min=3)), ORDER),
        {"memory": MemoryEngine(run.world)},
        on_event=hide,
        clock=run.clock,
    )
    assert [str(t.error) for t in outcome.troubles] == ["production/auth is not seen: no answer"]
    assert outcome.unknown == ()


async def test_settings_are_taken_over_replicas_first_and_by_a_switchover(run: Run) -> None:
    await run.up()
    wider = replace(AUTH, ocpus=replace(AUTH.ocpus, initial=4))
    outcome = await run.up(fleet(wider, ORDER))
    assert [type(a) for a in outcome.done] == [
        SetOcpus,
        RestartInstance,
        Switchover,
        RestartInstance,
    ]
    assert run.world.databases[AUTH.id].primary is run.world.databases[AUTH.id].instances["auth-2"]
    assert {i.ocpus for i in run.world.databases[AUTH.id].instances.values()} == {4}


async def test_every_restart_is_decided_on_a_fresh_look(run: Run) -> None:
    await run.up()
    wider = fleet(replace(AUTH, ocpus=replace(AUTH.ocpus, initial=4)), ORDER)
    await MemoryEngine(run.world).ensure_ocpus(AUTH, 4)

    run.events.clear()

    def lose_the_replica(event: Event) -> None:
        run.events.append(event)
        if isinstance(event, Finished) and summary(event.action) == "restart auth-2":
            run.world.break_instance(AUTH.id, "auth-2")

    outcome = await converge(
        wider,
        {"memory": MemoryEngine(run.world)},
        on_event=lose_the_replica,
        clock=run.clock,
    )
    assert outcome.is_complete
    assert run.did("production/auth") == [
        "restart auth-2",
        "repair",
        "switchover auth-1 → auth-2",
        "restart auth-1",
    ]


class Shrugging(MemoryEngine):
    """Says yes to sizes and changes none."""

    async def ensure_ocpus(self, database: Database, ocpus: int) -> None:
        return None


async def test_what_is_done_again_and_again_without_effect_ends_as_late(run: Run) -> None:
    await run.up()
    wider = fleet(replace(AUTH, ocpus=replace(AUTH.ocpus, initial=4)), ORDER)
    outcome = await run.up(wider, engines={"memory": Shrugging(run.world)})
    (trouble,) = outcome.troubles
    assert str(trouble.error) == (
        "production/auth: ocpus 2 → 4 was done 8 times and is wanted again"
    )
    assert len(outcome.done) == run.patience.attempts


class Slow(MemoryEngine):
    """Takes its time, and notes how many databases it works on at once."""

    def __init__(self, world: World, clock: FakeClock, concurrency: int = 8) -> None:
        super().__init__(world, concurrency=concurrency)
        self.clock = clock
        self.at_work: set[DatabaseId] = set()
        self.most = 0

    async def ensure_database(self, database: Database) -> None:
        self.at_work.add(database.id)
        self.most = max(self.most, len(self.at_work))
        await self.clock.sleep(700)
        await super().ensure_database(database)
        self.at_work.remove(database.id)


async def test_a_late_database_is_reported_and_not_aborted(run: Run) -> None:
    outcome = await run.up(fleet(AUTH), engines={"memory": Slow(run.world, run.clock)})
    assert [(e.subject, e.seconds) for e in run.told(Late)] == [("production/auth", 600.0)]
    assert outcome.is_complete


async def test_after_its_deadline_a_database_is_not_tried_again(run: Run) -> None:
    run.world.fail_next("ensure_database", BUSY)
    outcome = await run.up(fleet(AUTH), engines={"memory": Slow(run.world, run.clock)})
    assert [t.error for t in outcome.troubles] == [BUSY]
    assert run.told(Retrying) == []


async def test_no_more_databases_are_worked_on_than_the_engine_allows(run: Run) -> None:
    slow = Slow(run.world, run.clock, concurrency=3)
    await run.up(ecommerce(), engines={"memory": slow})
    assert slow.most == 3


async def test_a_database_does_not_wait_for_another(run: Run) -> None:
    gate = asyncio.Event()

    class Held(MemoryEngine):
        async def ensure_database(self, database: Database) -> None:
            if database.id == AUTH.id:
                await gate.wait()
            await super().ensure_database(database)

    def open_gate(event: Event) -> None:
        if isinstance(event, Finished) and isinstance(event.action, SetReplicas):
            assert event.action.id == ORDER.id or gate.is_set()
            gate.set()

    engines = {"memory": Held(run.world)}
    outcome = await converge(FLEET, engines, on_event=open_gate, clock=run.clock)
    assert outcome.is_complete


async def test_migrations_run_after_the_replicas(run: Run) -> None:
    migrations = MemoryMigrations(run.world, {AUTH.id: "0001"})
    await run.up(migrations=migrations)
    assert run.did("production/auth") == ["create", "replicas 0 → 1", "migrations none → 0001"]
    assert (await run.up(migrations=migrations)).done == ()
    newer = MemoryMigrations(run.world, {AUTH.id: "0002"})
    await run.up(migrations=newer)
    assert run.did("production/auth") == ["migrations 0001 → 0002"]


class BadFolder(MemoryMigrations):
    def head(self, database: Database) -> str | None:
        raise InputError(f"{database.id} has two heads")


async def test_migrations_with_nothing_that_applies_them_are_an_input_error(run: Run) -> None:
    actor = Actor(wishes(FLEET), None)
    with pytest.raises(InputError, match="nothing applies it"):
        await actor.act(ApplyMigrations(AUTH.id, None, "0001", "why"), MemoryEngine(run.world))


async def test_a_bad_migrations_folder_keeps_only_its_migrations_back(run: Run) -> None:
    outcome = await run.up(fleet(AUTH), migrations=BadFolder(run.world, {}))
    assert [str(e) for e in outcome.errors] == ["production/auth has two heads"]
    assert outcome.exit_code == 2
    assert len(run.world.databases[AUTH.id].instances) == 2


async def test_each_environment_is_on_its_own_engine(run: Run) -> None:
    cloud = World()
    order = database("order", environment("cloud", engine="oci", network="10.9.0.0/16"))
    engines = {"memory": MemoryEngine(run.world), "oci": MemoryEngine(cloud, name="oci")}
    outcome = await run.up(fleet(AUTH, order), engines=engines)
    assert outcome.is_complete
    assert set(run.world.databases) == {AUTH.id}
    assert set(cloud.databases) == {order.id}


async def test_one_blind_engine_does_not_hold_up_the_other(run: Run) -> None:
    cloud = World()
    cloud.blind_next(TryLater("no network"), times=100)
    order = database("order", environment("cloud", engine="oci", network="10.9.0.0/16"))
    engines = {"memory": MemoryEngine(run.world), "oci": MemoryEngine(cloud, name="oci")}
    outcome = await run.up(fleet(AUTH, order), engines=engines)
    assert AUTH.id in run.world.databases
    assert [u.subject for u in outcome.unknown] == ["cloud"]
    assert outcome.exit_code == 3


async def test_an_engine_that_is_not_there_is_an_input_error(run: Run) -> None:
    with pytest.raises(InputError, match="engine 'memory'"):
        await run.up(engines={"local": MemoryEngine(run.world, name="local")})


async def test_what_would_lose_data_is_refused_and_the_rest_is_done(run: Run) -> None:
    await run.up()
    outcome = await run.up(fleet(AUTH, database("cart")))
    assert outcome.exit_code == 2
    assert [r.flag for r in outcome.refused] == ["production/order"]
    assert {d.service for d in run.world.databases} == {"auth", "order", "cart"}
    named = await run.up(fleet(AUTH, database("cart")), allow_destroy={"production/order"})
    assert named.is_complete
    assert {d.service for d in run.world.databases} == {"auth", "cart"}


async def test_a_removed_environment_goes_with_everything_once_it_is_named(run: Run) -> None:
    staging = database("auth", environment("staging", network="10.1.0.0/16"))
    await run.up(fleet(AUTH, ORDER, staging))
    outcome = await run.up(fleet(staging), allow_destroy={"production"})
    assert outcome.is_complete
    assert set(run.world.environments) == {"staging"}


class Ailing(MemoryEngine):
    """An environment whose services never count as running."""

    async def ensure_environment(self, environment: Environment) -> None:
        await super().ensure_environment(environment)
        self.world.environments[environment.name].parts.discard("network")

    def _require_running(self, id: DatabaseId) -> None:
        return None


async def test_an_environment_is_not_ensured_for_ever(run: Run) -> None:
    outcome = await run.up(engines={"memory": Ailing(run.world)})
    assert outcome.is_complete
    assert run.did("production").count("set up what its databases share") <= 2


async def test_a_bug_of_an_engine_is_not_swallowed(run: Run) -> None:
    class Buggy(MemoryEngine):
        async def ensure_database(self, database: Database) -> None:
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        await run.up(engines={"memory": Buggy(run.world)})
    assert caught.value.split(ZeroDivisionError)[1] is None


async def test_a_cancelled_run_leaves_nothing_running_and_is_resumed(run: Run) -> None:
    task = asyncio.create_task(run.up())
    while len(run.world.steps.taken) < 5:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    taken = len(run.world.steps.taken)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(run.world.steps.taken) == taken
    assert (await run.up()).is_complete


async def test_what_the_engine_cannot_make_is_left_alone() -> None:
    run = Run()
    future = replace(AUTH, postgresql=99)
    outcome = await run.up(fleet(future, ORDER))
    assert [str(refusal.subject) for refusal in outcome.refused] == ["production/auth"]
    assert set(run.world.databases) == {ORDER.id}
    planned = (await preview(fleet(future, ORDER), {"memory": MemoryEngine(run.world)})).plan
    assert [refusal.subject for refusal in planned.refused] == ["production/auth"]
