"""`client.fine_tuning`."""

from __future__ import annotations

from typing import Any

import pytest
from openai import BadRequestError, OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.compat.cases.base import proves
from tests.compat.world import HAS_AN_A, World, wait_for

SAME = "Reference: {{item.answer}} Answer: {{sample.output_text}}"
PYTHON = {"type": "python", "source": "def grade(sample, item):\n    return len(sample['output_text']) / 4\n"}


def waiting(client: OpenAI, world: World) -> FineTuningJob:
    """A job that has been validated: it waits for the worker, or is with it already."""
    job = world.create(client, method=_long())
    return client.fine_tuning.jobs.retrieve(_wait_until_valid(world, job.id))


def _wait_until_valid(world: World, job_id: str) -> str:
    with world.client() as client:
        wait_for(lambda: client.fine_tuning.jobs.retrieve(job_id).status in ("queued", "running"))
    return job_id


def _long() -> dict[str, Any]:
    hyperparameters = {"n_epochs": 50, "batch_size": 1, "eval_interval": 1000}
    return {"type": "reinforcement", "reinforcement": {"grader": HAS_AN_A, "hyperparameters": hyperparameters}}


@proves("fine_tuning.jobs.create")
def create(client: OpenAI, world: World) -> None:
    integration = {"type": "wandb", "wandb": {"project": "mine", "tags": ["a"]}}
    # The two blocks that `type` does not choose are ignored, as the SDK's own tests send them.
    method = {**_long(), "supervised": {"hyperparameters": {"n_epochs": "auto"}}, "dpo": {"hyperparameters": {"beta": "auto"}}}
    job = world.create(client, method=method, integrations=[integration], suffix=None, metadata=None)
    client.fine_tuning.jobs.cancel(job.id)
    assert job.id.startswith("ftjob-")
    assert (job.object, job.status, job.model, job.seed) == ("fine_tuning.job", "validating_files", world.job.model, 1)
    assert (job.training_file, job.validation_file) == (world.job.training_file, world.job.validation_file)
    assert (job.fine_tuned_model, job.finished_at, job.trained_tokens, job.result_files) == (None, None, None, [])
    assert (job.metadata, job.error, job.estimated_finish) == (None, None, None)
    assert job.method.type == "reinforcement"
    assert job.method.reinforcement.grader.to_dict() == HAS_AN_A
    assert (job.method.supervised, job.method.dpo) == (None, None)
    asked = job.method.reinforcement.hyperparameters
    assert (asked.n_epochs, asked.batch_size, asked.compute_multiplier, asked.reasoning_effort) == (50, 1, "auto", "default")
    assert job.hyperparameters.n_epochs == 50
    assert job.integrations[0].wandb.project == "mine"


@proves("fine_tuning.jobs.retrieve")
def retrieve(client: OpenAI, world: World) -> None:
    job = client.fine_tuning.jobs.retrieve(world.job.id)
    assert (job.status, job.fine_tuned_model) == ("succeeded", world.model)
    assert world.model.startswith("ft:tiny:local:compat:")
    assert job.finished_at >= job.created_at
    assert job.trained_tokens > 0
    assert job.metadata == {"suite": "compat"}
    assert job.method.reinforcement.hyperparameters.compute_multiplier == 1.0
    assert job.usage_metrics["train_seconds"] > 0
    assert job._request_id.startswith("req_")


@proves("fine_tuning.jobs.list")
def listed(client: OpenAI, world: World) -> None:
    made = [world.create(client, metadata={"of": f"list-{client._strict_response_validation}"}).id for _ in range(3)]
    for job_id in made:
        client.fine_tuning.jobs.cancel(job_id)
    page = client.fine_tuning.jobs.list(limit=1, metadata={"of": f"list-{client._strict_response_validation}"})
    assert ([job.id for job in page.data], page.has_more) == ([made[-1]], True)
    assert [job.id for job in page][:3] == made[::-1]
    assert world.job.id in {job.id for job in client.fine_tuning.jobs.list(metadata={"suite": "compat"})}


@proves("fine_tuning.jobs.cancel")
def cancel(client: OpenAI, world: World) -> None:
    job = world.create(client)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    with pytest.raises(BadRequestError) as caught:
        client.fine_tuning.jobs.cancel(job.id)
    assert caught.value.code == "invalid_state"


@proves("fine_tuning.jobs.pause")
def pause(client: OpenAI, world: World) -> None:
    job = waiting(client, world)
    try:
        assert client.fine_tuning.jobs.pause(job.id).status == "paused"
    finally:
        client.fine_tuning.jobs.cancel(job.id)


@proves("fine_tuning.jobs.resume")
def resume(client: OpenAI, world: World) -> None:
    job = waiting(client, world)
    with world.client() as lax:
        lax.fine_tuning.jobs.pause(job.id)
    assert client.fine_tuning.jobs.resume(job.id).status == "queued"
    client.fine_tuning.jobs.cancel(job.id)


