"""What Patroni's keys in etcd say."""

import json
from typing import Any

import pytest

from pgherd.engines.local.agent.keys import Keys
from pgherd.engines.local.etcd_client import KeyValue
from pgherd.engines.local.patroni import scope_prefix


def member(**said: Any) -> Keys:
    """auth-1 says so of itself."""
    keys = Keys("auth")
    keys.learn([KeyValue(f"{scope_prefix('auth')}members/auth-1", json.dumps(said), 1)])
    return keys


def change(old: object, new: object) -> dict[str, object]:
    return {"old_value": old, "new_value": new}


def test_more_of_a_setting_waits_for_a_restart() -> None:
    reasons = {"max_worker_processes": change("9", "12"), "shared_buffers": change("16MB", "8MB")}
    keys = member(pending_restart=True, pending_restart_reason=reasons)
    assert keys.waiting("auth-1") == {"max_worker_processes", "shared_buffers"}
    assert not keys.lowered("auth-1")


def test_what_a_standby_cannot_have_less_of_waits_for_none() -> None:
    reasons = {"max_connections": change("120", "80"), "max_worker_processes": change(12, 9)}
    keys = member(pending_restart=True, pending_restart_reason=reasons)
    assert not keys.waiting("auth-1")
    assert keys.lowered("auth-1") == {"max_connections", "max_worker_processes"}


def test_what_is_wanted_and_not_known_waits_for_a_restart() -> None:
    keys = member(pending_restart_reason={"max_connections": change("120", "?")})
    assert keys.waiting("auth-1") == {"max_connections"}


@pytest.mark.parametrize("reasons", [None, "max_connections", {"max_connections": 120}, []])
def test_nothing_waits_where_it_says_nothing_of_it(reasons: object) -> None:
    keys = member(pending_restart_reason=reasons)
    assert not keys.waiting("auth-1")
    assert not keys.lowered("auth-1")
    assert not keys.waiting("auth-2")
