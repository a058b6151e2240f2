"""Alert rules and the dashboard: they name series that there are, and real tools read them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from metered_fleet import picture

from pgherd.metrics import dashboard, rules
from pgherd.metrics.families import document, families
from pgherd.metrics.rules import RULES

NAMES = {family.name for family in families(picture())}
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not on this machine")


def promtool(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    assert PROMTOOL
    return subprocess.run(
        [PROMTOOL, *arguments], input=given, capture_output=True, text=True, check=False, timeout=60
    )


def expressions() -> list[str]:
    panels = dashboard.dashboard("shop")["panels"]
    of_panels = [target["expr"] for panel in panels for target in panel["targets"]]
    return [*of_panels, *(rule.expr for rule in RULES)]


def test_they_name_series_that_there_are() -> None:
    named = set(re.findall(r"\bpgherd_\w+", " ".join(expressions())))
    assert named
    assert named <= NAMES


def test_rules_say_what_is_wrong_and_what_to_do() -> None:
    found: dict[str, Any] = yaml.safe_load(rules.document())
    (group,) = found["groups"]
    assert [rule["alert"] for rule in group["rules"]] == [rule.name for rule in RULES]
    assert len({rule.name for rule in RULES}) == len(RULES) == 16
    for rule in group["rules"]:
        assert rule["for"] and rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["description"].endswith(".")


def test_labels_in_summaries_are_those_of_the_alert() -> None:
    """What is counted `by` some labels has no others."""
    for rule in RULES:
        if " by (" in rule.expr:
            assert "$labels.instance" not in rule.summary + rule.remedy, rule.name


def test_the_dashboard_fits_its_grid_and_asks_for_its_source() -> None:
    found = json.loads(dashboard.document("shop"))
    assert (found["uid"], found["title"]) == ("pgherd-shop", "pgherd: shop")
    cells = [
        (x, y)
        for panel in found["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "panels lie over each other"
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in found["panels"]}) == len(found["panels"])
    assert {p["datasource"]["uid"] for p in found["panels"]} == {"${source}"}


@needs_promtool
def test_prometheus_reads_the_rules(tmp_path: Path) -> None:
    file = tmp_path / rules.FILE
    file.write_text(rules.document())
    checked = promtool("check", "rules", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


@needs_promtool
def test_prometheus_reads_the_metrics() -> None:
    checked = promtool("check", "metrics", given=document(picture()))
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@needs_promtool
def test_prometheus_reads_the_expressions_of_the_dashboard(tmp_path: Path) -> None:
    file = tmp_path / "expressions.yaml"
    recorded = [
        {"record": f"expression:{n}", "expr": re.sub(r"=~\"\$\w+\"", '=~".+"', expr)}
        for n, expr in enumerate(expressions())
    ]
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": recorded}]}))
    checked = promtool("check", "rules", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr


OF_AUTH = 'job="pgherd",environment="production",service="auth"'
FIRST = f'{OF_AUTH},instance="auth-1",role="primary"'
SECOND = f'{OF_AUTH},instance="auth-2",role="replica"'
CALM = {
    "pgherd_autopilot_up": "1x90",
    f"pgherd_database_up{{{OF_AUTH}}}": "1x90",
    f'pgherd_database_state{{{OF_AUTH},state="running"}}': "1x90",
    f"pgherd_database_ocpus{{{OF_AUTH}}}": "4x90",
    f"pgherd_database_max_ocpus{{{OF_AUTH}}}": "8x90",
    f"pgherd_instance_up{{{FIRST}}}": "1x90",
    f"pgherd_instance_cpu_seconds_total{{{FIRST}}}": "0+24x90",
    f"pgherd_instance_cpu_limit_cores{{{FIRST}}}": "0.4x90",
    f"pgherd_instance_memory_bytes{{{FIRST}}}": "50x90",
    f"pgherd_instance_memory_limit_bytes{{{FIRST}}}": "100x90",
    f"pgherd_instance_replication_lag_bytes{{{SECOND}}}": "1000x90",
    f"pgherd_pooler_longest_wait_seconds{{{OF_AUTH}}}": "0x90",
    f"pgherd_instance_slot_retained_bytes{{{FIRST}}}": "1000x90",
    f"pgherd_instance_oldest_transaction_seconds{{{FIRST}}}": "3x90",
    f"pgherd_instance_transaction_id_age{{{FIRST}}}": "1000x90",
}
LARGEST = {f"pgherd_database_ocpus{{{OF_AUTH}}}": "8x90"}
BUSY = {f"pgherd_instance_cpu_seconds_total{{{FIRST}}}": "0+23.9x90"}


@needs_promtool
@pytest.mark.parametrize(
    ("changes", "raised"),
    [
        ({}, set()),
        (BUSY, set()),
        (LARGEST, {"PgherdCpuSaturated"}),
        ({**LARGEST, f"pgherd_instance_cpu_seconds_total{{{FIRST}}}": "0+20x90"}, set()),
        ({f"pgherd_database_up{{{OF_AUTH}}}": "0x90"}, {"PgherdNoPrimary"}),
        ({f"pgherd_database_up{{{OF_AUTH}}}": "1 1 0 1x87"}, set()),
        (
            {
                f'pgherd_database_state{{{OF_AUTH},state="running"}}': "_x90",
                f'pgherd_database_state{{{OF_AUTH},state="degraded"}}': "1x90",
            },
            {"PgherdDegraded"},
        ),
        ({f"pgherd_instance_up{{{FIRST}}}": "0x90"}, {"PgherdInstanceDown"}),
        ({"pgherd_autopilot_up": "0x90"}, {"PgherdAutopilotDown"}),
        ({"pgherd_autopilot_up": "_x90"}, {"PgherdAutopilotDown"}),
        ({'pgherd_autopilot_up{job="another"}': "1x30 stale"}, {"PgherdAutopilotDown"}),
        ({"pgherd_autopilot_last_round_timestamp_seconds": "0x90"}, {"PgherdAutopilotLate"}),
        ({f"pgherd_instance_memory_bytes{{{FIRST}}}": "90x90"}, {"PgherdMemoryFull"}),
        (
            {f"pgherd_instance_replication_lag_bytes{{{SECOND}}}": "1e9x90"},
            {"PgherdReplicaBehind"},
        ),
        ({f"pgherd_pooler_longest_wait_seconds{{{OF_AUTH}}}": "9x90"}, {"PgherdClientsWait"}),
        (
            {f"pgherd_instance_slot_retained_bytes{{{FIRST}}}": "1e12x90"},
            {"PgherdSlotKeepsWal"},
        ),
        (
            {f"pgherd_instance_oldest_transaction_seconds{{{FIRST}}}": "4000x90"},
            {"PgherdOldTransaction"},
        ),
        (
            {f"pgherd_instance_transaction_id_age{{{FIRST}}}": "1.9e9x90"},
            {"PgherdWraparoundNears", "PgherdWraparoundIsNear"},
        ),
        (
            {
                f"pgherd_database_cpu_usage_ratio{{{OF_AUTH}}}": "0.99x90",
                **LARGEST,
                **dict.fromkeys([f"pgherd_instance_cpu_seconds_total{{{FIRST}}}"], "_x90"),
            },
            {"PgherdCpuSaturated"},
        ),
    ],
)
def test_what_raises_an_alert_and_what_does_not(
    tmp_path: Path, changes: dict[str, str], raised: set[str]
) -> None:
    """After an hour and a half of one value a minute, as Prometheus itself reckons it."""
    (tmp_path / rules.FILE).write_text(rules.document())
    values = {**CALM, **changes}
    story = {
        "rule_files": [rules.FILE],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": s, "values": v} for s, v in values.items()],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{rule.name}", alertstate="firing"}})',
                        "eval_time": "85m",
                        "exp_samples": (
                            [{"labels": "{}", "value": 1}] if rule.name in raised else []
                        ),
                    }
                    for rule in RULES
                ],
            }
        ],
    }
    file = tmp_path / "story.yaml"
    file.write_text(yaml.safe_dump(story))
    played = promtool("test", "rules", file)
    assert played.returncode == 0, played.stdout + played.stderr
