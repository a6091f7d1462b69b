"""What graders have cost a job so far, added up from the metrics of its steps."""

from __future__ import annotations

from core.jobs.types import Json

_KINDS = ("prompt_tokens", "completion_tokens", "cached_tokens")


def added(usage: Json, metrics: Json) -> Json:
    """`usage` of the steps before, with the grader tokens of one more step: `{"grader_tokens": {<judge>: {<kind>: count}}}`.

    Training and validation count together; a step's metrics keep them apart (`model_graders_token_usage`).
    """
    spent = {model: dict(tokens) for model, tokens in (usage.get("grader_tokens") or {}).items()}
    for model, counts in (metrics.get("model_graders_token_usage") or {}).items():
        tokens = spent.setdefault(model, dict.fromkeys(_KINDS, 0))
        for kind in _KINDS:
            tokens[kind] += sum(counts.get(f"{split}_{kind}") or 0 for split in ("train", "eval"))
    return {**usage, "grader_tokens": spent}
