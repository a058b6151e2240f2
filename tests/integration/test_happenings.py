"""What the agent does by itself is in the history, with its phases in milliseconds."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tiny_place import Place, eventually, new_place

from pgherd.autopilot.place import place_of
from pgherd.autopilot.questions import Status, ask

POOLER = "databases/lab/auth/pooler"
KINDS = ("failover", "fence", "switchover")
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def tiny() -> Iterator[Place]:
    """`auth` has a replica."""
    with new_place(has_autopilot=True) as place:
        place.up()
        yield place


def events(place: Place, *kinds: str) -> list[dict[str, Any]]:
    """Those of `auth`, the newest first."""
    found = json.loads(place.run("events", "lab/auth", "--json"))["events"]
    return [event for event in found if event["kind"] in kinds]


def primary(place: Place) -> str:
    instances = place.databases()["auth"]["instances"]
    return str(next(i["name"] for i in instances if i["role"] == "primary"))


def rounds_go_on(place: Place) -> None:
    """A round has ended that began from now on, or nearly."""
    since = time.time() + 3

    def has_ended() -> bool:
        found = ask(place_of(place.root.with_name(f"{place.fleet}.applied")), Status())
        return bool(found and (found.last_round_at or 0) > since)

    eventually(has_ended, 40)


def restarted(place: Place, program: str) -> list[dict[str, Any]]:
    return [event for event in events(place, "restart") if event["program"] == program]


def poolers(place: Place) -> set[int]:
    return {pid for pid, cwd in place.leaders().items() if cwd == place.root / POOLER}


def grows(phases: dict[str, float], *names: str) -> bool:
    moments = [phases[f"{name}_ms"] for name in names]
    return moments == sorted(moments) and moments[0] >= 0


def fails_over(place: Place) -> dict[str, Any]:
    """The primary's postmaster is killed: the one event that tells of it."""
    eventually(lambda: place.instances("auth") == ["running", "streaming"], 120)
    before, lost = events(place, "failover"), primary(place)
    data = place.kept("auth", lost[-1], "data")
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    eventually(lambda: len(events(place, "failover")) > len(before), 60)
    failover, *others = events(place, "failover")
    assert others == before
    assert (failover["from"], failover["to"]) == (lost, primary(place))
    assert lost != failover["to"]
    return failover


def test_a_failover_is_told_once_with_its_phases(tiny: Place) -> None:
    failover = fails_over(tiny)
    assert "process ended" in failover["reason"]
    phases = failover["phases"]
    assert grows(phases, "noticed", "held", "leader", "writable", "released"), phases
    assert grows(phases, "leader", "writable", "routed"), phases
    assert events(tiny, "fence")[0]["instance"] == failover["from"]
    said = tiny.run("why", "lab/auth")
    names = f"{failover['from']} → {failover['to']}"
    assert f"failover {names}: primary's process ended; " in said
    assert "promoted after" in said
    before = events(tiny, *KINDS)
    found = ask(place_of(tiny.root.with_name(f"{tiny.fleet}.applied")), Status())
    assert found
    assert found.controller
    os.kill(found.controller, signal.SIGKILL)
    rounds_go_on(tiny)
    assert events(tiny, *KINDS) == before, "a new controller tells it again"


def test_a_planned_switchover_is_told_as_such(tiny: Place) -> None:
    eventually(lambda: tiny.instances("auth") == ["running", "streaming"], 120)
    before, known = primary(tiny), events(tiny, *KINDS)
    tiny.run("switchover", "lab/auth")
    eventually(lambda: len(events(tiny, *KINDS)) > len(known), 60)
    switchover, *others = events(tiny, *KINDS)
    assert others == known
    assert switchover["kind"] == "switchover"
    assert (switchover["from"], switchover["to"]) == (before, primary(tiny))
    names = ("checkpointed", "held", "settled", "asked", "leader", "writable", "released")
    assert grows(switchover["phases"], *names), switchover["phases"]


def test_a_program_that_dies_again_and_again_is_one_event_with_a_count(tiny: Place) -> None:
    for _ in range(2):
        killed = tiny.program(POOLER)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda killed=killed: poolers(tiny) - {killed}, 30)
        eventually(lambda killed=killed: killed not in poolers(tiny), 30)
    eventually(lambda: sum(e.get("count", 1) for e in restarted(tiny, "PgBouncer")) == 2, 30)
    assert all("started_ms" in event["phases"] for event in restarted(tiny, "PgBouncer"))


def test_another_agent_tells_on(tiny: Place) -> None:
    rounds_go_on(tiny)
    before = events(tiny, *KINDS)
    agent = tiny.agent()
    os.kill(agent, signal.SIGKILL)
    eventually(lambda: tiny.agents() not in ([], [agent]), 30)
    rounds_go_on(tiny)
    assert events(tiny, *KINDS) == before
    fails_over(tiny)
