"""Trying a grader on one sample, with the code that grades in jobs."""

from __future__ import annotations

import json
from typing import Any

from api.graders.schemas import RunGrader
from graders.base import Sample, Sandbox
from graders.build import build
from graders.parts import GraderParts
from graders.report import run_response
from graders.spec import parse

Json = dict[str, Any]


def run_grader(asked: RunGrader, sandbox: Sandbox) -> Json:
    """OpenAI's body for one graded sample. A grade that fails is part of it; only a wrong configuration raises."""
    spec = parse(asked.grader)
    # The sandbox is shared with other requests, so that nothing of the grader is left to close.
    grader = build(spec, GraderParts(lambda: sandbox))
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
