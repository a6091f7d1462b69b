"""From a configuration to the grader that computes it."""

from __future__ import annotations

from collections.abc import Callable

from graders.base import Grader, Sandbox
from graders.multi import MultiGrader
from graders.python_grader import PythonGrader
from graders.spec import Multi, PythonSource, Spec, StringCheck, TextSimilarity
from graders.string_check import StringCheckGrader
from graders.text_similarity import TextSimilarityGrader


def build(spec: Spec, sandbox_factory: Callable[[], Sandbox]) -> Grader:
    """The grader of a parsed configuration.

    `sandbox_factory` is called once for each python grader. A grader's `close` closes the sandboxes it was given, so whoever
    shares one sandbox among many graders closes that sandbox and not the graders.
    """
    match spec:
        case StringCheck():
            return StringCheckGrader(spec)
        case TextSimilarity():
            return TextSimilarityGrader(spec)
        case PythonSource():
            return PythonGrader(spec, sandbox_factory())
        case Multi():
            return MultiGrader(spec, {key: build(member, sandbox_factory) for key, member in spec.graders.items()})
