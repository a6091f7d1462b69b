"""`/v1/models`."""

from __future__ import annotations

from pathlib import Path

import httpx2
import openai
import pytest
from openai import OpenAI


def test_base_models_are_listed(strict_client: OpenAI) -> None:
    assert ("tiny", "system") in [(model.id, model.owned_by) for model in strict_client.models.list()]


@pytest.mark.parametrize("name", ["tiny", "o4-mini-2025-04-16"])
def test_a_base_model_is_found_by_id_and_alias(strict_client: OpenAI, name: str) -> None:
    assert strict_client.models.retrieve(name).id == name


def test_a_tuned_model_is_listed_and_found(strict_client: OpenAI, run, tmp_path: Path) -> None:
    run.checkpoint(0, 0.1, {"a": b"1"}, tmp_path)
    name = run.finish()
    assert name in [model.id for model in strict_client.models.list()]
    assert strict_client.models.retrieve(name).owned_by == "org-local"


def test_a_checkpoint_with_slashes_in_its_name_is_found(strict_client: OpenAI, run, tmp_path: Path) -> None:
    name = run.checkpoint(0, 0.1, {"a": b"1"}, tmp_path, name=f"ft:tiny:local:a/b c:{run.job_id[-8:]}:ckpt-step-0")
    assert strict_client.models.retrieve(name).id == name


def test_a_deleted_tuned_model_is_gone(strict_client: OpenAI, run, tmp_path: Path) -> None:
    run.checkpoint(0, 0.1, {"a": b"1"}, tmp_path)
    name = run.finish()
    assert strict_client.models.delete(name).deleted
    with pytest.raises(openai.NotFoundError):
        strict_client.models.retrieve(name)


@pytest.mark.parametrize("kind", ["base", "checkpoint"])
def test_only_tuned_models_can_be_deleted(client: OpenAI, run, tmp_path: Path, kind: str) -> None:
    name = "tiny" if kind == "base" else run.checkpoint(0, 0.1, {"a": b"1"}, tmp_path)
    with pytest.raises(openai.BadRequestError) as caught:
        client.models.delete(name)
    assert caught.value.param == "model"
    assert client.models.retrieve(name).id == name


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("name", ["gpt-unknown", "a%2Fb", "ft:tiny:local::AAAAAAAA"])
def test_an_unknown_model_is_a_404(http: httpx2.Client, method: str, name: str) -> None:
    reply = http.request(method, f"/v1/models/{name}")
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")


def test_foreign_models_do_not_exist(foreign_client: OpenAI, run, tmp_path: Path) -> None:
    checkpoint = run.checkpoint(0, 0.1, {"a": b"1"}, tmp_path)
    name = run.finish()
    assert name not in [model.id for model in foreign_client.models.list()]
    for call in (foreign_client.models.retrieve, foreign_client.models.delete):
        for known in (name, checkpoint):
            with pytest.raises(openai.NotFoundError):
                call(known)


def test_a_deleted_tuned_model_leaves_its_job_and_checkpoints(client: OpenAI, run, tmp_path: Path) -> None:
    checkpoint = run.checkpoint(1, 0.1, {"a": b"1"}, tmp_path)
    name = run.finish()
    reply = client.models.delete(name)
    assert reply.to_dict() == {"id": name, "object": "model", "deleted": True}
    assert client.fine_tuning.jobs.retrieve(run.job_id).fine_tuned_model == name
    assert client.models.retrieve(checkpoint).id == checkpoint
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("kind", ["tuned", "checkpoint"])
def test_a_job_can_start_from_a_model_of_the_project(strict_client: OpenAI, run, body, tmp_path: Path, kind: str) -> None:
    checkpoint = run.checkpoint(1, 0.1, {"a": b"1"}, tmp_path)
    checkpoint_id = run.checkpoint_id
    name = {"tuned": run.finish(), "checkpoint": checkpoint}[kind]
    job = strict_client.fine_tuning.jobs.create(**{**body, "model": name})
    assert job.model == name
    assert job.model_extra["touchstone"]["adapter"] == run.plan.options()["adapter"]
    stored = run.context.jobs("proj_default").get(job.id)
    assert (stored.base_model, stored.initial_checkpoint_id) == ("tiny", checkpoint_id)


def test_an_adapter_keeps_its_shape_in_the_jobs_that_go_on_from_it(client: OpenAI, run, body, tmp_path: Path) -> None:
    name = run.checkpoint(1, 0.1, {"a": b"1"}, tmp_path)
    with pytest.raises(openai.BadRequestError) as caught:
        client.fine_tuning.jobs.create(
            **{**body, "model": name}, extra_body={"touchstone": {"adapter": {"type": "lora", "rank": 4}}}
        )
    assert caught.value.param == "touchstone.adapter"
