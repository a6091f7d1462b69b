"""A real job whose rewards come from all verifiers together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.jobs.types import JobStatus
from graders.base import Grade
from tests.models import tiny_model
from tests.service import Service, rows

SHORT = {"n_epochs": 1, "batch_size": 2, "eval_interval": 2}
FEW = {"samples_per_prompt": 4, "max_completion_tokens": 4}
MATH = {"type": "math", "name": "math", "reference": "{{ item.answer }}"}
INSTRUCTIONS = {
    "type": "instructions",
    "name": "rules",
    "instructions": [{"id": "punctuation:no_comma"}, {"id": "count:numbers", "kwargs": {"N": 1}}],
}
CODE = {"type": "code", "name": "code", "tests": "{{ item.tests }}", "time_limit": 2}
UNIT_TESTS = {"type": "code", "name": "unit tests", "unit_tests": "assert add(1, 2) == 3\nassert add(0, 0) == 0"}
METEOR = {
    "type": "text_similarity",
    "name": "meteor",
    "input": "{{sample.output_text}}",
    "reference": "a sofa",
    "evaluation_metric": "meteor",
}
ALL = {
    "type": "multi",
    "name": "all",
    "graders": {"m": MATH, "i": INSTRUCTIONS, "c": CODE, "u": UNIT_TESTS, "t": METEOR},
    "calculate_output": "(m + i + c + u + t) / 5",
}
ROW: dict[str, Any] = {"answer": "7", "tests": [{"stdin": "", "stdout": "7"}, {"stdin": "1", "stdout": ""}]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("data"), tiny_model(tmp_path_factory.mktemp("model")))
    yield service
    service.close()


@pytest.mark.heavy
def test_all_verifiers_grade_a_job(service: Service) -> None:
    data = {"train": rows(2, **ROW), "valid": rows(1, **ROW)}
    job = service.run(service.create(**data, grader=ALL, hyperparameters=SHORT, options=FEW))
    assert (job.status, job.error) == (JobStatus.SUCCEEDED, None), service.log()[-4000:]
    (batch,) = service.rollouts(job.id, 1, "train")
    results = [rollout.result for rollout in batch.rollouts]
    assert len(results) == 2 * FEW["samples_per_prompt"]
    assert all(isinstance(result, Grade) and 0 <= result.score <= 1 for result in results)
    assert all(result.parts.keys() == ALL["graders"].keys() for result in results)
