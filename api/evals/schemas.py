"""Wire shapes of evals, their runs and output items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.evals.criteria import Criterion, testing_criteria
from api.evals.ids import ItemId, RunId
from api.evals.rollouts import Counts, Result
from core.jobs.evals import Run
from core.jobs.plan import Plan
from core.jobs.types import Job

Json = dict[str, Any]

NO_ERROR = {"code": "", "message": ""}
"""OpenAI's types want an error object everywhere, also where there is no error."""
_ITEM_SCHEMA: Json = {
    "type": "object",
    "properties": {"item": {"type": "object"}, "sample": {"type": "object"}},
    "required": ["item", "sample"],
}


def eval_object(job: Job) -> Json:
    """The eval of a job as clients see it."""
    return {
        "id": job.eval_id,
        "object": "eval",
        "name": f"Validation of {job.id}",
        "created_at": int(job.started_at or job.created_at),
        "data_source_config": {"type": "custom", "schema": _ITEM_SCHEMA},
        "testing_criteria": testing_criteria(job),
        "metadata": {"fine_tuning_job_id": job.id},
    }


def run_object(job: Job, run: Run, counts: Counts, criteria: Sequence[Criterion], model: str) -> Json:
    """A run as clients see it."""
    run_id = RunId(str(job.eval_id), run.step)
    return {
        "id": str(run_id),
        "object": "eval.run",
        "eval_id": job.eval_id,
        "report_url": f"/v1/evals/{job.eval_id}/runs/{run_id}",
        "status": run.status.value,
        "model": model,
        "name": f"Step {run.step}",
        "created_at": int(run.created_at),
        "result_counts": {
            "total": counts.total,
            "passed": counts.passed,
            "failed": counts.failed,
            "errored": counts.errored,
        },
        "per_model_usage": [_usage(model, counts), *(_judge_usage(name, tokens) for name, tokens in run.judges.items())],
        "per_testing_criteria_results": [
            {"testing_criteria": criterion.name, "passed": passed, "failed": failed}
            for criterion, (passed, failed) in zip(criteria, counts.criteria, strict=True)
        ],
        "data_source": {"type": "jsonl", "source": {"type": "file_id", "id": job.validation_file}},
        "error": NO_ERROR,
        "metadata": {"fine_tuning_job_id": job.id, "step": str(run.step)},
    }


def item_object(job: Job, run: Run, item_id: ItemId, row: Json, results: Sequence[Result], item: Json, model: str) -> Json:
    """An output item as clients see it; `item` is the row of the validation file, `results` begins with the whole grader's."""
    return {
        "id": str(item_id),
        "object": "eval.run.output_item",
        "created_at": int(run.created_at),
        "run_id": str(item_id.run),
        "eval_id": job.eval_id,
        "status": status_of(results[0]),
        "datasource_item_id": row["example"],
        "datasource_item": item,
        "results": [_result(result) for result in results],
        "sample": _sample(Plan.from_json(job.plan or {}), row, item, model),
    }


def status_of(result: Result) -> str:
    """`pass` or `fail` by the grader as a whole, `error` where it has no score."""
    if result.score is None:
        return "error"
    return "pass" if result.passed else "fail"


def _result(result: Result) -> Json:
    # Clients that check types read a number; `error` tells a missing score from a score of zero.
    score = 0.0 if result.score is None else result.score
    shown = {"name": result.criterion.name, "type": result.criterion.type, "score": score, "passed": result.passed}
    return shown if result.score is not None else {**shown, "error": result.error or "The sample has no grade."}


def _sample(plan: Plan, row: Json, item: Json, model: str) -> Json:
    prompt, completion = row["prompt_tokens"], len(row["tokens"])
    tokens = {"prompt_tokens": prompt, "completion_tokens": completion, "cached_tokens": 0, "total_tokens": prompt + completion}
    return {
        "input": _messages(item) or [{"role": "user", "content": row["prompt"]}],
        "output": [{"role": "assistant", "content": row["completion"]}],
        "finish_reason": row["stop_reason"],
        "model": model,
        "usage": tokens,
        "error": NO_ERROR,
        "temperature": plan.temperature,
        "top_p": plan.top_p,
        "max_completion_tokens": plan.max_completion_tokens,
        "seed": row["seed"],
    }


def _messages(item: Json) -> list[Json]:
    """The row's conversation, its parts joined to text."""
    return [{"role": message["role"], "content": _text(message.get("content"))} for message in item.get("messages") or ()]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part["text"] for part in content)
    return content or ""


def _usage(model: str, counts: Counts) -> Json:
    return {
        "model_name": model,
        "invocation_count": counts.total,
        "prompt_tokens": counts.prompt_tokens,
        "completion_tokens": counts.completion_tokens,
        "cached_tokens": 0,
        "total_tokens": counts.prompt_tokens + counts.completion_tokens,
    }


def _judge_usage(name: str, tokens: Json) -> Json:
    prompt, completion = tokens.get("eval_prompt_tokens") or 0, tokens.get("eval_completion_tokens") or 0
    return {
        "model_name": name,
        "invocation_count": tokens.get("eval_requests") or 0,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cached_tokens": tokens.get("eval_cached_tokens") or 0,
        "total_tokens": prompt + completion,
    }
