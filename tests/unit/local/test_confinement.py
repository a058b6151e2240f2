"""Which servers are limited: those that serve, and none while the primary changes."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from local_fleet import AUTH as MANIFEST

from pgherd.engines.local.agent.confinement import Confinement
from pgherd.engines.local.agent.parts import Instance, Leader, Pooler, Replication, Switch, Target
from pgherd.engines.local.agent.seen import Seen
from pgherd.engines.local.control_groups import ControlGroups
from pgherd.engines.local.control_trees import Trees
from pgherd.engines.local.processes import Identity
from pgherd.fleet.desired import DatabaseId

FIRST, SECOND = (MANIFEST.instance_name(i.number) for i in MANIFEST.instances[:2])


class Groups(ControlGroups):
    """Groups of which only who is in them is remembered."""

    def __init__(self) -> None:
        super().__init__(Trees(Path("/nowhere"), None, None, None), Path("/state"))
        self.inside: set[int] = set()
        self.moves = 0
        self.refuses = False
        self.is_there = True
        self.is_closed = False

    def has(self, id: DatabaseId, number: int) -> bool:
        if self.is_closed:
            raise PermissionError("nobody may look there")
        return self.is_there

    def take_in(self, id: DatabaseId, number: int, pids: Iterable[int]) -> None:
        if self.refuses:
            raise PermissionError("not yours")
        self.moves += 1
        self.inside |= set(pids)

    def let_out(self, pids: Iterable[int]) -> None:
        self.moves += 1
        self.inside -= set(pids)


# No process has such a number (proc(5), pid_max), so nobody's children are looked at.
SERVERS = {FIRST: Identity(2**22 + 1, 5), SECOND: Identity(2**22 + 2, 5)}


def serving() -> Seen:
    """Both serve: the first leads, the second streams."""
    instances = {
        MANIFEST.instance_name(i.number): Instance(
            postmaster=SERVERS.get(MANIFEST.instance_name(i.number))
        )
        for i in MANIFEST.instances
    }
    seen = Seen(instances, must_be_synchronous=False)
    return replace(
        seen,
        leader=Leader(FIRST, 7),
        writable=7,
        pooler=Pooler(loaded=Target(FIRST)),
        replication={SECOND: Replication("streaming", 0)},
    )


@pytest.fixture
def groups() -> Groups:
    return Groups()


def pids(*names: str) -> set[int]:
    return {SERVERS[name].pid for name in names}


def test_those_that_serve_are_taken_in_once(groups: Groups) -> None:
    confinement = Confinement(groups)
    for _ in range(3):
        confinement.follow(MANIFEST, serving())
    assert groups.inside == pids(FIRST, SECOND)
    assert groups.moves == 2


def test_one_that_does_not_stream_yet_is_left_alone(groups: Groups) -> None:
    Confinement(groups).follow(MANIFEST, replace(serving(), replication={}))
    assert groups.inside == pids(FIRST)


@pytest.mark.parametrize(
    "change",
    [
        {"leader": None},
        {"leader": Leader(SECOND, 9)},
        {"writable": None},
        {"switch": Switch(SECOND, 7, 0.0)},
    ],
    ids=str,
)
def test_all_are_let_out_while_the_primary_changes(
    groups: Groups, change: dict[str, object]
) -> None:
    confinement = Confinement(groups)
    confinement.follow(MANIFEST, serving())
    for _ in range(3):
        confinement.follow(MANIFEST, replace(serving(), **change))  # type: ignore[arg-type]
    assert groups.inside == set()
    assert groups.moves == 4
    confinement.follow(MANIFEST, serving())
    assert groups.inside == pids(FIRST, SECOND)


def test_another_server_of_an_instance_is_taken_in_anew(groups: Groups) -> None:
    confinement = Confinement(groups)
    confinement.follow(MANIFEST, serving())
    other = Identity(2**22 + 3, 9)
    seen = serving()
    instances = {**seen.instances, FIRST: replace(seen.instances[FIRST], postmaster=other)}
    confinement.follow(MANIFEST, replace(seen, instances=instances))
    assert other.pid in groups.inside


def test_nothing_happens_where_there_are_no_groups(groups: Groups) -> None:
    Confinement(None).follow(MANIFEST, serving())
    groups.is_there = False
    confinement = Confinement(groups)
    confinement.follow(MANIFEST, serving())
    assert groups.moves == 0
    groups.is_there = True
    confinement.follow(MANIFEST, serving())
    assert groups.inside == pids(FIRST, SECOND)


@pytest.mark.parametrize("is_closed", [False, True], ids=["refused", "closed"])
def test_what_is_refused_is_said_once_and_tried_again(
    groups: Groups, caplog: pytest.LogCaptureFixture, is_closed: bool
) -> None:
    groups.refuses = not is_closed
    groups.is_closed = is_closed
    confinement = Confinement(groups)
    for _ in range(3):
        confinement.follow(MANIFEST, serving())
    assert len(caplog.records) == 2  # one for each instance
    groups.refuses = groups.is_closed = False
    confinement.follow(MANIFEST, serving())
    assert groups.inside == pids(FIRST, SECOND)
