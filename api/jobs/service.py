"""The rules of creating a job: everything that can be known before its files are read."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from api.context import Context
from api.jobs.schemas import MAX_SEED, CreateJob, Reinforcement
from api.models.service import find_model
from api.validation import validated
from core.errors import InvalidRequest, NotFound
from core.jobs.plan import Hyperparameters, Options
from core.jobs.types import Job, NewJob
from core.models import BaseModel
from graders.spec import normalised, parse

Json = dict[str, Any]

FINE_TUNE = "fine-tune"
RETRY_SECONDS = 600.0
"""How long a create call that comes again is taken for the same one: OpenAI's client sends no idempotency key."""
_RETRIED_AMONG = 100
_BLOCK = "method.reinforcement"


def create_job(context: Context, project_id: str, body: Json, *, is_retry: bool) -> Job:
    """Write the job of a create body, or return the one that the call made before where it `is_retry`.

    Raises `InvalidRequest` (400) with the path of the field at fault, `NotFound` for an unknown model or file.
    """
    asked = validated(CreateJob, body)
    block = _reinforcement(asked)
    _refuse_unsupported(asked, block)
    model = _base_model(context, project_id, asked.model)
    request = _resolved_request(body, asked, block, model)
    _check_file(context, project_id, asked.training_file, "training_file")
    if asked.validation_file is not None:
        _check_file(context, project_id, asked.validation_file, "validation_file")
    earlier = _made_before(context, project_id, request) if is_retry else None
    if earlier is not None:
        return earlier
    seed = asked.seed if asked.seed is not None else secrets.randbelow(MAX_SEED + 1)
    return context.jobs(project_id).create(NewJob(request, model.id, seed, asked.training_file, asked.validation_file))


def _reinforcement(asked: CreateJob) -> Reinforcement:
    if asked.method is None:
        message = "Only reinforcement fine-tuning is supported: 'method' must be an object of the type 'reinforcement'."
        raise InvalidRequest(message, param="method", code="unsupported_method")
    if asked.method.type != "reinforcement":
        message = f"The method '{asked.method.type}' is not supported: this service does reinforcement fine-tuning only."
        raise InvalidRequest(message, param="method.type", code="unsupported_method")
    if asked.method.reinforcement is None:
        message = f"Missing required parameter: '{_BLOCK}'."
        raise InvalidRequest(message, param=_BLOCK, code="missing_required_parameter")
    return asked.method.reinforcement


def _refuse_unsupported(asked: CreateJob, block: Reinforcement) -> None:
    """What would change the run is refused where it cannot be done, rather than left out in silence."""
    if asked.suffix is not None and not asked.suffix.isprintable():
        raise InvalidRequest("Invalid value for 'suffix': it holds control characters.", param="suffix", code="invalid_value")
    if asked.hyperparameters:
        message = f"Hyperparameters of reinforcement fine-tuning stand in '{_BLOCK}.hyperparameters'."
        raise InvalidRequest(message, param="hyperparameters", code="unsupported_parameter")
    if asked.integrations:
        raise InvalidRequest("Integrations are not supported yet.", param="integrations", code="unsupported_parameter")
    if block.response_format is not None and block.response_format.get("type") != "text":
        message = "Only the response format 'text' is supported yet: completions are not held to a JSON schema."
        raise InvalidRequest(message, param=f"{_BLOCK}.response_format", code="unsupported_parameter")
    if block.tools:
        message = "Tools during rollouts are not supported yet."
        raise InvalidRequest(message, param=f"{_BLOCK}.tools", code="unsupported_parameter")


def _base_model(context: Context, project_id: str, name: str) -> BaseModel:
    model = find_model(context, project_id, name)
    if model.checkpoint is not None:
        message = f"`{name}` is a tuned model. Training goes on from base models only yet, here from `{model.base_model}`."
        raise InvalidRequest(message, param="model", code="unsupported_model")
    return context.models.resolve(name)


def _resolved_request(body: Json, asked: CreateJob, block: Reinforcement, model: BaseModel) -> Json:
    """The body to keep: as it came, with the grader's names filled in and nulls of our own options left out."""
    grader = normalised(parse(block.grader, f"{_BLOCK}.grader"))
    hyperparameters = _without_nulls(block.hyperparameters)
    validated(Hyperparameters, hyperparameters, at=("method", "reinforcement", "hyperparameters"))
    options = _without_nulls(asked.touchstone)
    _check_lengths(validated(Options, options, at=("touchstone",)), model)
    method = body["method"]
    kept = {**method["reinforcement"], "grader": grader, "hyperparameters": hyperparameters}
    return {**body, "method": {**method, "reinforcement": kept}, **({} if asked.touchstone is None else {"touchstone": options})}


def _check_lengths(options: Options, model: BaseModel) -> None:
    if model.max_model_len is not None and options.max_completion_tokens >= model.max_model_len:
        message = f"'{model.id}' takes {model.max_model_len} tokens, prompt included: leave room for the prompt."
        raise InvalidRequest(message, param="touchstone.max_completion_tokens", code="invalid_value")


def _without_nulls(values: Mapping[str, Any] | None) -> Json:
    """Clients send null for what their caller left unset."""
    return {name: value for name, value in (values or {}).items() if value is not None}


def _check_file(context: Context, project_id: str, file_id: str, param: str) -> None:
    try:
        file = context.files(project_id).get(file_id)
    except NotFound as error:
        raise NotFound(error.message, param=param) from None
    if file.purpose != FINE_TUNE:
        message = f"The file {file_id} was uploaded for '{file.purpose}'; a job needs files of the purpose '{FINE_TUNE}'."
        raise InvalidRequest(message, param=param, code="invalid_value")


def _made_before(context: Context, project_id: str, request: Json) -> Job | None:
    """The job that the same body made a short while ago, whose reply the client may never have seen."""
    recent = context.jobs(project_id).list(after=None, limit=_RETRIED_AMONG, metadata=None)
    oldest = time.time() - RETRY_SECONDS
    return next((job for job in recent.data if job.created_at >= oldest and job.request == request), None)
