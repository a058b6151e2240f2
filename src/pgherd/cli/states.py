"""The colours of states, the same in every verb."""

from __future__ import annotations

from pgherd.contract.observed import DatabaseState, InstanceState
from pgherd.report.proofs import OK
from pgherd.report.status import ABSENT

_STYLES = {
    DatabaseState.RUNNING.value: "green",
    InstanceState.STREAMING.value: "green",
    DatabaseState.DEGRADED.value: "yellow",
    DatabaseState.STARTING.value: "yellow",
    DatabaseState.UNAVAILABLE.value: "bold red",
    InstanceState.FAILED.value: "bold red",
    DatabaseState.UNKNOWN.value: "bold red",
    DatabaseState.STOPPED.value: "dim",
    ABSENT: "dim",
    OK: "green",
}


def style_of(cell: str) -> str:
    """The colour of a cell that is a state; none for any other."""
    return _STYLES.get(cell, "")
