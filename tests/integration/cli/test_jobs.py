from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.cli.conftest import QUICK, SUBMIT, Result, Workplace, wait_for


def shown(served: Workplace, job: str) -> Any:
    return json.loads(served.rft("jobs", "show", job, "--json").stdout)


def refusal(done: Result) -> str:
    """The one line of an error."""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_submit_prints_the_jobs_id_first(finished: str) -> None:
    assert finished.startswith("ftjob-")


def test_watching_off_a_terminal_prints_a_line_for_each_step(watched: Result) -> None:
    steps = [line.split()[1] for line in watched.stdout.splitlines() if line.startswith("step ")]

    assert steps == ["0/2", "1/2", "2/2"]


def test_the_lines_tell_both_rewards(watched: Result) -> None:
    last = [line for line in watched.stdout.splitlines() if line.startswith("step ")][-1]

    assert "train " in last
    assert "valid " in last


def test_watching_ends_with_the_tuned_models_name(watched: Result, finished: str) -> None:
    assert watched.stdout.splitlines()[-1].startswith(f"{finished} succeeded: ft:tiny:local:mine:")


def test_a_finished_job_can_still_be_watched(served: Workplace, finished: str) -> None:
    assert f"{finished} succeeded" in served.rft("jobs", "watch", finished).stdout


def test_what_was_asked_for_is_what_runs(served: Workplace, finished: str) -> None:
    job = shown(served, finished)

    assert job["seed"] == 1
    assert job["method"]["reinforcement"]["hyperparameters"]["batch_size"] == 4
    assert (job["touchstone"]["samples_per_prompt"], job["touchstone"]["max_completion_tokens"]) == (4, 8)


def test_list_has_a_line_for_each_job(served: Workplace, finished: str) -> None:
    lines = [line.split("\t") for line in served.rft("jobs", "list").stdout.splitlines()]

    assert [line[:3] for line in lines if line[0] == finished] == [[finished, "succeeded", "tiny"]]


def test_show_tells_the_checkpoints(served: Workplace, finished: str) -> None:
    assert "ftckpt_" in served.rft("jobs", "show", finished).stdout


def test_a_job_is_paused_resumed_and_cancelled(served: Workplace) -> None:
    job = served.rft(*SUBMIT, *QUICK, "--n-epochs", "50").stdout.strip()
    wait_for(lambda: shown(served, job)["status"] == "running")

    assert served.rft("jobs", "pause", job).stdout == f"{job} paused\n"
    assert served.rft("jobs", "resume", job).stdout == f"{job} queued\n"
    assert served.rft("jobs", "cancel", job).stdout == f"{job} cancelled\n"


def test_watching_a_job_that_fails_ends_with_its_reason(served: Workplace) -> None:
    (served.directory / "broken.jsonl").write_text('{"messages": \n')
    arguments = [("broken.jsonl" if argument == "train.jsonl" else argument) for argument in SUBMIT]
    done = served.rft(*arguments, *QUICK, "--watch", check=1)

    assert "failed: " in done.stdout.splitlines()[-1]


def test_an_unknown_job_is_the_services_own_message(served: Workplace) -> None:
    assert "ftjob-nope" in refusal(served.rft("jobs", "show", "ftjob-nope", check=1))


def test_a_refused_job_is_one_line(served: Workplace) -> None:
    refusal(served.rft(*SUBMIT, "-O", "no_such_option=1", check=1))


def test_a_grader_that_is_no_json_is_one_line(served: Workplace) -> None:
    (served.directory / "bad.json").write_text("{")
    arguments = [("bad.json" if argument == "grader.json" else argument) for argument in SUBMIT]

    assert "bad.json is not JSON" in refusal(served.rft(*arguments, check=1))


def test_a_wrong_key_is_one_line(served: Workplace) -> None:
    assert "Incorrect API key" in refusal(served.rft("jobs", "list", "--api-key", "sk-wrong", check=1))


def test_a_missing_key_is_one_line(workplace: Workplace) -> None:
    assert "OPENAI_API_KEY" in refusal(workplace.rft("jobs", "list", check=1))


def test_a_service_that_is_away_is_one_line(served: Workplace) -> None:
    done = served.rft("jobs", "list", "--base-url", "http://127.0.0.1:9/v1", check=1)

    assert refusal(done) == "error: Cannot reach http://127.0.0.1:9: is the service running?"


@pytest.mark.parametrize(
    "arguments",
    [
        ("jobs", "submit"),
        ("jobs", "watch"),
        (*SUBMIT[:-1], "missing.json"),
        (*SUBMIT, "-O", "no-equals-sign"),
        (*SUBMIT, "--n-epochs", "many"),
        ("download", "ftjob-a", "--format", "pickle", "-o", "x"),
        ("no-such-command",),
    ],
)
def test_bad_usage_has_its_own_exit_code(served: Workplace, arguments: tuple[str, ...]) -> None:
    served.rft(*arguments, check=2)


def test_show_tells_how_wrong_the_estimates_were(served: Workplace, finished: str) -> None:
    (line,) = [line for line in served.rft("jobs", "show", finished).stdout.splitlines() if line.startswith("estimates\t")]
    assert line.endswith("% after 50%")


def test_usage_tells_what_a_day_and_a_model_took(served: Workplace, finished: str) -> None:
    (row,) = [line.split("\t") for line in served.rft("usage", "--days", "2").stdout.splitlines() if "\ttiny\t" in line]
    _, project, model, _, steps, prompt_tokens, sampled_tokens, judge_tokens = row
    assert (project, model, judge_tokens) == ("proj_default", "tiny", "0")
    assert min(int(steps), int(prompt_tokens), int(sampled_tokens)) >= 2


def test_usage_of_all_projects_wants_an_admin_key(served: Workplace) -> None:
    assert "No admin key" in served.rft("usage", "--all-projects", check=1).stderr
