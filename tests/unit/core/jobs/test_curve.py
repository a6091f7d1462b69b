from __future__ import annotations

import csv
import io

from core.jobs.curve import LEADING, curve_csv


def table(steps: list[dict]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(curve_csv(steps))))


def test_nested_metrics_have_their_path_as_name() -> None:
    (row,) = table([{"step": 1, "scores": {"graders": [{"name": "a", "mean": 0.5}]}}])
    assert row["scores/graders/0/name"] == "a"
    assert row["scores/graders/0/mean"] == "0.5"


def test_a_metric_that_a_step_lacks_is_blank() -> None:
    rows = table([{"step": 0, "valid": None}, {"step": 1, "train": 2}])
    assert [(row["step"], row["valid"], row["train"]) for row in rows] == [("0", "", ""), ("1", "", "2")]


def test_the_columns_of_result_files_come_first() -> None:
    header = curve_csv([{"other": 1, "step": 0}]).splitlines()[0].split(",")
    assert header == [*LEADING, "other"]


def test_losses_of_the_update_have_their_columns() -> None:
    update = {"loss": 0.3, "policy_loss": 0.2, "entropy": 1.5}
    (row,) = table([{"step": 1, "touchstone": {"update": update}}])
    assert (row["total_loss_sum"], row["pg_loss_sum"], row["entropy_loss_sum"]) == ("0.3", "0.2", "1.5")


def test_no_steps_are_a_table_without_rows() -> None:
    assert curve_csv([]).splitlines() == [",".join(LEADING)]
