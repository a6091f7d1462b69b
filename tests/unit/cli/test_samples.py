from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from cli.client import CommandFailed
from cli.grader_file import read_grader
from cli.samples import GivenSample, Graded, read_samples, write_grades

GRADES = [
    Graded(0.5, {"a": 1.0, "b": 0.0}, {}, 0.25, {"judge": 18}),
    Graded(None, {"a": 1.0, "b": None}, {"python_grader_runtime_error": "ValueError: no"}, 0.5, {}),
]


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    "row",
    [
        {"item": {"answer": 4}, "output_text": "four"},
        {"item": {"answer": 4}, "sample": "four"},
        {"item": {"answer": 4}, "sample": {"output_text": "four"}},
        {"answer": 4, "output_text": "four"},
        {"answer": 4, "sample": {"output_text": "four", "choices": []}},
    ],
)
def test_samples_are_read_in_every_spelling(tmp_path: Path, row: Any) -> None:
    assert read_samples(written(tmp_path / "s.jsonl", row)) == [GivenSample("four", {"answer": 4})]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"item": {}}, "Line 2: no completion"),
        ({"sample": 4}, "Line 2: no completion"),
        ({"sample": {"text": "x"}}, "Line 2: no completion"),
        ({"sample": "x", "item": []}, "Line 2: 'item' must be an object"),
        ([], "Line 2: the line must hold a JSON object"),
    ],
)
def test_a_line_that_is_no_sample_is_named(tmp_path: Path, row: Any, complaint: str) -> None:
    with pytest.raises(CommandFailed, match=complaint):
        read_samples(written(tmp_path / "s.jsonl", {"sample": "fine"}, row))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="holds no samples"):
        read_samples(written(tmp_path / "s.jsonl"))


def test_grades_are_written_as_lines_of_json(tmp_path: Path) -> None:
    write_grades(tmp_path / "out.jsonl", GRADES)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["line"], row["reward"], row["sub_rewards"]) for row in rows] == [
        (1, 0.5, {"a": 1.0, "b": 0.0}),
        (2, None, {"a": 1.0, "b": None}),
    ]
    assert rows[1]["errors"] == {"python_grader_runtime_error": "ValueError: no"}


def test_grades_are_written_as_a_table(tmp_path: Path) -> None:
    write_grades(tmp_path / "out.csv", GRADES)
    with (tmp_path / "out.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["reward"], first["sub_rewards.a"], first["tokens"], first["errors"]) == ("0.5", "1.0", "18", "")
    assert (second["reward"], second["sub_rewards.b"], second["details"]) == ("", "", "ValueError: no")


def test_a_source_is_a_python_grader(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def grade(sample, item): ...")
    assert read_grader(tmp_path / "mine.py") == {"type": "python", "name": "mine", "source": "def grade(sample, item): ..."}


@pytest.mark.parametrize("text", ["no json", "[]", "\udc80"])
def test_what_is_no_grader_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "g.json").write_text(text, errors="surrogateescape")
    with pytest.raises(CommandFailed, match=r"g\.json"):
        read_grader(tmp_path / "g.json")


def test_both_lines_in_the_document_are_the_same_sample(tmp_path: Path) -> None:
    document = Path(__file__).resolve().parents[3] / "docs" / "graders" / "tools.md"
    lines = [line.strip() for line in document.read_text("utf-8").splitlines() if line.startswith("    {")]
    (tmp_path / "s.jsonl").write_text("\n".join(lines))
    assert read_samples(tmp_path / "s.jsonl") == [GivenSample("It is 42.", {"answer": "42"})] * 2
