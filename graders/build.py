"""From a configuration to the grader that computes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from graders.base import Grader, Sandbox
from graders.multi import MultiGrader
from graders.python_grader import PythonGrader
from graders.spec import Multi, PythonSource, Spec, StringCheck, TextSimilarity
from graders.string_check import string_check
from graders.text_similarity import text_similarity


def build(spec: Spec, sandbox_factory: Callable[[], Sandbox]) -> Grader:
    """The grader of a parsed configuration.

    `sandbox_factory` is called once, and only where there is a python grader; all members of a multi grader share what it gives.
    A grader's `close` closes that sandbox, so whoever shares one among many graders closes the sandbox and not the graders.
    """
    return _build(spec, cache(sandbox_factory))


def _build(spec: Spec, sandbox: Callable[[], Sandbox]) -> Grader:
    match spec:
        case StringCheck():
            return string_check(spec)
        case TextSimilarity():
            return text_similarity(spec)
        case PythonSource():
            return PythonGrader(spec, sandbox())
        case Multi():
            return MultiGrader(spec, {key: _build(member, sandbox) for key, member in spec.graders.items()})
