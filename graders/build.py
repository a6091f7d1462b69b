"""From a configuration to the grader that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from graders.base import Grader
from graders.code.grader import CodeGrader
from graders.endpoint import EndpointGrader
from graders.instructions.grader import InstructionsGrader
from graders.label_model import label_model
from graders.math.build import math_grader
from graders.multi import MultiGrader
from graders.parts import GraderParts
from graders.python_grader import PythonGrader
from graders.score_model import score_model
from graders.specs.base import GraderSpec
from graders.specs.code import CodeTests
from graders.specs.endpoint import Endpoint
from graders.specs.instructions import Instructions
from graders.specs.label_model import LabelModel
from graders.specs.math import MathEquality
from graders.specs.multi import Multi
from graders.specs.python import PythonSource
from graders.specs.score_model import ScoreModel
from graders.specs.string_check import StringCheck
from graders.specs.text_similarity import TextSimilarity
from graders.string_check import string_check
from graders.text_similarity import text_similarity


def build(spec: GraderSpec, parts: GraderParts) -> Grader:
    """The grader of a parsed configuration; raises `RftError` where a judge that it names cannot be used.

    A grader's `close` closes the sandbox that it was given, so whoever shares one among many graders closes the sandbox and not
    the graders.
    """
    return _build(spec, replace(parts, sandbox=cache(parts.sandbox)))


def _build(spec: GraderSpec, parts: GraderParts) -> Grader:
    return _BUILDERS[type(spec)](spec, parts)


def _multi(spec: Multi, parts: GraderParts) -> Grader:
    return MultiGrader(spec, {key: _build(member, parts) for key, member in spec.graders.items()})


_BUILDERS: dict[type[GraderSpec], Callable[[Any, GraderParts], Grader]] = {
    StringCheck: lambda spec, _: string_check(spec),
    TextSimilarity: lambda spec, _: text_similarity(spec),
    PythonSource: lambda spec, parts: PythonGrader(spec, parts.sandbox()),
    ScoreModel: lambda spec, parts: score_model(spec, parts.judges.get(spec.model), allow_private=parts.allow_private_urls),
    LabelModel: lambda spec, parts: label_model(spec, parts.judges.get(spec.model), allow_private=parts.allow_private_urls),
    Endpoint: lambda spec, parts: EndpointGrader(spec, parts.outbound),
    MathEquality: math_grader,
    CodeTests: lambda spec, parts: CodeGrader(spec, parts.sandbox()),
    Instructions: lambda spec, _: InstructionsGrader(spec),
    Multi: _multi,
}
"""One entry for each of `graders.specs.TYPES`."""
