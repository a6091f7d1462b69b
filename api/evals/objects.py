"""What replies about evals hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from api.objects import Json, OpenReply, Reply
from core.jobs.evals import RunStatus


class DataSourceConfig(OpenReply):
    """What the rows of an eval look like."""

    type: Literal["custom"]


class EvalObject(Reply):
    """An eval, as `eval_object` builds it."""

    id: str
    object: Literal["eval"]
    name: str
    created_at: int
    data_source_config: DataSourceConfig
    testing_criteria: list[Json]
    metadata: dict[str, str]


class EvalError(Reply):
    """OpenAI's types want an error everywhere: an empty one is none."""

    code: str
    message: str


class ResultCounts(Reply):
    """How many samples came out how."""

    total: int
    passed: int
    failed: int
    errored: int


class ModelUsage(Reply):
    """What one model has read and written."""

    model_name: str
    invocation_count: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    total_tokens: int


class CriterionCounts(Reply):
    """How many samples one criterion passed."""

    testing_criteria: str
    passed: int
    failed: int


class RunObject(Reply):
    """A run, as `run_object` builds it."""

    id: str
    object: Literal["eval.run"]
    eval_id: str
    report_url: str
    status: RunStatus
    model: str
    name: str
    created_at: int
    result_counts: ResultCounts
    per_model_usage: list[ModelUsage]
    per_testing_criteria_results: list[CriterionCounts]
    data_source: Json
    error: EvalError
    metadata: dict[str, str]


class ResultObject(OpenReply):
    """What one criterion said of a sample."""

    name: str
    type: str
    score: float
    passed: bool


class OutputItem(Reply):
    """A graded sample, as `item_object` builds it."""

    id: str
    object: Literal["eval.run.output_item"]
    created_at: int
    run_id: str
    eval_id: str
    status: Literal["pass", "fail", "error"]
    datasource_item_id: int
    datasource_item: Json
    results: list[ResultObject]
    sample: Json
