from __future__ import annotations

import csv
import io

import pytest

from api.jobs.curve import curve_csv, matches


def table(steps: list[dict]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(curve_csv(steps))))


def test_nested_metrics_have_their_path_as_name() -> None:
    assert table([{"step": 1, "scores": {"graders": [{"name": "a", "mean": 0.5}]}}]) == [
        {"step": "1", "scores/graders/0/name": "a", "scores/graders/0/mean": "0.5"}
    ]


def test_a_metric_that_a_step_lacks_is_blank() -> None:
    assert table([{"step": 0, "valid": None}, {"step": 1, "train": 2}]) == [
        {"step": "0", "valid": "", "train": ""},
        {"step": "1", "valid": "", "train": "2"},
    ]


def test_no_steps_are_a_table_without_rows() -> None:
    assert curve_csv([]) == "step\n"


@pytest.mark.parametrize(
    ("header", "expected"),
    [(None, False), ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("", False)],
)
def test_a_tag_is_found_in_if_none_match(header: str | None, expected: bool) -> None:
    assert matches(header, '"a"') is expected
