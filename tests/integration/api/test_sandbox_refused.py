"""A service on a host that gives no sandbox: code of users is refused at once, and everything else works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.integration.api.conftest import GRADER, ROWS, jsonl, prepared, running

Json = dict[str, Any]
PYTHON = {"type": "python", "name": "p", "source": "def grade(sample, item): return 1.0"}
CODE = {"type": "code", "name": "c", "tests": "{{ item.tests }}"}
MULTI = {"type": "multi", "name": "m", "graders": {"a": GRADER, "b": PYTHON}, "calculate_output": "a + b"}
REFUSED = [(PYTHON, "grader.source"), (CODE, "grader.input"), (MULTI, "grader.graders.b.source")]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    settings = prepared(tmp_path_factory.mktemp("service"), grader_python="/no/such/python")
    with running(settings) as service, service.client() as client:
        yield client


@pytest.mark.parametrize(("grader", "param"), REFUSED)
def test_validate_refuses_it(client: OpenAI, grader: Json, param: str) -> None:
    with pytest.raises(openai.BadRequestError, match="no code of users runs here") as caught:
        client.fine_tuning.alpha.graders.validate(grader=grader)
    assert (caught.value.code, caught.value.param) == ("sandbox_unavailable", param)


def test_run_refuses_it(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="rft doctor") as caught:
        client.fine_tuning.alpha.graders.run(grader=PYTHON, item={}, model_sample="x")
    assert caught.value.code == "sandbox_unavailable"


def test_a_job_is_not_created(client: OpenAI) -> None:
    file_id = client.files.create(file=("train.jsonl", jsonl(ROWS)), purpose="fine-tune").id
    method: Any = {"type": "reinforcement", "reinforcement": {"grader": PYTHON}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.jobs.create(model="tiny", training_file=file_id, validation_file=file_id, method=method)
    assert (caught.value.code, caught.value.param) == ("sandbox_unavailable", "method.reinforcement.grader.source")
    assert client.fine_tuning.jobs.list().data == []


def test_other_graders_work(client: OpenAI) -> None:
    assert client.fine_tuning.alpha.graders.run(grader=GRADER, item={"answer": "1"}, model_sample="1").reward == 1.0


def test_a_minimum_that_is_met_is_no_hindrance(tmp_path: Path) -> None:
    with running(prepared(tmp_path, sandbox_level="strict")) as service, service.client() as client:
        assert client.fine_tuning.alpha.graders.run(grader=PYTHON, item={}, model_sample="x").reward == 1.0
