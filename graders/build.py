"""From a configuration to the grader that computes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from graders.base import Grader
from graders.multi import MultiGrader
from graders.parts import GraderParts
from graders.python_grader import PythonGrader
from graders.specs.base import GraderSpec
from graders.specs.multi import Multi
from graders.specs.python import PythonSource
from graders.specs.string_check import StringCheck
from graders.specs.text_similarity import TextSimilarity
from graders.string_check import string_check
from graders.text_similarity import text_similarity


def build(spec: GraderSpec, parts: GraderParts) -> Grader:
    """The grader of a parsed configuration.

    A grader's `close` closes the parts that it was given, so whoever shares one among many graders closes the part and not the
    graders.
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
    Multi: _multi,
}
"""One entry for each of `graders.specs.TYPES`."""
