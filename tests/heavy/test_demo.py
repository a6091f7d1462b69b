"""The demo as a newcomer runs it: the embedded model learns the task, and what is downloaded is what was served."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the demo leaves behind."""
    directory = tmp_path_factory.mktemp("demo") / "out"
    environment = {**os.environ, "DEMO_DIR": str(directory), "DEMO_SEED": "3", "RFT_MODEL_DIR": str(ROOT / "build" / "models")}
    ran = subprocess.run([sys.executable, ROOT / "examples/demo/run.py"], env=environment, capture_output=True, text=True)
    log = directory.parent / "out" / "serve.log"
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:] + (log.read_text()[-4000:] if log.exists() else "")
    return directory


@pytest.fixture(scope="module")
def summary(demo: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((demo / "summary.json").read_text())
    return result


def test_the_validation_reward_rises(summary: dict[str, Any]) -> None:
    assert summary["valid_reward_after"] - summary["valid_reward_before"] >= 0.45


def test_the_tuned_model_is_better_on_topics_in_neither_file(summary: dict[str, Any]) -> None:
    assert summary["unseen_reward_after"] > summary["unseen_reward_before"]


def test_plain_peft_answers_and_scores_as_the_service_does(summary: dict[str, Any]) -> None:
    assert summary["peft_same_answers"] == "6/6"
    assert summary["peft_largest_logprob_difference"] <= 1e-3


def test_the_runner_stays_within_four_gibibytes(summary: dict[str, Any]) -> None:
    assert summary["peak_rss_bytes"] <= 4 * 2**30


def test_the_curve_is_left_as_table_and_picture(demo: Path, summary: dict[str, Any]) -> None:
    with (demo / "rewards.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [int(row["step"]) for row in rows] == list(range(summary["steps"] + 1))
    assert (demo / "reward.png").read_bytes().startswith(b"\x89PNG")


def test_a_screenshot_of_the_jobs_page_is_left(demo: Path) -> None:
    assert (demo / "dashboard.png").read_bytes().startswith(b"\x89PNG")
