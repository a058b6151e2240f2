"""What the agent says, as the contract's words."""

from dataclasses import replace
from typing import Any

import pytest
from local_fleet import ALONE, AUTH, LAYOUT, PRODUCTION

from pgherd.engine import DatabaseState, InstanceState, ObservedDatabase, Role, Unknown
from pgherd.engines.local.manifest import DatabaseManifest
from pgherd.engines.local.observation import with_agent, without_agent
from pgherd.fleet.desired import Durability


def instance(replication: str | None = None, **more: Any) -> dict[str, Any]:
    """An instance as the agent sees it."""
    return {
        "process": 4711,
        "member": {"state": "running"},
        "replication": replication,
        "lag_bytes": 0 if replication else None,
    } | more


def healthy() -> dict[str, Any]:
    """production/auth, all of it well, as the agent sees it."""
    return {
        "leader": "auth-1",
        "routed": "auth-1",
        "schema_revision": "0003",
        "synchronous": ["auth-2", "auth-3"],
        "pooler": True,
        "instances": {
            "auth-1": instance(),
            "auth-2": instance("streaming", lag_bytes=16),
            "auth-3": instance("streaming"),
        },
    }


def seen(
    agent: dict[str, Any], manifest: DatabaseManifest = AUTH, etcd: bool = True
) -> ObservedDatabase | Unknown:
    status = {
        "environments": {"production": etcd},
        "databases": {str(manifest.id): agent},
        "due": [],
    }
    return with_agent([PRODUCTION], [manifest], status).databases[manifest.id]


def database(agent: dict[str, Any], manifest: DatabaseManifest = AUTH) -> ObservedDatabase:
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
    agent = healthy()
    agent["instances"]["auth-2"] = instance("catchup")
    found = database(agent)
    assert found.state is DatabaseState.DEGRADED
    assert states(found)[1] is InstanceState.STARTING


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (instance(process=None), InstanceState.STOPPED),
        (instance(member={"state": "start failed"}), InstanceState.FAILED),
        (instance(member={}), InstanceState.STARTING),
        (instance(member={"state": "starting"}), InstanceState.STARTING),
    ],
)
def test_a_replica_that_is_not_there(said: dict[str, Any], state: InstanceState) -> None:
    agent = healthy()
    agent["instances"]["auth-3"] = said
    found = database(agent)
    assert states(found)[2] is state
    assert found.state is DatabaseState.DEGRADED


def test_a_leader_that_the_pooler_does_not_reach_yet() -> None:
    for agent in (healthy() | {"routed": None}, healthy() | {"pooler": False}):
        found = database(agent)
        assert found.primary is None
        assert states(found)[0] is InstanceState.STARTING
        assert found.state is DatabaseState.UNAVAILABLE


def test_no_leader() -> None:
    agent = healthy() | {"leader": None, "routed": None, "synchronous": []}
    found = database(agent)
    assert found.state is DatabaseState.STARTING
    assert found.primary is None
    assert found.durability is Durability.ASYNCHRONOUS


def test_settings_that_wait_for_a_restart() -> None:
    agent = healthy()
    agent["instances"]["auth-2"]["member"]["pending_restart"] = True
    assert database(agent).restart_pending == ("auth-2",)


def test_an_instance_that_the_agent_has_not_heard_of() -> None:
    agent = healthy()
    del agent["instances"]["auth-3"]
    assert states(database(agent))[2] is InstanceState.STOPPED


def test_etcd_that_does_not_answer_leaves_all_unknown() -> None:
    assert seen(healthy(), etcd=False) == Unknown("etcd of production does not answer")
    status = {"environments": {"production": False}, "databases": {}, "due": []}
    found = with_agent([PRODUCTION], [], status)
    assert found.impaired == {"production": "etcd of production does not answer"}


def test_a_database_that_was_stopped() -> None:
    stopped = replace(AUTH, running=False)
    status = {"environments": {"production": True}, "databases": {}, "due": []}
    found = with_agent([PRODUCTION], [stopped], status).databases[AUTH.id]
    assert isinstance(found, ObservedDatabase)
    assert found.state is DatabaseState.STOPPED


def test_a_database_that_should_run_and_does_not() -> None:
    status = {"environments": {"production": True}, "databases": {}, "due": []}
    found = with_agent([PRODUCTION], [ALONE], status).databases[ALONE.id]
    assert isinstance(found, ObservedDatabase)
    assert found.state is DatabaseState.UNAVAILABLE


def test_a_stopped_environment() -> None:
    stopped = replace(PRODUCTION, running=False)
    found = with_agent([stopped], [], {"environments": {}, "databases": {}, "due": []})
    assert found.environments == found.stopped == frozenset({"production"})
    assert found.impaired == {}


def test_without_an_agent_only_processes_tell() -> None:
    folder = str(LAYOUT.instance(AUTH.id, 2))
    found = without_agent(LAYOUT, [PRODUCTION], [AUTH], {folder})
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
        found = without_agent(LAYOUT, [PRODUCTION], [stopped], folders).databases[AUTH.id]
        assert isinstance(found, ObservedDatabase)
        assert found.state is state


def test_due_certificates_impair_an_environment() -> None:
    status = {"environments": {"production": True}, "databases": {}, "due": ["production"]}
    found = with_agent([PRODUCTION], [], status)
    assert dict(found.impaired) == {"production": "its certificates are due"}
