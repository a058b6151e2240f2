"""What the agent says, as the contract's words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from local_fleet import ALONE, AUTH, LAYOUT, PRODUCTION

from pgherd.contract.observed import DatabaseState, InstanceState, ObservedDatabase, Role, Unknown
from pgherd.engines.local.door import ClientStatus, DatabaseStatus, FleetStatus, InstanceStatus
from pgherd.engines.local.manifest import DatabaseManifest, EnvironmentManifest
from pgherd.engines.local.observation import Wanted, with_agent, without_agent
from pgherd.fleet.desired import Durability

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def wanted(environments: list[EnvironmentManifest], databases: list[DatabaseManifest]) -> Wanted:
    return Wanted(tuple(environments), tuple(databases))


def instance(replication: str | None = None, **more: Any) -> InstanceStatus:
    """An instance as the agent sees it."""
    lag = 0 if replication else None
    return replace(InstanceStatus(True, False, False, replication, lag), **more)


def healthy(**more: Any) -> DatabaseStatus:
    """production/auth, all of it well, as the agent sees it."""
    status = DatabaseStatus(
        leader="auth-1",
        serving="auth-1",
        schema_revision="0003",
        synchronous=("auth-2", "auth-3"),
        has_pooler=True,
        instances={
            "auth-1": instance(),
            "auth-2": instance("streaming", lag_bytes=16),
            "auth-3": instance("streaming"),
        },
    )
    return replace(status, **more)


def with_instances(**said: InstanceStatus) -> DatabaseStatus:
    """The same, but for these instances: `auth_2`, ..."""
    named = {name.replace("_", "-"): status for name, status in said.items()}
    return healthy(instances={**healthy().instances, **named})


def fleet(*, etcd: bool = True, due: dict[str, str] | None = None) -> FleetStatus:
    """One of whose databases the agent knows nothing."""
    return FleetStatus({"production": etcd}, {}, due or {})


def seen(
    agent: DatabaseStatus, manifest: DatabaseManifest = AUTH, etcd: bool = True
) -> ObservedDatabase | Unknown:
    status = FleetStatus({"production": etcd}, {str(manifest.id): agent}, {})
    return with_agent(wanted([PRODUCTION], [manifest]), status, NOW).databases[manifest.id]


def database(agent: DatabaseStatus, manifest: DatabaseManifest = AUTH) -> ObservedDatabase:
    found = seen(agent, manifest)
    assert isinstance(found, ObservedDatabase)
    return found


def states(found: ObservedDatabase) -> list[InstanceState]:
    return [i.state for i in found.instances]


def test_all_well() -> None:
    found = database(healthy())
    assert found.state is DatabaseState.RUNNING
    assert [i.role for i in found.instances] == [Role.PRIMARY, Role.REPLICA, Role.REPLICA]
    assert states(found) == [
        InstanceState.RUNNING,
        InstanceState.STREAMING,
        InstanceState.STREAMING,
    ]
    assert [i.lag_bytes for i in found.instances] == [None, 16, 0]
    assert [i.availability_domain for i in found.instances] == [1, 2, 3]
    assert found.primary
    assert found.primary.address == "127.7.0.3"
    assert (found.ocpus, found.postgresql, found.schema_revision) == (2, 15, "0003")
    assert found.durability is Durability.SYNCHRONOUS
    assert found.restart_pending == ()


def test_a_replica_that_does_not_stream() -> None:
    found = database(with_instances(auth_2=instance("catchup")))
    assert found.state is DatabaseState.DEGRADED
    assert states(found)[1] is InstanceState.STARTING


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (instance(has_process=False), InstanceState.STOPPED),
        (instance(has_failed=True), InstanceState.FAILED),
        (instance(), InstanceState.STARTING),
    ],
)
def test_a_replica_that_is_not_there(said: InstanceStatus, state: InstanceState) -> None:
    found = database(with_instances(auth_3=said))
    assert states(found)[2] is state
    assert found.state is DatabaseState.DEGRADED


def test_a_leader_that_the_pooler_does_not_reach_yet() -> None:
    for agent in (healthy(serving=None), healthy(has_pooler=False)):
        found = database(agent)
        assert found.primary is None
        assert states(found)[0] is InstanceState.STARTING
        assert found.state is DatabaseState.UNAVAILABLE


def test_no_leader() -> None:
    found = database(healthy(leader=None, serving=None, synchronous=()))
    assert found.state is DatabaseState.STARTING
    assert found.detail == "no instance leads"
    assert found.primary is None
    assert found.durability is Durability.ASYNCHRONOUS
    ill = with_instances(auth_2=instance(has_failed=True))
    found = database(replace(ill, leader=None, serving=None))
    assert found.detail == "no instance leads: PostgreSQL of auth-2 does not start"


def test_settings_that_wait_for_a_restart() -> None:
    found = database(with_instances(auth_2=instance("streaming", waits_for_restart=True)))
    assert found.restart_pending == ("auth-2",)


def test_an_instance_that_the_agent_has_not_heard_of() -> None:
    known = {name: said for name, said in healthy().instances.items() if name != "auth-3"}
    assert states(database(healthy(instances=known)))[2] is InstanceState.STOPPED


def test_etcd_that_does_not_answer_leaves_all_unknown() -> None:
    assert seen(healthy(), etcd=False) == Unknown("etcd of production does not answer")
    found = with_agent(wanted([PRODUCTION], []), fleet(etcd=False), NOW)
    assert found.impaired == {"production": "etcd of production does not answer"}


def test_a_database_that_was_stopped() -> None:
    stopped = replace(AUTH, running=False)
    found = with_agent(wanted([PRODUCTION], [stopped]), fleet(), NOW).databases[AUTH.id]
    assert isinstance(found, ObservedDatabase)
    assert found.state is DatabaseState.STOPPED


def test_a_database_that_should_run_and_does_not() -> None:
    found = with_agent(wanted([PRODUCTION], [ALONE]), fleet(), NOW).databases[ALONE.id]
    assert isinstance(found, ObservedDatabase)
    assert found.state is DatabaseState.UNAVAILABLE


def test_a_stopped_environment() -> None:
    stopped = replace(PRODUCTION, running=False)
    found = with_agent(wanted([stopped], []), FleetStatus({}, {}, {}), NOW)
    assert found.environments == found.stopped == frozenset({"production"})
    assert found.impaired == {}


def test_without_an_agent_only_processes_tell() -> None:
    folder = str(LAYOUT.instance(AUTH.id, 2))
    found = without_agent(LAYOUT, wanted([PRODUCTION], [AUTH]), {folder})
    assert found.impaired == {"production": "the agent does not run"}
    database = found.databases[AUTH.id]
    assert isinstance(database, ObservedDatabase)
    assert states(database) == [
        InstanceState.STOPPED,
        InstanceState.UNKNOWN,
        InstanceState.STOPPED,
    ]
    assert database.state is DatabaseState.UNAVAILABLE


def test_what_was_stopped_and_runs_on_is_not_called_stopped() -> None:
    stopped = replace(AUTH, running=False)
    running = {str(LAYOUT.instance(AUTH.id, 1))}
    for folders, state in (
        (set[str](), DatabaseState.STOPPED),
        (running, DatabaseState.UNAVAILABLE),
    ):
        found = without_agent(LAYOUT, wanted([PRODUCTION], [stopped]), folders).databases[AUTH.id]
        assert isinstance(found, ObservedDatabase)
        assert found.state is state


def test_due_certificates_impair_an_environment() -> None:
    why = "certificate authority of production has ended"
    found = with_agent(wanted([PRODUCTION], []), fleet(due={"production": why}), NOW)
    assert dict(found.impaired) == {"production": why}
    status = fleet(etcd=False, due={"production": why})
    found = with_agent(wanted([PRODUCTION], []), status, NOW)
    assert dict(found.impaired) == {"production": f"{why}; etcd of production does not answer"}


def test_a_damaged_manifest_is_the_row_of_one_database() -> None:
    damaged = Wanted((PRODUCTION,), (ALONE,), (AUTH.id,))
    found = with_agent(damaged, fleet(), NOW).databases[AUTH.id]
    assert isinstance(found, ObservedDatabase)
    assert (found.state, found.detail) == (DatabaseState.UNAVAILABLE, "its manifest is damaged")
    status = FleetStatus({"production": True}, {str(AUTH.id): healthy()}, {})
    found = with_agent(damaged, status, NOW).databases[AUTH.id]
    assert isinstance(found, ObservedDatabase)
    assert found.state is DatabaseState.DEGRADED
    assert found.primary
    assert found.primary.name == "auth-1"
    assert without_agent(LAYOUT, damaged, set()).databases[AUTH.id].detail == found.detail


def test_what_clients_find_is_the_state() -> None:
    found = database(healthy(client=ClientStatus(2.0, "")))
    assert found.state is DatabaseState.RUNNING
    assert found.answered_at == NOW - timedelta(seconds=2)
    found = database(healthy(client=ClientStatus(2.0, "no answer in 4 s")))
    assert found.state is DatabaseState.UNAVAILABLE
    assert found.detail == "clients are not served: no answer in 4 s"
    assert found.answered_at is None
    found = database(healthy(client=ClientStatus(40.0, "")))
    assert found.state is DatabaseState.UNAVAILABLE
    assert found.detail == "clients were last served 40 s ago"


def test_one_whose_making_was_cut_off_after_it_served_is_not_done() -> None:
    found = database(healthy(), replace(AUTH, made=False))
    assert found.state is DatabaseState.STARTING
    assert found.detail == "it serves; its making was not ended"
    ill = healthy(client=ClientStatus(0.0, "no password"))
    assert database(ill, replace(AUTH, made=False)).detail == "clients are not served: no password"


def test_one_whose_restore_was_cut_off_while_it_serves_is_not_done() -> None:
    found = database(healthy(), replace(AUTH, restoring="auth-1 latest", running=False))
    assert found.state is DatabaseState.STARTING
    assert found.detail == "its restore was not ended"
