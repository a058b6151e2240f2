"""`pgherd metrics`, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from exposition_parser import parse
from hostile import HOSTILE, HostileShop, ensure_harmless
from shop import AUTH, Shop

from pgherd.autopilot.reading import History
from pgherd.contract.meter import DatabaseCounters, InstanceCounters, Usage
from pgherd.errors import TryLater

OF_AUTH = 'environment="production",service="auth"'


def line(found: str, start: str) -> str | None:
    """What the one line says that starts like this; None where there is none."""
    lines = [text for text in found.splitlines() if text.startswith(start)]
    assert len(lines) <= 1
    return lines[0].rpartition(" ")[2] if lines else None


def test_what_is_seen_and_measured_is_printed(running: Shop) -> None:
    counted = InstanceCounters(transactions=1234)
    running.world.counters[AUTH] = DatabaseCounters(clients=3, instances={"auth-1": counted})
    running.world.usage[AUTH] = [Usage(running.now)]
    running.autopilot.told = History(resizes={"production/auth": 4})
    found = running.out("metrics")
    assert line(found, f"pgherd_database_up{{{OF_AUTH}}}") == "1"
    assert line(found, f"pgherd_pooler_clients{{{OF_AUTH}}}") == "3"
    labels = f'{OF_AUTH},instance="auth-1",role="primary"'
    assert line(found, f"pgherd_instance_transactions_total{{{labels}}}") == "1234"
    assert line(found, f"pgherd_autopilot_resizes_total{{{OF_AUTH}}}") == "4"
    assert line(found, "pgherd_autopilot_up ") == "1"
    assert line(found, "pgherd_info") == "1"


def test_an_autopilot_that_does_not_run_is_down_and_the_rest_is_told(running: Shop) -> None:
    running.autopilot.running = None
    found = running.out("metrics")
    assert line(found, "pgherd_autopilot_up ") == "0"
    assert line(found, "pgherd_autopilot_last_round") is None
    assert line(found, f"pgherd_database_up{{{OF_AUTH}}}") == "1"


def test_a_history_that_cannot_be_read_hides_no_more_than_itself(
    running: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> History:
        raise TryLater("it cannot be read")

    monkeypatch.setattr(running.autopilot, "read", fail)
    found = running.out("metrics")
    assert "pgherd_autopilot_resizes_total" not in found
    assert line(found, "pgherd_autopilot_up ") == "1"


def test_an_engine_that_does_not_answer_is_down(running: Shop) -> None:
    running.world.blind_next(TryLater("no route"))
    found = running.out("metrics")
    assert line(found, 'pgherd_engine_up{engine="local"}') == "0"
    assert line(found, f'pgherd_database_state{{{OF_AUTH},state="unknown"}}') == "1"


def test_names_that_others_chose_break_neither_the_format_nor_a_terminal(tmp_path: Path) -> None:
    shop = HostileShop(tmp_path)
    shop.out("up")
    counted = InstanceCounters(active=1)
    shop.world.counters[AUTH] = DatabaseCounters(instances={HOSTILE: counted, "auth-1": counted})
    shop.is_hostile = True
    found = parse(ensure_harmless(shop.out("metrics")))
    names = [dict(labels)["instance"] for labels in found["pgherd_instance_up"].samples]
    assert any("owned" in name for name in names)
    names = [
        dict(labels)["instance"] for labels in found["pgherd_instance_active_connections"].samples
    ]
    assert sum("owned" in name for name in names) == 1
    assert len(names) == 2


def test_before_the_first_up_databases_are_absent(shop: Shop) -> None:
    found = shop.out("metrics")
    assert line(found, f'pgherd_database_state{{{OF_AUTH},state="absent"}}') == "1"
    assert line(found, f"pgherd_database_max_ocpus{{{OF_AUTH}}}") == "8"
