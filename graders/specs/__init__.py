"""Grader configurations with OpenAI's fields, one module a type. A new type is a line in `TYPES` and one in `graders.build`."""

from __future__ import annotations

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

TYPES: dict[str, type[GraderSpec]] = {
    "string_check": StringCheck,
    "text_similarity": TextSimilarity,
    "python": PythonSource,
    "score_model": ScoreModel,
    "label_model": LabelModel,
    "endpoint": Endpoint,
    "math": MathEquality,
    "instructions": Instructions,
    "code": CodeTests,
    "multi": Multi,
}
"""The configuration behind each `type`."""

MEMBERS_ONLY = frozenset({"label_model"})
"""Types that OpenAI takes inside a multi grader alone."""
