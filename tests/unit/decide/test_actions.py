"""Every action says what it is done to, what it does, and what it costs."""

import pytest

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
    StopDatabase,
    StopEnvironment,
    Switchover,
    is_disruptive,
    subject,
    summary,
)
from pgherd.fleet.desired import DatabaseId, Durability

ID = DatabaseId("production", "auth")
CALM, LOST = Interruption.NONE, Interruption.DATA_LOSS
ROLLING = Interruption.ROLLING_RESTART
SLOW, FAST = Durability.SYNCHRONOUS, Durability.ASYNCHRONOUS
RESTART = RestartInstance(ID, "auth-1", "why", Interruption.RESTART)

TABLE: list[tuple[Action, str, Interruption]] = [
    (EnsureEnvironment("production", "why"), "set up what its databases share", CALM),
    (CreateDatabase(ID, "why"), "create", CALM),
    (StartDatabase(ID, "why"), "start", CALM),
    (RepairDatabase(ID, "why"), "repair", CALM),
    (SetReplicas(ID, 1, 2, "why"), "replicas 1 → 2", CALM),
    (SetOcpus(ID, 2, 4, "why", ROLLING), "ocpus 2 → 4", ROLLING),
    (SetDurability(ID, FAST, SLOW, "why"), "durability asynchronous → synchronous", CALM),
    (RESTART, "restart auth-1", Interruption.RESTART),
    (Switchover(ID, "auth-1", "auth-2", "why"), "switchover auth-1 → auth-2", Interruption.PAUSE),
    (ApplyMigrations(ID, None, "0002", "why"), "migrations none → 0002", CALM),
    (ApplyMigrations(ID, "0001", "0002", "why"), "migrations 0001 → 0002", CALM),
    (StopDatabase(ID, "why"), "stop", Interruption.STOP),
    (StopEnvironment("production", "why"), "stop", Interruption.STOP),
    (DeleteDatabase(ID, "why"), "delete", LOST),
    (DeleteEnvironment("production", "why"), "delete", LOST),
]


@pytest.mark.parametrize(("action", "text", "interruption"), TABLE)
def test_an_action_describes_itself(action: Action, text: str, interruption: Interruption) -> None:
    assert summary(action) == text
    assert action.interruption is interruption
    of_environment = isinstance(action, EnsureEnvironment | StopEnvironment | DeleteEnvironment)
    assert subject(action) == ("production" if of_environment else "production/auth")
    assert is_disruptive(action) == isinstance(action, RestartInstance | Switchover)
