"""A real job with every kind of bad input among its rows and servers: each failure has its name, the rest is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from core.jobs.types import Job, JobStatus
from graders.base import FailureKind, Grade, GradeError
from tests.judge import Asked, Said, completion, scored, serving, verdict
from tests.models import tiny_model
from tests.service import Service
from worker.rollouts import Rollout

Json = dict[str, Any]

JUDGE = "gpt-4.1-2025-04-14"
SOURCE = """
def grade(sample, item):
    case = item["case"]
    if case == "raises":
        raise ValueError("the third column is missing")
    if case == "nan":
        return float("nan")
    return {"zero": 0.0, "overflow": 1e6}.get(case, 1.0)
"""
GRADER: Json = {
    "type": "multi",
    "name": "all",
    "graders": {
        "p": {"type": "python", "name": "code of a user", "source": SOURCE},
        "t": {
            "type": "string_check",
            "name": "template",
            "input": "{{ item.given }}",
            "reference": "{{ item.given }}",
            "operation": "eq",
        },
        "r": {
            "type": "instructions",
            "name": "patterns",
            "input": "{{ item.text }}",
            "instructions": [{"id": "keywords:existence", "kwargs": {"keywords": ["(a+)+$"]}}],
        },
        "s": {
            "type": "score_model",
            "name": "judge",
            "model": JUDGE,
            "input": [{"role": "user", "content": "{{ item.case }}"}],
        },
    },
    "calculate_output": "(1 / p + exp(p) - exp(1) + t + s) / 3 + 0 * r",
}
"""`endpoint` joins them with the address of its server."""
FAILURES = {
    "raises": FailureKind.PYTHON_RUNTIME,
    "nan": FailureKind.PYTHON_RUNTIME,
    "zero": FailureKind.FORMULA_PARSE,
    "overflow": FailureKind.FORMULA_PARSE,
    "missing": FailureKind.INVALID_VARIABLE,
    "mumbles": FailureKind.MODEL_PARSE,
    "promises 100 MB": FailureKind.MODEL_SERVER,
    "endless": FailureKind.ENDPOINT_SERVER,
    "100 MB": FailureKind.ENDPOINT_SERVER,
}
"""What becomes of the samples of a row, by its case."""
GRADED = ("honest", "template in a value", "catastrophic pattern")
VALUES = {"template in a value": {"given": "{{ item.given }}"}, "catastrophic pattern": {"text": "a" * 50_000 + "!"}}


def script(asked: Asked) -> Said:
    """Judge and endpoint, which do what the row's case says."""
    if asked.path == "/score":
        match asked.body["item"]["case"]:
            case "endless":
                return Said(b'{"score": 1, "more": "' + b"x" * 65536, floods=True)
            case "100 MB":
                return Said(b"{", promises=100 << 20)
        return scored(1)
    match asked.body["messages"][-1]["content"]:
        case "mumbles":
            return completion("Hard to say.")
        case "promises 100 MB":
            return Said(b"{", promises=100 << 20)
    return verdict(1)


def row(case: str) -> Json:
    values = {"given": "x", "text": "plain", **VALUES.get(case, {})}
    if case == "missing":
        del values["given"]
    return {"messages": [{"role": "user", "content": case}], "case": case, **values}


@dataclass(frozen=True)
class Run:
    """The finished job and its rollouts by the case of their row."""

    service: Service
    job: Job
    rollouts: dict[str, list[Rollout]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    cases = [*FAILURES, *GRADED]
    with serving(script) as server:
        judges = {JUDGE: {"base_url": f"{server.url}/v1", "model": "there"}}
        model = tiny_model(tmp_path_factory.mktemp("model"))
        service = Service(tmp_path_factory.mktemp("data"), model, judges=judges, allow_private_urls=True)
        endpoint = {"type": "endpoint", "name": "server of a user", "url": f"{server.url}/score"}
        members = {**GRADER["graders"], "e": endpoint}
        job = service.create(
            train=[row(case) for case in cases],
            grader={**GRADER, "graders": members, "calculate_output": f"{GRADER['calculate_output']} + 0 * e"},
            hyperparameters={"n_epochs": 1, "batch_size": len(cases)},
            options={"samples_per_prompt": 2, "max_completion_tokens": 4, "grader_error_limit": 1},
        )
        job = service.run(job)
    rollouts: dict[str, list[Rollout]] = {case: [] for case in cases}
    for batch in service.rollouts(job.id, 1, "train"):
        for rollout in batch.rollouts:
            rollouts[cases[rollout.example]].append(rollout)
    yield Run(service, job, rollouts)
    service.close()


def test_the_job_lives(run: Run) -> None:
    assert (run.job.status, run.job.error) == (JobStatus.SUCCEEDED, None), run.service.log()[-4000:]


@pytest.mark.parametrize("case", FAILURES)
def test_each_failure_has_its_name(run: Run, case: str) -> None:
    results = [rollout.result for rollout in run.rollouts[case]]
    assert [result.kind if isinstance(result, GradeError) else result for result in results] == [FAILURES[case]] * 2


@pytest.mark.parametrize("case", FAILURES)
def test_its_samples_are_masked(run: Run, case: str) -> None:
    assert [(rollout.reward, rollout.advantage) for rollout in run.rollouts[case]] == [(None, None)] * 2


@pytest.mark.parametrize("case", GRADED)
def test_the_others_are_graded(run: Run, case: str) -> None:
    assert [rollout.reward for rollout in run.rollouts[case]] == pytest.approx([1.0, 1.0])


def test_the_other_members_scores_are_kept(run: Run) -> None:
    for rollout in run.rollouts["endless"]:
        scores = {key: part.score for key, part in rollout.result.parts.items() if isinstance(part, Grade)}
        assert scores == {"p": 1.0, "t": 1.0, "r": 0.0, "s": 1.0}


def test_failures_are_counted_in_the_metrics(run: Run) -> None:
    (metrics,) = run.service.jobs.steps(run.job.id, after_step=0)
    assert metrics["mean_unresponsive_rewards"] == pytest.approx(len(FAILURES) / (len(FAILURES) + len(GRADED)))
