"""The rules of creating a job: everything that can be known before its files are read."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from api.context import Context
from api.jobs.schemas import MAX_SEED, TOP_HYPERPARAMETERS, CreateJob, Reinforcement
from api.jobs.start import Start, find_start
from api.validation import validated
from core import response_format
from core.creations import Attempt
from core.errors import InvalidRequest, NotFound
from core.jobs.plan import Hyperparameters, Options
from core.jobs.types import Job, NewJob
from core.models import BaseModel
from graders.parts import checked_grader

Json = dict[str, Any]

FINE_TUNE = "fine-tune"
_BLOCK = "method.reinforcement"
NOT_SENT = "The integration 'wandb' is kept with the job, but this service sends no metrics to Weights & Biases."


def create_job(context: Context, project_id: str, body: Json, attempt: Attempt) -> Job:
    """Write the job of a create body, or return the one that the same call has made before.

    Raises `InvalidRequest` (400) with the path of the field at fault, `NotFound` for an unknown model or file.
    """
    _refuse_other_methods(body.get("method"))
    asked = validated(CreateJob, body)
    block = _reinforcement(asked)
    _refuse_unsupported(asked, block)
    start = find_start(context, project_id, asked.model)
    grader = checked_grader(context.grader_parts(project_id), block.grader, f"{_BLOCK}.grader")
    request = _resolved_request(body, asked, block, start, grader)
    _check_file(context, project_id, asked.training_file, "training_file")
    if asked.validation_file is not None:
        _check_file(context, project_id, asked.validation_file, "validation_file")
    seed = asked.seed if asked.seed is not None else secrets.randbelow(MAX_SEED + 1)
    new = NewJob(
        request=request,
        base_model=start.model.id,
        seed=seed,
        training_file=asked.training_file,
        validation_file=asked.validation_file,
        initial_checkpoint_id=start.checkpoint_id,
        priority=Options.model_validate(request.get("touchstone") or {}).priority,
        warnings=(NOT_SENT,) if asked.integrations else (),
        traceparent=context.traces.traceparent(),
    )
    return context.jobs(project_id).create(new, attempt)


def _refuse_other_methods(method: Any) -> None:
    """Before anything else of the body is looked at: what a supervised job says of itself is no concern here."""
    if method is None:
        message = "Only reinforcement fine-tuning is supported: 'method' must be an object of the type 'reinforcement'."
        raise InvalidRequest(message, param="method", code="unsupported_method")
    kind = method.get("type") if isinstance(method, dict) else None
    if kind in ("supervised", "dpo"):
        message = f"The method '{kind}' is not supported: this service does reinforcement fine-tuning only."
        raise InvalidRequest(message, param="method.type", code="unsupported_method")


def _reinforcement(asked: CreateJob) -> Reinforcement:
    if asked.method is None or asked.method.reinforcement is None:
        message = f"Missing required parameter: '{_BLOCK}'."
        raise InvalidRequest(message, param=_BLOCK, code="missing_required_parameter")
    return asked.method.reinforcement


def _refuse_unsupported(asked: CreateJob, block: Reinforcement) -> None:
    """What would change the run is refused where it cannot be done, rather than left out in silence."""
    if asked.suffix is not None and not asked.suffix.isprintable():
        raise InvalidRequest("Invalid value for 'suffix': it holds control characters.", param="suffix", code="invalid_value")
    response_format.parse(block.response_format, f"{_BLOCK}.response_format")
    if block.tools:
        message = "Tools during rollouts are not supported yet."
        raise InvalidRequest(message, param=f"{_BLOCK}.tools", code="unsupported_parameter")


def _resolved_request(body: Json, asked: CreateJob, block: Reinforcement, start: Start, grader: Json) -> Json:
    """The body to keep: as it came, with the grader's names and what follows from the start filled in, and without nulls."""
    hyperparameters = _hyperparameters(asked, block)
    options = _without_nulls(asked.touchstone)
    _check_lengths(validated(Options, options, at=("touchstone",)), start.model)
    options = start.options(options)
    method = body["method"]
    kept = {**method["reinforcement"], "grader": grader, "hyperparameters": hyperparameters}
    ours = {} if asked.touchstone is None and not options else {"touchstone": options}
    return {**body, "method": {**method, "reinforcement": kept}, **ours}


def _hyperparameters(asked: CreateJob, block: Reinforcement) -> Json:
    """Those of the method's block, and for values that it leaves out the deprecated ones at the top."""
    deprecated, own = _without_nulls(asked.hyperparameters), _without_nulls(block.hyperparameters)
    validated(Hyperparameters, deprecated, at=("hyperparameters",))
    validated(Hyperparameters, own, at=("method", "reinforcement", "hyperparameters"))
    return {**{name: deprecated[name] for name in TOP_HYPERPARAMETERS if name in deprecated}, **own}


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
