"""Dashboard, alerts and the operators' page speak of metrics that exist, and the page of all of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from core.telemetry.metrics import REGISTRY
from core.telemetry.state import NAMES
from graders.sandbox.figures import NAMES as SANDBOX_NAMES

ROOT = Path(__file__).resolve().parents[4]
DEPLOY = ROOT / "deploy"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"touchstone_\w+", expression))


def known() -> set[str]:
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    own = {f"{one.name}{suffix}" for one in REGISTRY.collect() for suffix in suffixes.get(one.type, ("",))}
    return own | set(NAMES) | set(SANDBOX_NAMES)


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


def test_the_operators_page_lists_every_metric_and_no_other() -> None:
    listed = re.findall(r"^\| `(touchstone_\w+)` \|", OPERATIONS, flags=re.MULTILINE)
    counted = {f"{one.name}_total" if one.type == "counter" else one.name for one in REGISTRY.collect()}
    ours = {name for name in counted if name.startswith("touchstone_")} | set(NAMES) | set(SANDBOX_NAMES)
    assert sorted(listed) == sorted(ours)


def test_the_operators_page_explains_every_alert() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/rules/touchstone.yml").read_text())
    names = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    assert sorted(names) == sorted(re.findall(r"^\| `([A-Z]\w+)` \|", OPERATIONS, flags=re.MULTILINE))
