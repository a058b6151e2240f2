"""A dashboard for Grafana: the whole fleet at a glance, and what is asked first. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pgherd.metrics.rules import BY, CPU_USE, MEMORY_USE

FILE = "pgherd-fleet.json"
UID = "pgherd-"
SCHEMA = 39
"""Of dashboards, since Grafana 10.4; later ones read it."""
SOURCE = {"type": "prometheus", "uid": "${source}"}
CHOSEN = 'job=~"$job", environment=~"$environment", service=~"$service"'
DATABASE = "{{environment}}/{{service}}"
WIDTH = 24


def document(fleet: str) -> str:
    """The file for the fleet of that name."""
    return json.dumps(dashboard(fleet), indent=2) + "\n"


def is_ours(content: str) -> bool:
    """Whether a file with that content may be written anew."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and str(found.get("uid", "")).startswith(UID)


def dashboard(fleet: str) -> dict[str, Any]:
    """As Grafana imports it; where the values are is asked there."""
    return {
        "uid": f"{UID}{fleet}",
        "title": f"pgherd: {fleet}",
        "description": "Written by pgherd render monitoring.",
        "tags": ["pgherd", "postgresql"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": list(_variables())},
        "panels": _placed(_panels()),
    }


def _variables() -> Iterable[dict[str, Any]]:
    yield {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    within = ""
    for name in ("job", "environment", "service"):
        query = f"label_values(pgherd_database_max_ocpus{{{within}}}, {name})"
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": name},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "current": {"text": ["All"], "value": ["$__all"]},
        }
        within += f'{", " if within else ""}{name}=~"${name}"'


def _panels() -> Iterable[dict[str, Any]]:
    """From left to right and from top to bottom."""
    up = f"pgherd_database_up{{{CHOSEN}}}"
    yield _figure("Databases that serve", [(f"sum({up})", "")])
    yield _figure("Databases that do not", [(f"count({up} == 0) or vector(0)", "")], bad_from=1)
    yield _figure(
        "Instances that do not serve",
        [(f"count(pgherd_instance_up{{{CHOSEN}}} == 0) or vector(0)", "")],
        bad_from=1,
    )
    yield _figure("Alerts", [('sum(pgherd_autopilot_alerts{job=~"$job"})', "")], bad_from=1)
    late = 'time() - max(pgherd_autopilot_last_round_timestamp_seconds{job=~"$job"})'
    yield _figure("Last round of the autopilot", [(late, "")], unit="s", bad_from=60)
    resized = f"sum(increase(pgherd_autopilot_resizes_total{{{CHOSEN}}}[24h]))"
    yield _figure("Resizes in 24 hours", [(resized, "")])
    yield _lines("CPU of the quota", [(_chosen(CPU_USE), DATABASE)], "percentunit")
    yield _lines("Memory", [(_chosen(MEMORY_USE), DATABASE)], "percentunit")
    transactions = _chosen(f"sum {BY} (rate(pgherd_instance_transactions_total[2m]))")
    yield _lines("Transactions a second", [(transactions, DATABASE)], "short")
    waiting = f"pgherd_pooler_waiting_clients{{{CHOSEN}}}"
    yield _lines("Clients that wait", [(waiting, DATABASE)], "short")
    lag = f"pgherd_instance_replication_lag_bytes{{{CHOSEN}}}"
    yield _lines("Replicas behind", [(lag, f"{DATABASE}/{{{{instance}}}}")], "bytes")
    yield _lines(
        "OCPUs, and their bounds",
        [
            (f"pgherd_database_ocpus{{{CHOSEN}}}", DATABASE),
            (f"pgherd_database_min_ocpus{{{CHOSEN}}}", f"{DATABASE} at least"),
            (f"pgherd_database_max_ocpus{{{CHOSEN}}}", f"{DATABASE} at most"),
        ],
        "short",
    )
    throttled = _chosen(
        f"max {BY} (rate(pgherd_instance_cpu_throttled_periods_total[2m])"
        " / rate(pgherd_instance_cpu_periods_total[2m]))"
    )
    yield _lines("Time in which the quota was used up", [(throttled, DATABASE)], "percentunit")
    size = f"pgherd_database_storage_bytes{{{CHOSEN}}}"
    yield _lines("Storage", [(size, DATABASE)], "bytes")


def _chosen(expr: str) -> str:
    """Of the databases that are chosen; for expressions that have job, environment and service."""
    known = f"max {BY} (pgherd_database_max_ocpus{{{CHOSEN}}})"
    return f"({expr}) and on (job, environment, service) {known}"


def _figure(
    title: str,
    queries: list[tuple[str, str]],
    *,
    unit: str = "short",
    bad_from: float | None = None,
) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if bad_from is not None:
        steps.append({"color": "red", "value": bad_from})
    panel = _panel("stat", title, queries, unit, width=4, height=4)
    panel["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolute", "steps": steps}
    panel["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    return panel


def _lines(title: str, queries: list[tuple[str, str]], unit: str) -> dict[str, Any]:
    panel = _panel("timeseries", title, queries, unit, width=12, height=8)
    panel["fieldConfig"]["defaults"]["min"] = 0
    panel["options"] = {"tooltip": {"mode": "multi", "sort": "desc"}}
    return panel


def _panel(
    kind: str, title: str, queries: list[tuple[str, str]], unit: str, *, width: int, height: int
) -> dict[str, Any]:
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expr, "legendFormat": name}
            for n, (expr, name) in enumerate(queries)
        ],
    }


def _placed(panels: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Beside each other while there is room, with a number each."""
    placed: list[dict[str, Any]] = []
    x = y = height = 0
    for number, panel in enumerate(panels, 1):
        size = panel["gridPos"]
        if x + size["w"] > WIDTH:
            x, y, height = 0, y + height, 0
        placed.append({"id": number, **panel, "gridPos": {"x": x, "y": y, **size}})
        x, height = x + size["w"], max(height, size["h"])
    return placed
