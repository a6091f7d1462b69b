"""Trying a grader on one sample, with the code that grades in jobs."""

from __future__ import annotations

import json
from typing import Any

from api.graders.schemas import RunGrader, ValidateGrader
from core.jobs.secrets import masked
from graders.base import Sample
from graders.build import build
from graders.parts import GraderParts
from graders.report import run_response
from graders.spec import normalised, parse

Json = dict[str, Any]


def validate_grader(asked: ValidateGrader, parts: GraderParts) -> Json:
    """The configuration with every name filled in and every secret masked; raises `InvalidRequest` where it is wrong."""
    spec = parse(asked.grader)
    parts.check(spec)
    hidden: Json = masked(normalised(spec))
    return hidden


def run_grader(asked: RunGrader, parts: GraderParts) -> Json:
    """OpenAI's body for one graded sample. A grade that fails is part of it; only a wrong configuration raises."""
    spec = parse(asked.grader)
    parts.check(spec)
    # The sandbox and the judges are shared with other requests, so that nothing of the grader is left to close.
    grader = build(spec, parts)
    sample = Sample(item=asked.item or {}, output_text=asked.model_sample, output_json=_parsed(asked.model_sample))
    return run_response(spec, grader.grade([sample])[0])


def _parsed(text: str) -> Any:
    """What graders see as `sample.output_json`: the value that the text spells, None where it is no JSON."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
