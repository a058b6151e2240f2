"""Who leads next where a person asks: the one that was named, or the best replica."""

from __future__ import annotations

import pytest

from pgherd.engines.local.agent.heir import heir
from pgherd.engines.local.agent.parts import Instance, Leader, Replication
from pgherd.engines.local.agent.seen import Seen
from pgherd.errors import InputError


def seen(*names: str, **lags: int) -> Seen:
    """The first leads; `lags` are of the replicas that stream."""
    return Seen(
        {name: Instance() for name in names},
        leader=Leader("a", 1),
        replication={n: Replication("streaming", lag) for n, lag in lags.items()},
    )


def test_the_one_that_is_named_leads() -> None:
    assert heir("shop/auth", seen("a", "b", "c", c=0), "b") == "b"
    assert heir("shop/auth", seen("a"), "a") == "a"


def test_else_the_replica_that_is_the_least_behind() -> None:
    assert heir("shop/auth", seen("a", "b", "c", b=7, c=3), None) == "c"


def test_a_name_that_no_instance_has_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(InputError, match="x is not an instance of shop/auth") as found:
        heir("shop/auth", seen("a", "b"), "x")
    assert found.value.hint == "write one of a, b"


def test_without_replicas_it_says_what_to_write() -> None:
    for alone in (seen("a"), Seen({"a": Instance()})):
        with pytest.raises(InputError) as found:
            heir("shop/auth", alone, None)
        assert found.value.message == "shop/auth has no replicas"
        assert found.value.hint == (
            "write replicas: 1 or more for it in the fleet file, then run `pgherd up`"
        )


def test_replicas_that_do_not_stream_are_another_matter() -> None:
    with pytest.raises(InputError, match="shop/auth has no replica that streams"):
        heir("shop/auth", seen("a", "b"), None)
