"""What the agent tells that it did, as it is read: bounded, whoever tells it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pgherd.contract.happenings import HappeningKind
from pgherd.engines.local.happened import (
    LONGEST,
    MOST,
    MOST_PHASES,
    AllHappened,
    Happened,
    happenings,
    joined,
)
from pgherd.fleet.desired import DatabaseId

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
ONE = Happened(1, AT, HappeningKind.FAILOVER, "lab/auth", "it died", phases={"held_ms": 12.0})


def told(*numbers: int, source: str = "a") -> AllHappened:
    return AllHappened(source, tuple(replace(ONE, number=number) for number in numbers))


def numbers(told: AllHappened) -> list[int]:
    return [one.number for one in told.found]


def test_it_is_read_as_it_was_told() -> None:
    text = msgspec.json.encode(told(1, 2))
    assert msgspec.json.decode(text, type=AllHappened) == told(1, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": -1},
        {"kind": "scale"},
        {"reason": "x" * (LONGEST + 1)},
        {"instance": "x" * (LONGEST + 1)},
        {"at": "2026-11-27T12:00:00"},
        {"phases": {"held_ms": -1.0}},
        {"phases": {"x" * (LONGEST + 1): 1.0}},
        {"phases": {"held_ms": "12"}},
        {"phases": {str(number): 1.0 for number in range(MOST_PHASES + 1)}},
    ],
)
def test_what_no_agent_tells_is_not_read(changes: dict[str, Any]) -> None:
    known = msgspec.to_builtins(ONE)
    text = msgspec.json.encode({"source": "a", "found": [{**known, **changes}]})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=AllHappened)


def test_more_than_an_agent_keeps_is_not_read() -> None:
    text = msgspec.json.encode(told(*range(MOST + 1)))
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=AllHappened)


def test_what_comes_is_joined_to_what_was_known() -> None:
    assert numbers(joined(AllHappened(), told(1, 2))) == [1, 2]
    assert numbers(joined(told(1, 2), told(2, 3))) == [1, 2, 3]
    assert numbers(joined(told(1, 2), told())) == [1, 2]
    assert numbers(joined(told(1, 2), told(1, source="b"))) == [1]
    assert numbers(joined(told(*range(MOST)), told(MOST)))[0] == 1


def test_only_what_concerns_known_databases_is_told_on() -> None:
    auth, order = DatabaseId("lab", "auth"), DatabaseId("lab", "order")
    found = happenings(told(7), [auth, order])
    assert (found.source, [(one.number, one.database) for one in found.found]) == ("a", [(7, auth)])
    assert found.found[0].phases == {"held_ms": 12.0}
    assert happenings(told(7), [order]).found == []
