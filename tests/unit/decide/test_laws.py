"""Laws that hold for any fleet file and any world.

The world here is the smallest one that can carry out a plan: a pure function from an
observation and an action to the next observation.
"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pgherd.contract.observed import (
    DatabaseState,
    InstanceState,
    Observation,
    ObservedDatabase,
    ObservedInstance,
    Role,
    Unknown,
)
from pgherd.decide.actions import (
    Action,
    ApplyMigrations,
    CreateDatabase,
    DeleteDatabase,
    DeleteEnvironment,
    EnsureEnvironment,
    Interruption,
    RepairDatabase,
    RestartInstance,
    SetDurability,
    SetOcpus,
    SetReplicas,
    StartDatabase,
    Switchover,
    subject,
)
from pgherd.decide.plan import Plan, plan
from pgherd.decide.removal import destroy_plan, stop_plan
from pgherd.fleet.desired import Database, DatabaseId, Durability, Fleet
from pgherd.testing.fleets import database, environment, fleet, wishes

ENVIRONMENTS = ("production", "staging")
SERVICES = ("auth", "order")
IDS = [DatabaseId(e, s) for e in ENVIRONMENTS for s in SERVICES]

Databases = dict[DatabaseId, ObservedDatabase | Unknown]


@st.composite
def databases(draw: st.DrawFn, id: DatabaseId) -> Database:
    low = draw(st.integers(0, 3))
    initial = draw(st.integers(1, 4))
    return database(
        id.service,
        environment(id.environment, availability_domains=9),
        ocpus=(initial, draw(st.integers(initial, 8))),
        replicas=(low, draw(st.integers(low, 4))),
        durability=draw(st.sampled_from(Durability)),
        deletion_protection=draw(st.booleans()),
        postgresql=draw(st.sampled_from([None, None, 16, 17])),
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    chosen = draw(st.lists(st.sampled_from(IDS), unique=True))
    return fleet(*(draw(databases(id)) for id in sorted(chosen)))


@st.composite
def observed(draw: st.DrawFn, id: DatabaseId) -> ObservedDatabase:
    count = draw(st.integers(1, 5))
    names = [f"{id.service}-{n}" for n in range(1, count + 1)]
    state = draw(st.sampled_from([s for s in DatabaseState if s is not DatabaseState.UNKNOWN]))
    instances = tuple(
        draw(instance(name, state, is_primary=n == 0)) for n, name in enumerate(names)
    )
    return ObservedDatabase(
        id,
        state,
        instances,
        ocpus=draw(st.none() | st.integers(1, 10)),
        durability=draw(st.none() | st.sampled_from(Durability)),
        postgresql=17,
        schema_revision=draw(st.sampled_from([None, "0001", "0002"])),
        restart_pending=tuple(draw(st.lists(st.sampled_from(names), unique=True))),
    )


@st.composite
def instance(
    draw: st.DrawFn, name: str, state: DatabaseState, *, is_primary: bool
) -> ObservedInstance:
    serving = InstanceState.RUNNING if is_primary else InstanceState.STREAMING
    states = {
        DatabaseState.RUNNING: [serving],
        DatabaseState.DEGRADED: [serving] if is_primary else [serving, InstanceState.FAILED],
        DatabaseState.STOPPED: [InstanceState.STOPPED],
    }
    broken = [InstanceState.FAILED, InstanceState.STARTING, InstanceState.UNKNOWN]
    role = Role.PRIMARY if is_primary else Role.REPLICA
    return ObservedInstance(name, role, draw(st.sampled_from(states.get(state, broken))), 1)


@st.composite
def worlds(draw: st.DrawFn) -> Observation:
    seen: Databases = {}
    for id in draw(st.lists(st.sampled_from(IDS), unique=True)):
        seen[id] = draw(st.one_of(observed(id), observed(id), st.just(Unknown("no answer"))))
    names = {id.environment for id in seen} | set(draw(st.lists(st.sampled_from(ENVIRONMENTS))))
    impaired = draw(st.sets(st.sampled_from(sorted(names)))) if names else set()
    return Observation(frozenset(names), seen, dict.fromkeys(impaired, "broken"))


names = st.sets(st.sampled_from([*ENVIRONMENTS, *map(str, IDS)]))
heads = st.dictionaries(st.sampled_from(IDS), st.sampled_from([None, "0001", "0002"]))


def applied(world: Observation, fleet: Fleet, action: Action) -> Observation:
    """The world after an action, as the contract promises it."""
    seen: Databases = dict(world.databases)
    environments = set(world.environments)
    impaired = dict(world.impaired)
    match action:
        case EnsureEnvironment():
            environments.add(action.environment)
            impaired.pop(action.environment, None)
        case DeleteEnvironment():
            environments.discard(action.environment)
            impaired.pop(action.environment, None)
        case DeleteDatabase():
            del seen[action.id]
        case CreateDatabase():
            seen[action.id] = created(fleet.database(action.id))
        case _:
            found = seen[action.id]  # type: ignore[union-attr]
            assert isinstance(found, ObservedDatabase)
            seen[found.id] = changed(found, action)
    return Observation(frozenset(environments), seen, impaired)


def created(wanted: Database) -> ObservedDatabase:
    primary = ObservedInstance(f"{wanted.id.service}-1", Role.PRIMARY, InstanceState.RUNNING, 1)
    ocpus, durability = wanted.ocpus.initial, wanted.durability
    version = wanted.postgresql or 17
    running = DatabaseState.RUNNING
    return ObservedDatabase(wanted.id, running, (primary,), ocpus, durability, version)


def changed(seen: ObservedDatabase, action: Action) -> ObservedDatabase:
    match action:
        case StartDatabase() | RepairDatabase():
            healthy = tuple(replace(i, state=_serving(i.role)) for i in seen.instances)
            return replace(seen, state=DatabaseState.RUNNING, instances=healthy)
        case SetReplicas():
            return with_replicas(seen, action.target)
        case SetOcpus():
            return replace(seen, ocpus=action.target)
        case SetDurability():
            return replace(seen, durability=action.target)
        case RestartInstance():
            waiting = tuple(n for n in seen.restart_pending if n != action.instance)
            return replace(seen, restart_pending=waiting)
        case Switchover():
            return replace(seen, instances=tuple(swapped(i, action) for i in seen.instances))
        case ApplyMigrations():
            return replace(seen, schema_revision=action.target)
        case _:
            raise AssertionError(action)


def _serving(role: Role) -> InstanceState:
    return InstanceState.RUNNING if role is Role.PRIMARY else InstanceState.STREAMING


def swapped(instance: ObservedInstance, action: Switchover) -> ObservedInstance:
    if instance.name not in (action.current, action.target):
        return instance
    role = Role.PRIMARY if instance.name == action.target else Role.REPLICA
    return replace(instance, role=role, state=_serving(role))


def with_replicas(seen: ObservedDatabase, count: int) -> ObservedDatabase:
    primary = next(i for i in seen.instances if i.role is Role.PRIMARY)
    replicas = [i for i in seen.instances if i is not primary][:count]
    used = {i.name for i in seen.instances}
    fresh = (n for n in (f"{seen.id.service}-{k}" for k in range(1, 99)) if n not in used)
    while len(replicas) < count:
        name = next(fresh)
        replicas.append(ObservedInstance(name, Role.REPLICA, InstanceState.STREAMING, 1))
    names = {primary.name, *(i.name for i in replicas)}
    waiting = tuple(n for n in seen.restart_pending if n in names)
    return replace(seen, instances=(primary, *replicas), restart_pending=waiting)


def carried_out(
    world: Observation, fleet: Fleet, heads: dict[DatabaseId, str | None], allowed: set[str]
) -> tuple[Observation, list[Action], Plan]:
    """The world once its plans are empty, with everything that was done on the way."""
    done: list[Action] = []
    for _ in range(5):
        found = plan(wishes(fleet, migrations=heads), {"memory": world}, allow_destroy=allowed)
        if found.is_empty:
            return world, done, found
        for step in found.steps:
            check_last_healthy(world, step)
            world = applied(world, fleet, step)
            done.append(step)
    raise AssertionError(f"still wanted after five rounds: {found.steps}")


def check_last_healthy(world: Observation, step: Action) -> None:
    """No step takes the last healthy instance of a database that has more than one."""
    if not isinstance(step, RestartInstance | Switchover):
        return
    seen = world.databases[step.id]
    assert isinstance(seen, ObservedDatabase)
    taken = step.instance if isinstance(step, RestartInstance) else step.current
    rest = [i for i in seen.instances if i.serves and i.name != taken]
    assert rest or len(seen.instances) == 1
    if len(seen.instances) > 1 and isinstance(step, RestartInstance):
        assert seen.primary is not None
        assert seen.primary.name != taken
        assert step.interruption is Interruption.REPLICA_RESTART


@given(fleets(), worlds(), heads, names)
def test_what_was_applied_plans_to_nothing(
    fleet: Fleet, world: Observation, heads: dict[DatabaseId, str | None], allowed: set[str]
) -> None:
    end, done, last = carried_out(world, fleet, heads, allowed)
    refused = {r.subject for r in last.refused}
    for wanted in fleet.databases:
        seen = end.databases.get(wanted.id)
        if isinstance(seen, Unknown):
            assert seen == world.databases[wanted.id]
        elif str(wanted.id) not in refused:
            assert seen is not None
            assert seen.primary is not None
            assert all(i.serves for i in seen.instances)
            assert wanted.replicas.min <= len(seen.instances) - 1 <= wanted.replicas.max
            assert not seen.restart_pending
            assert heads.get(wanted.id) in (None, seen.schema_revision)
    assert len(done) == len(set(done))


@given(fleets(), worlds(), heads, names)
def test_no_decision_leaves_the_bounds_or_moves_what_is_within_them(
    fleet: Fleet, world: Observation, heads: dict[DatabaseId, str | None], allowed: set[str]
) -> None:
    _, done, _ = carried_out(world, fleet, heads, allowed)
    for step in done:
        if isinstance(step, SetReplicas | SetOcpus):
            wanted = fleet.database(step.id)
            low, high = (
                (wanted.replicas.min, wanted.replicas.max)
                if isinstance(step, SetReplicas)
                else (wanted.ocpus.initial, wanted.ocpus.max)
            )
            assert low <= step.target <= high
            assert not low <= step.current <= high


@given(fleets(), worlds(), heads, names)
def test_unknown_leads_to_no_action_and_lost_data_was_named(
    fleet: Fleet, world: Observation, heads: dict[DatabaseId, str | None], allowed: set[str]
) -> None:
    hidden = {str(id) for id, seen in world.databases.items() if isinstance(seen, Unknown)}
    seen = {"memory": world}
    up = plan(wishes(fleet, migrations=heads), seen, allow_destroy=allowed)
    for found in (up, stop_plan(seen), destroy_plan(fleet, seen, (), allowed)):
        assert not hidden & {subject(step) for step in found.steps}
    kept = {e.name for e in fleet.environments}
    for step in up.steps:
        if step.interruption is Interruption.DATA_LOSS:
            place = subject(step).partition("/")[0]
            assert subject(step) in allowed or (place in allowed and place not in kept)
            assert subject(step) not in {str(d.id) for d in fleet.databases}


@given(fleets(), worlds(), names)
def test_destroy_takes_what_is_protected_only_by_name(
    fleet: Fleet, world: Observation, allowed: set[str]
) -> None:
    gone = {subject(s) for s in destroy_plan(fleet, {"memory": world}, (), allowed).steps}
    for wanted in fleet.databases:
        if wanted.deletion_protection and str(wanted.id) in gone:
            assert str(wanted.id) in allowed or wanted.id.environment in allowed


@given(fleets(), heads)
def test_an_engine_that_cannot_see_leads_to_nothing(
    fleet: Fleet, heads: dict[DatabaseId, str | None]
) -> None:
    found = plan(
        wishes(fleet, migrations=heads),
        {"memory": Unknown("dark")},
        allow_destroy=set(ENVIRONMENTS),
    )
    assert found.is_empty
    assert {u.subject for u in found.unknown} == {e.name for e in fleet.environments}
