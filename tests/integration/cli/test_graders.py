from __future__ import annotations

import csv
import json

import pytest

from tests.integration.cli.conftest import Result, Workplace

LENGTH = "def grade(sample, item):\n    return len(sample['output_text'])\n"
BREAKS = "def grade(sample, item):\n    return 1 / item['n']\n"


def table(done: Result) -> dict[str, list[str]]:
    """The cells of each line, by its first."""
    return {name: cells for name, *cells in (line.split("\t") for line in done.stdout.splitlines())}


@pytest.fixture(scope="module")
def place(served: Workplace) -> Workplace:
    """The served place, with graders and samples."""
    graders = {"length.py": LENGTH, "breaks.py": BREAKS, "wrong.json": json.dumps({"type": "riddle"})}
    for name, text in graders.items():
        (served.directory / name).write_text(text)
    both = {
        "type": "multi",
        "name": "both",
        "graders": {"a": json.loads((served.directory / "grader.json").read_text()), "n": {"type": "python", "source": LENGTH}},
        "calculate_output": "a + n",
    }
    (served.directory / "both.json").write_text(json.dumps(both))
    rows = [{"item": {"wanted": "a", "n": n % 4}, "sample": "a" * n} for n in range(40)]
    (served.directory / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return served


def test_validate_prints_the_configuration_with_names(place: Workplace) -> None:
    checked = json.loads(place.rft("graders", "validate", "both.json").stdout)
    assert checked["graders"]["n"]["name"].startswith("grader-")


def test_validate_names_the_field_at_fault(place: Workplace) -> None:
    (line,) = place.rft("graders", "validate", "wrong.json", check=1).stderr.splitlines()
    assert line.startswith("error: Invalid value: 'riddle'")


def test_run_sums_up(place: Workplace) -> None:
    told = table(place.rft("graders", "run", "both.json", "samples.jsonl"))
    assert (told["samples"], told["graded"], told["reward, mean"]) == (["40"], ["40"], ["20.475"])
    assert (told["a, mean"], told["n, mean"]) == (["0.975"], ["19.5"])
    assert told["latency, median"][0].endswith(" ms")


def test_run_writes_each_grade_in_order(place: Workplace) -> None:
    place.rft("graders", "run", "length.py", "samples.jsonl", "--out", "grades.csv", "--parallel", "4")
    with (place.directory / "grades.csv").open(newline="") as file:
        assert [float(row["reward"]) for row in csv.DictReader(file)] == list(map(float, range(40)))


def test_run_fails_where_a_sample_has_no_grade(place: Workplace) -> None:
    told = table(place.rft("graders", "run", "breaks.py", "samples.jsonl", "--out", "grades.jsonl", check=1))
    assert told["graded"] == ["30"]
    assert told["python_grader_runtime_error"] == ["10, first in sample 1: ZeroDivisionError: division by zero"]
    rewards = [json.loads(line)["reward"] for line in (place.directory / "grades.jsonl").read_text().splitlines()]
    assert rewards == [None if n % 4 == 0 else 1 / (n % 4) for n in range(40)]


def test_a_wrong_grader_runs_on_nothing(place: Workplace) -> None:
    done = place.rft("graders", "run", "wrong.json", "samples.jsonl", "--out", "never.jsonl", check=1)
    assert done.stderr.startswith("error: Invalid value: 'riddle'")
    assert not (place.directory / "never.jsonl").exists()


def test_regrade_compares(place: Workplace, finished: str) -> None:
    told = table(place.rft("graders", "regrade", finished, "--grader", "length.py", "--step", "1"))
    assert told["samples graded"] == ["16 of 16", "16 of 16"]
    assert told["rollouts"] == ["train, step 1"]
    assert told["Kendall's tau-b within groups"][0].endswith(" groups")


def test_regrade_by_the_jobs_own_grader_moves_nothing(place: Workplace, finished: str) -> None:
    done = place.rft("graders", "regrade", finished, "--grader", "grader.json", "--all", "--json")
    report = json.loads(done.stdout)
    assert (report["steps"], report["samples"], report["same_reward"], report["changed"]) == ([1, 2], 32, 1.0, [])


def test_regrade_shows_what_changed_most(place: Workplace, finished: str) -> None:
    lines = place.rft("graders", "regrade", finished, "--grader", "length.py", "--split", "valid", "--top", "2").stdout
    assert lines.count("changed most: valid-2-0-") == 2


def test_regrade_shows_why_samples_have_no_grade(place: Workplace, finished: str) -> None:
    done = place.rft("graders", "regrade", finished, "--grader", "breaks.py", "--last", "--top", "1")
    assert table(done)["python_grader_runtime_error"] == ["0", "16"]
    assert "KeyError: 'n'" in done.stdout


@pytest.mark.parametrize("job", ["ftjob-none", "../files"])
def test_an_unknown_job_is_one_line(place: Workplace, job: str) -> None:
    (line,) = place.rft("graders", "regrade", job, "--grader", "grader.json", check=1).stderr.splitlines()
    assert line.startswith("error: ")


def test_regrade_takes_one_choice_of_steps(place: Workplace, finished: str) -> None:
    place.rft("graders", "regrade", finished, "--grader", "grader.json", "--all", "--last", check=2)
