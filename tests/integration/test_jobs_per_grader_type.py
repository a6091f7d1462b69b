"""A real job for each type of grader: it ends, and every completion has the reward that the type promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from rapidfuzz import fuzz

from core.jobs.types import Job, JobStatus
from graders.base import Grade
from graders.specs import TYPES
from tests.judge import Asked, Said, Server, scored, serving, verdict
from tests.models import tiny_model
from tests.service import HAS_AN_A, Service, rows
from worker.rollouts import Rollout

Json = dict[str, Any]

JUDGE = "gpt-4.1-2025-04-14"
SHORT = {"n_epochs": 1, "batch_size": 2}
FEW = {"samples_per_prompt": 2, "max_completion_tokens": 4}
ROW: Json = {"answer": "7", "tests": [{"stdin": "", "stdout": "7"}, {"stdin": "1", "stdout": ""}]}
QUESTION = [{"role": "user", "content": "{{sample.output_text}}"}]
LABELS: Json = {
    "type": "label_model",
    "name": "labelled",
    "model": JUDGE,
    "input": QUESTION,
    "labels": ["even", "odd"],
    "passing_labels": ["even"],
}
NO_COMMA = {"type": "instructions", "name": "rules", "instructions": [{"id": "punctuation:no_comma"}]}
GRADERS: list[Json] = [
    HAS_AN_A,
    {
        "type": "text_similarity",
        "name": "close",
        "input": "{{sample.output_text}}",
        "reference": "a sofa",
        "evaluation_metric": "fuzzy_match",
    },
    {"type": "python", "name": "length", "source": "def grade(sample, item):\n    return len(sample['output_text'])\n"},
    {"type": "score_model", "name": "judged", "model": JUDGE, "input": QUESTION, "range": [0, 100]},
    {"type": "math", "name": "math", "reference": "{{ item.answer }}"},
    NO_COMMA,
    {"type": "code", "name": "code", "tests": "{{ item.tests }}", "time_limit": 10},
    {
        "type": "multi",
        "name": "all",
        "graders": {"labels": LABELS, "rules": NO_COMMA, "a": HAS_AN_A},
        "calculate_output": "(labels + rules) / 2 + max(a, 0)",
    },
]
"""`endpoint` joins them with the address of its server."""


def is_even(text: str) -> float:
    return float(len(text) % 2 == 0)


def has_an_a(text: str) -> float:
    return float("a" in text.lower())


def no_comma(text: str) -> float:
    return float("," not in text and bool(text.strip()))


EXPECTED: dict[str, Callable[[str], float]] = {
    "string_check": has_an_a,
    "text_similarity": lambda text: fuzz.ratio(text, "a sofa") / 100,
    "python": len,
    "score_model": len,
    "endpoint": lambda text: len(text) / 16,
    "instructions": no_comma,
    "multi": lambda text: (is_even(text) + no_comma(text)) / 2 + has_an_a(text),
}
"""The reward of a completion, by the type of the job's grader."""


def script(asked: Asked) -> Said:
    """An endpoint and a judge of both kinds that go by the length of the completion."""
    if asked.path == "/score":
        return scored(len(asked.body["sample"]["output_text"]) / 16)
    length = len(asked.body["messages"][-1]["content"])
    labelled = asked.body["response_format"]["json_schema"]["name"] == "label_classification"
    return verdict(("even", "odd")[length % 2] if labelled else length)


@dataclass(frozen=True)
class Runs:
    """A job for each type, one after the other in the hands of a supervisor."""

    service: Service
    ids: dict[str, str]

    def job(self, kind: str) -> Job:
        """The job of a type once it has ended."""
        return self.service.wait_for_end(self.ids[kind])

    def rollouts(self, kind: str) -> tuple[Rollout, ...]:
        """The graded completions of its only step."""
        (batch,) = self.service.rollouts(self.job(kind).id, 1, "train")
        return batch.rollouts


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(script) as server:
        yield server


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Runs]:
    model = tiny_model(tmp_path_factory.mktemp("model"))
    judges = {JUDGE: {"base_url": f"{server.url}/v1", "model": "there", "concurrency": 4}}
    service = Service(tmp_path_factory.mktemp("data"), model, judges=judges, allow_private_urls=True)
    endpoint = {"type": "endpoint", "name": "theirs", "url": f"{server.url}/score", "headers": {"authorization": "Bearer t"}}
    graders = {grader["type"]: grader for grader in [*GRADERS, endpoint]}
    ids = {
        kind: service.create(train=rows(2, **ROW), grader=graders[kind], hyperparameters=SHORT, options=FEW).id
        for kind in TYPES
        if kind in graders
    }
    with service.supervisor():
        yield Runs(service, ids)
    service.close()


def test_every_type_is_here(runs: Runs) -> None:
    assert runs.ids.keys() | {"label_model"} == TYPES.keys()


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "label_model"])
def test_the_job_succeeds_and_every_completion_is_graded(runs: Runs, kind: str) -> None:
    job = runs.job(kind)
    assert (job.status, job.error) == (JobStatus.SUCCEEDED, None), runs.service.log()[-4000:]
    results = [rollout.result for rollout in runs.rollouts(kind)]
    assert len(results) == 4
    assert all(isinstance(result, Grade) for result in results), results


@pytest.mark.parametrize("kind", EXPECTED)
def test_the_reward_is_the_one_that_the_type_promises(runs: Runs, kind: str) -> None:
    rollouts = runs.rollouts(kind)
    assert [rollout.reward for rollout in rollouts] == pytest.approx([EXPECTED[kind](rollout.text) for rollout in rollouts])


def test_an_endpoint_gets_its_headers(runs: Runs, server: Server) -> None:
    runs.job("endpoint")
    assert [asked.headers["authorization"] for asked in server.asked if asked.path == "/score"] == ["Bearer t"] * 4


def test_a_verifier_keeps_what_it_has_to_say_with_the_rollout(runs: Runs) -> None:
    for rollout in runs.rollouts("code"):
        assert isinstance(rollout.result, Grade)
        assert rollout.result.details
        assert rollout.result.parts.keys() == {"test 1", "test 2"}


def test_the_curve_names_the_grader(runs: Runs) -> None:
    for kind in EXPECTED.keys() - {"multi"}:
        (metrics,) = runs.service.jobs.steps(runs.job(kind).id, after_step=0)
        (grader,) = metrics["scores"]["graders"]
        rewards = [rollout.reward or 0.0 for rollout in runs.rollouts(kind)]
        assert (grader["type"], grader["train_reward_mean"]) == (kind, pytest.approx(sum(rewards) / 4))
