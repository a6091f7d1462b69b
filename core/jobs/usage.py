"""What a job uses: graders' tokens added up in its row, and what one step adds to its project's usage."""

from __future__ import annotations

from core.jobs.types import Json, StepRecord
from core.usage import Amounts, UsageKind

_KINDS = ("prompt_tokens", "completion_tokens", "cached_tokens")
_JUDGE_KINDS = (UsageKind.JUDGE_PROMPT_TOKENS, UsageKind.JUDGE_COMPLETION_TOKENS, UsageKind.JUDGE_CACHED_TOKENS)


def added(usage: Json, metrics: Json) -> Json:
    """`usage` of the steps before, with the grader tokens of one more step: `{"grader_tokens": {<judge>: {<kind>: count}}}`.

    Training and validation count together; a step's metrics keep them apart (`model_graders_token_usage`).
    """
    spent = {model: dict(tokens) for model, tokens in (usage.get("grader_tokens") or {}).items()}
    for model, used in _judges(metrics).items():
        tokens = spent.setdefault(model, dict.fromkeys(_KINDS, 0))
        for kind in _KINDS:
            tokens[kind] += used[kind]
    return {**usage, "grader_tokens": spent}


def amounts(base_model: str, record: StepRecord) -> Amounts:
    """What a committed step adds to the usage of its project."""
    tokens = (record.metrics.get("touchstone") or {}).get("tokens") or {}
    found: dict[tuple[str, UsageKind], float] = {
        (base_model, UsageKind.DEVICE_SECONDS): record.seconds,
        (base_model, UsageKind.PROMPT_TOKENS): tokens.get("prompt", 0),
        (base_model, UsageKind.SAMPLED_TOKENS): tokens.get("sampled", 0),
        (base_model, UsageKind.TRAINED_TOKENS): record.trained_tokens,
        (base_model, UsageKind.STEPS): 1 if record.step > 0 else 0,
    }
    for model, used in _judges(record.metrics).items():
        for kind, name in zip(_JUDGE_KINDS, _KINDS, strict=True):
            found[model, kind] = used[name]
    return found


def _judges(metrics: Json) -> dict[str, dict[str, int]]:
    """A step's tokens of each judge, training and validation together."""
    counts = metrics.get("model_graders_token_usage") or {}
    return {
        model: {kind: sum(count.get(f"{split}_{kind}") or 0 for split in ("train", "eval")) for kind in _KINDS}
        for model, count in counts.items()
    }