@proves("fine_tuning.jobs.list_events")
def list_events(client: OpenAI, world: World) -> None:
    events = list(client.fine_tuning.jobs.list_events(world.job.id, limit=3))
    messages = [event.message for event in events][::-1]
    assert messages[0] == f"Created fine-tuning job: {world.job.id}"
    assert messages[1] == (
        f"Validating training file: {world.job.training_file} and validation file: {world.job.validation_file}"
    )
    assert messages[2:4] == ["Files validated, moving job to queued state", "Fine-tuning job started"]
    assert f"New fine-tuned model created: {world.model}" in messages
    assert messages[-1] == "The job has successfully completed"
    metrics = [event for event in events if event.type == "metrics"]
    assert metrics[0].message.startswith("Step 2/2 , train mean reward=")
    assert {"step", "total_steps", "train_mean_reward", "full_valid_mean_reward", "scores", "usage", "errors", "timing"} <= set(
        metrics[0].data
    )
    assert all(event.id.startswith("ftevent-") and event.level == "info" for event in events)


@proves("fine_tuning.jobs.checkpoints.list")
def list_checkpoints(client: OpenAI, world: World) -> None:
    page = client.fine_tuning.jobs.checkpoints.list(world.job.id, limit=1)
    assert page.has_more
    found = list(page)
    assert [checkpoint.step_number for checkpoint in found] == [2, 1]
    for checkpoint in found:
        assert checkpoint.id.startswith("ftckpt_")
        assert checkpoint.fine_tuning_job_id == world.job.id
        assert checkpoint.fine_tuned_model_checkpoint.endswith(f":ckpt-step-{checkpoint.step_number}")
        assert 0 <= checkpoint.metrics.train_mean_reward <= 1
        assert 0 <= checkpoint.metrics.valid_reward_mean <= 1
        assert checkpoint.metrics.completion_tokens_mean > 0


@proves("fine_tuning.alpha.graders.validate")
def validate(client: OpenAI, world: World) -> None:
    assert client.fine_tuning.alpha.graders.validate(grader=HAS_AN_A).grader.to_dict() == HAS_AN_A
    named = client.fine_tuning.alpha.graders.validate(grader=PYTHON).grader
    assert named.source == PYTHON["source"]
    assert named.name.startswith("grader-")
    with pytest.raises(BadRequestError):
        client.fine_tuning.alpha.graders.validate(grader={**HAS_AN_A, "operation": "neq"})


@proves("fine_tuning.alpha.graders.run")
def run(client: OpenAI, world: World) -> None:
    result = client.fine_tuning.alpha.graders.run(grader=PYTHON, item={}, model_sample="four")
    assert result.reward == 1.0
    assert (result.metadata.type, result.metadata.token_usage, result.metadata.scores) == ("python", None, {})
    assert (result.sub_rewards, result.metadata.execution_time > 0) == ({}, True)
    assert len(result.metadata.errors.to_dict()) == 24
    judge = {"type": "score_model", "name": "j", "model": "gpt-4o-2024-08-06", "input": [{"role": "user", "content": SAME}]}
    judged = client.fine_tuning.alpha.graders.run(grader=judge, item={"answer": "x"}, model_sample="x")
    assert (judged.reward, judged.metadata.sampled_model_name) == (1.0, "gpt-4o-2024-08-06")
    assert judged.to_dict()["model_grader_token_usage_per_model"]["gpt-4o-2024-08-06"]["prompt_tokens"] == 11


def _other_project(client: OpenAI) -> str:
    return client.admin.organization.projects.create(name="other").id


@proves("fine_tuning.checkpoints.permissions.create")
def grant(client: OpenAI, world: World) -> None:
    project = _other_project(client)
    (granted,) = client.fine_tuning.checkpoints.permissions.create(world.checkpoint(client), project_ids=[project])
    assert (granted.object, granted.project_id) == ("checkpoint.permission", project)
    assert granted.id.startswith("cp_")


@proves("fine_tuning.checkpoints.permissions.list")
def list_permissions(client: OpenAI, world: World) -> None:
    projects = [_other_project(client) for _ in range(2)]
    checkpoint, permissions = world.checkpoint(client), client.fine_tuning.checkpoints.permissions
    permissions.create(checkpoint, project_ids=projects)
    shown = [permission.project_id for permission in permissions.list(checkpoint, order="ascending", limit=1)]
    assert set(projects) <= set(shown)
    (one,) = permissions.list(checkpoint, project_id=projects[0])
    assert one.project_id == projects[0]


@proves("fine_tuning.checkpoints.permissions.retrieve")
def retrieve_permissions(client: OpenAI, world: World) -> None:
    project, checkpoint = _other_project(client), world.checkpoint(client)
    client.fine_tuning.checkpoints.permissions.create(checkpoint, project_ids=[project])
    with pytest.deprecated_call():
        found = client.fine_tuning.checkpoints.permissions.retrieve(checkpoint, project_id=project)
    assert [permission.project_id for permission in found.data] == [project]


@proves("fine_tuning.checkpoints.permissions.delete")
def revoke(client: OpenAI, world: World) -> None:
    project, checkpoint, permissions = (
        _other_project(client),
        world.checkpoint(client),
        client.fine_tuning.checkpoints.permissions,
    )
    (granted,) = permissions.create(checkpoint, project_ids=[project])
    gone = permissions.delete(granted.id, fine_tuned_model_checkpoint=checkpoint)
    assert (gone.id, gone.object, gone.deleted) == (granted.id, "checkpoint.permission", True)
    assert list(permissions.list(checkpoint, project_id=project)) == []
