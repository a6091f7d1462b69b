"""Configuration of `text_similarity`."""

from __future__ import annotations

from typing import Literal

from graders import wordnet
from graders.specs.base import GraderSpec, check_template


class TextSimilarity(GraderSpec):
    """How alike two rendered strings are, from 0.0 to 1.0."""

    type: Literal["text_similarity"]
    input: str
    reference: str
    evaluation_metric: Literal[
        "fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"
    ]  # fmt: skip

    def check(self, param: str) -> None:
        """Both sides must be templates, and METEOR needs its corpus."""
        check_template(self.input, f"{param}.input")
        check_template(self.reference, f"{param}.reference")
        if self.evaluation_metric == "meteor":
            wordnet.check_installed(f"{param}.evaluation_metric")
