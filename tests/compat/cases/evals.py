"""`client.evals`: the validations of jobs."""

from __future__ import annotations

from typing import Any

import pytest
from openai import NotFoundError, OpenAI

from tests.compat.cases.base import proves
from tests.compat.world import HAS_AN_A, World


def last_run(client: OpenAI, world: World) -> Any:
    return client.evals.runs.list(world.eval_id, order="desc").data[0]


@proves("evals.list")
def listed(client: OpenAI, world: World) -> None:
    assert world.eval_id in [one.id for one in client.evals.list(limit=1)]


@proves("evals.retrieve")
def retrieve(client: OpenAI, world: World) -> None:
    found = client.evals.retrieve(world.eval_id)
    assert (found.object, found.metadata) == ("eval", {"fine_tuning_job_id": world.job.id})
    assert found.data_source_config.type == "custom"
    assert [criterion.name for criterion in found.testing_criteria] == [HAS_AN_A["name"]]


@proves("evals.runs.list")
def list_runs(client: OpenAI, world: World) -> None:
    runs = list(client.evals.runs.list(world.eval_id, limit=2, order="asc", status="completed"))
    assert [run.name for run in runs] == ["Step 0", "Step 1", "Step 2"]
    assert runs[0].model == world.job.model
    assert all(run.object == "eval.run" and run.eval_id == world.eval_id for run in runs)


@proves("evals.runs.retrieve")
def retrieve_run(client: OpenAI, world: World) -> None:
    run = client.evals.runs.retrieve(last_run(client, world).id, eval_id=world.eval_id)
    counts = run.result_counts
    assert (run.status, counts.total, counts.passed + counts.failed + counts.errored) == ("completed", 2, 2)
    assert run.per_model_usage[0].completion_tokens > 0
    assert run.per_testing_criteria_results[0].passed == counts.passed


@proves("evals.runs.output_items.list")
def list_output_items(client: OpenAI, world: World) -> None:
    items = list(client.evals.runs.output_items.list(last_run(client, world).id, eval_id=world.eval_id, limit=1))
    assert len(items) == 2
    assert {item.datasource_item["messages"][0]["content"] for item in items} == {"say 8", "say 9"}


@proves("evals.runs.output_items.retrieve")
def retrieve_output_item(client: OpenAI, world: World) -> None:
    run = last_run(client, world)
    listed = client.evals.runs.output_items.list(run.id, eval_id=world.eval_id).data[0]
    item = client.evals.runs.output_items.retrieve(listed.id, eval_id=world.eval_id, run_id=run.id)
    assert item.object == "eval.run.output_item"
    (result,) = item.results
    assert result.passed == (result.score == 1.0) == ("a" in item.sample.output[0].content.lower())
    with pytest.raises(NotFoundError):
        client.evals.runs.output_items.retrieve("outputitem_no", eval_id=world.eval_id, run_id=run.id)
