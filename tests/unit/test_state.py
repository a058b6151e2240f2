"""Where a fleet's state is."""

import os
from pathlib import Path

import pytest

from pgherd.state import lock_path, state_beside, state_folder


def test_the_state_can_be_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHERD_STATE", "/srv/herd")
    assert state_folder("shop") == Path("/srv/herd/shop")


def test_without_root_it_is_in_the_users_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHERD_STATE", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/home/alice/state")
    assert state_folder("shop") == Path("/home/alice/state/pgherd/fleets/shop")


def test_with_root_it_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHERD_STATE", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state_folder("shop") == Path("/var/lib/pgherd/fleets/shop")


def test_the_lock_is_beside_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHERD_STATE", "/srv/state")
    assert lock_path("shop.eu") == Path("/srv/state/shop.eu.lock")
    assert state_beside("shop.eu", "oci") == Path("/srv/state/shop.eu.oci")
