"""What a test of the controller need not wait for."""

from __future__ import annotations

import pytest

from pgherd.autopilot import controller


@pytest.fixture(autouse=True)
def looks_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is done now and then is done in each round, and an effect is there at once."""
    for name in ("OBSERVE_SECONDS", "SAVE_SECONDS", "EFFECT_SECONDS"):
        monkeypatch.setattr(controller, name, 0.0)
