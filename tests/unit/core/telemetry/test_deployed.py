"""Dashboard and alerts speak of metrics that exist, and Prometheus and Grafana can read them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from core.telemetry.metrics import REGISTRY
from core.telemetry.state import NAMES

DEPLOY = Path(__file__).resolve().parents[4] / "deploy"


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"touchstone_\w+", expression))


def known() -> set[str]:
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    own = {f"{one.name}{suffix}" for one in REGISTRY.collect() for suffix in suffixes.get(one.type, ("",))}
    return own | set(NAMES)


def test_the_dashboards_metrics_exist() -> None:
    dashboard = json.loads((DEPLOY / "grafana/dashboards/touchstone.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert all(names_in(expression) for expression in expressions)
    assert set().union(*map(names_in, expressions)) <= known()


def test_the_alerts_metrics_exist() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/rules/touchstone.yml").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert all(names_in(expression) for expression in expressions)
    assert set().union(*map(names_in, expressions)) <= known()
