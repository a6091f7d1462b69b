"""Grader configurations with OpenAI's fields, one module a type. A new type is a line in `TYPES` and one in `graders.build`."""

from __future__ import annotations

from graders.specs.base import GraderSpec
from graders.specs.multi import Multi
from graders.specs.python import PythonSource
from graders.specs.string_check import StringCheck
from graders.specs.text_similarity import TextSimilarity

TYPES: dict[str, type[GraderSpec]] = {
    "string_check": StringCheck,
    "text_similarity": TextSimilarity,
    "python": PythonSource,
    "multi": Multi,
}
"""The configuration behind each `type`."""
