"""Metrics of a step, in the key tree that OpenAI's reinforcement fine-tuning events have.

What is ours alone stands under `touchstone`. Values that a step does not have (validation between evaluations, everything of
training at step 0) are None.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.reasoning import reasoning_share
from graders.base import FailureKind, Grade, GradeError, TokenUsage, total_usage
from worker.drawing import Replacement
from worker.policy.base import UpdateStats
from worker.rollout.base import StopReason
from worker.rollouts import Result, Rollout

Json = dict[str, Any]
FAILED_COUNTS_AS: dict[str, float | None] = {"exclude": None, "zero": 0.0, "minus_one": -1.0}


@dataclass(frozen=True)
class GraderName:
    """A grader of the job: the whole one (`key` None) or a member of a multi grader."""

    key: str | None
    name: str
    type: str
    model: str | None = None
    """The judge that it asks, where it asks one."""

    def result(self, rollout: Rollout) -> Result | None:
        """What this grader said of a rollout; None where it was not asked."""
        return rollout.result if self.key is None else rollout.result.parts.get(self.key)


@dataclass(frozen=True)
class Timing:
    """Seconds of a step's phases."""

    sampling: float
    training: float
    eval: float
    full_iteration: float


def grader_names(config: Json) -> list[GraderName]:
    """All graders of a normalised configuration, the whole one first."""
    members = config["graders"].items() if config["type"] == "multi" else ()
    return [
        GraderName(None, config["name"], config["type"], config.get("model")),
        *(GraderName(key, member["name"], member["type"], member.get("model")) for key, member in members),
    ]


def mean(values: Sequence[float]) -> float | None:
    """The mean, None of nothing."""
    return math.fsum(values) / len(values) if values else None


def reported_reward(rollouts: Sequence[Rollout], failed_sample: str) -> float | None:
    """The mean reward, samples without a grade counted as the job's `failed_sample` says."""
    stand_in = FAILED_COUNTS_AS[failed_sample]
    rewards = [stand_in if rollout.reward is None else rollout.reward for rollout in rollouts]
    return mean([reward for reward in rewards if reward is not None])


def step_metrics(
    *,
    step: int,
    total_steps: int,
    graders: Sequence[GraderName],
    failed_sample: str,
    train: Sequence[Rollout] | None,
    valid: Sequence[Rollout] | None,
    update: UpdateStats | None,
    timing: Timing,
    sync_difference: float | None = None,
    staleness: int | None = None,
    replacement: Replacement | None = None,
    seconds_left: float | None = None,
) -> Json:
    """The whole tree of one step."""
    splits = {"train": train, "valid": valid}
    return {
        "step": step,
        "total_steps": total_steps,
        "train_mean_reward": _of(train, lambda r: reported_reward(r, failed_sample)),
        "full_valid_mean_reward": _of(valid, lambda r: reported_reward(r, failed_sample)),
        "full_valid_mean_parse_error": _of(valid, lambda r: _failed_share(r, FailureKind.SAMPLE_PARSE)),
        "mean_unresponsive_rewards": _of(train if train is not None else valid, lambda r: _failed_share(r, None)),
        "reasoning_tokens_mean": _of(train, lambda r: mean(_reasoning_tokens(r))),
        "completion_tokens_mean": _of(train, lambda r: mean(_tokens(r))),
        "valid_reasoning_tokens_mean": _of(valid, lambda r: mean(_reasoning_tokens(r))),
        "valid_completion_tokens_mean": _of(valid, lambda r: mean(_tokens(r))),
        "scores": {
            **{f"{split}_reward_mean": _of(r, lambda r: mean(_scores(r, graders[0]))) for split, r in splits.items()},
            "graders": [_scores_of(grader, splits) for grader in graders],
        },
        "usage": {"graders": [_usage_of(grader, splits) for grader in graders], "samples": _samples_usage(splits)},
        "errors": {"graders": [_errors_of(grader, splits) for grader in graders]},
        "timing": {"step": asdict(timing), "graders": [_latency_of(grader, splits) for grader in graders]},
        "model_graders_token_usage": _usage_by_model(splits),
        "touchstone": {
            **_spread(train),
            "valid_reward_std": _of(valid, _std),
            "train_graded": _of(train, _graded),
            "valid_graded": _of(valid, _graded),
            "update": asdict(update) if update else None,
            "sync_difference": sync_difference,
            "staleness": staleness,
            "dynamic_sampling": asdict(replacement) if replacement else None,
            "tokens": _token_counts(splits),
            "seconds_left": seconds_left,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        },
    }


def step_message(metrics: Json) -> str:
    """The text of a metrics event, as OpenAI words it."""
    pieces = [f"Step {metrics['step']}/{metrics['total_steps']} "]
    for name, key in (
        ("train mean reward", "train_mean_reward"),
        ("full validation mean reward", "full_valid_mean_reward"),
        ("full validation mean parse error", "full_valid_mean_parse_error"),
    ):
        if metrics[key] is not None:
            pieces.append(f" {name}={metrics[key]:.2f}")
    return ",".join(pieces)


def _of(rollouts: Sequence[Rollout] | None, figure: Callable[[Sequence[Rollout]], float | None]) -> float | None:
    return figure(rollouts) if rollouts is not None else None


def _scores(rollouts: Sequence[Rollout], grader: GraderName) -> list[float]:
    results = (grader.result(rollout) for rollout in rollouts)
    return [result.score for result in results if isinstance(result, Grade)]


def _scores_of(grader: GraderName, splits: dict[str, Sequence[Rollout] | None]) -> Json:
    means = {f"{split}_reward_mean": _of(r, lambda r: mean(_scores(r, grader))) for split, r in splits.items()}
    return {"name": grader.name, "type": grader.type, **means}


def _errors_of(grader: GraderName, splits: dict[str, Sequence[Rollout] | None]) -> Json:
    errors: Json = {"name": grader.name, "type": grader.type}
    for kind in FailureKind:
        for split, rollouts in splits.items():
            count = None if rollouts is None else _count_failures(rollouts, grader, kind)
            errors[f"{split}_{kind}_error_mean"] = None if rollouts is None or count is None else count / max(len(rollouts), 1)
            errors[f"{split}_{kind}_error_count"] = count
    return errors


def _count_failures(rollouts: Sequence[Rollout], grader: GraderName, kind: FailureKind) -> int:
    results = (grader.result(rollout) for rollout in rollouts)
    return sum(isinstance(result, GradeError) and result.kind is kind for result in results)


def _failed_share(rollouts: Sequence[Rollout], kind: FailureKind | None) -> float | None:
    failures = [rollout.result for rollout in rollouts if isinstance(rollout.result, GradeError)]
    return len([failure for failure in failures if kind in (None, failure.kind)]) / len(rollouts) if rollouts else None


def _latency_of(grader: GraderName, splits: dict[str, Sequence[Rollout] | None]) -> Json:
    latency: Json = {"name": grader.name, "type": grader.type}
    for split, rollouts in splits.items():
        results = [grader.result(rollout) for rollout in rollouts or ()]
        latency[f"{split}_execution_latency_mean"] = mean([result.seconds for result in results if result is not None])
    return latency


def _usage_of(grader: GraderName, splits: dict[str, Sequence[Rollout] | None]) -> Json:
    """Tokens of a grader's judge, over all samples that it was asked about."""
    usage: Json = {"name": grader.name, "type": grader.type, "model": grader.model}
    for split, rollouts in splits.items():
        results = [grader.result(rollout) for rollout in rollouts or ()] if grader.model else []
        tokens = total_usage(result.usage for result in results if result is not None).get(grader.model or "", TokenUsage())
        for kind, count in (("prompt", tokens.prompt), ("completion", tokens.completion)):
            usage[f"{split}_{kind}_tokens_mean"] = count / max(len(results), 1)
            usage[f"{split}_{kind}_tokens_count"] = count
    return usage


def _usage_by_model(splits: dict[str, Sequence[Rollout] | None]) -> Json:
    """Tokens by judge; validation is `eval` here, as OpenAI has it."""
    usage: Json = {}
    for split, rollouts in splits.items():
        prefix = "eval" if split == "valid" else split
        for model, tokens in total_usage(rollout.result.usage for rollout in rollouts or ()).items():
            counts = {f"{prefix}_{kind}_tokens": count for kind, count in asdict(tokens).items()}
            usage.setdefault(model, {f"{each}_{kind}_tokens": 0 for each in ("train", "eval") for kind in asdict(tokens)}).update(
                counts
            )
    return usage


def _samples_usage(splits: dict[str, Sequence[Rollout] | None]) -> Json:
    tokens = {split: None if rollouts is None else _reasoning_tokens(rollouts) for split, rollouts in splits.items()}
    means = {f"{split}_reasoning_tokens_mean": None if values is None else mean(values) for split, values in tokens.items()}
    counts = {
        f"{split}_reasoning_tokens_count": None if values is None else round(sum(values)) for split, values in tokens.items()
    }
    return {**means, **counts}


def _tokens(rollouts: Sequence[Rollout]) -> list[float]:
    return [float(len(rollout.completion.tokens_T)) for rollout in rollouts]


def _reasoning_tokens(rollouts: Sequence[Rollout]) -> list[float]:
    return [float(round(len(r.completion.tokens_T) * reasoning_share(r.text))) for r in rollouts]


def _token_counts(splits: dict[str, Sequence[Rollout] | None]) -> Json:
    """Tokens of the step's prompts, each counted once for all its samples, and of all completions."""
    prompts = {(split, rollout.example): rollout.prompt_tokens for split, found in splits.items() for rollout in found or ()}
    sampled = sum(len(rollout.completion.tokens_T) for found in splits.values() for rollout in found or ())
    return {"prompt": sum(prompts.values()), "sampled": sampled}


def _graded(rollouts: Sequence[Rollout]) -> int:
    """Samples with a reward: those that mean and deviation are of."""
    return sum(rollout.reward is not None for rollout in rollouts)


def _std(rollouts: Sequence[Rollout]) -> float | None:
    rewards = [rollout.reward for rollout in rollouts if rollout.reward is not None]
    centre = mean(rewards)
    return None if centre is None else math.sqrt(math.fsum((reward - centre) ** 2 for reward in rewards) / len(rewards))


def _spread(train: Sequence[Rollout] | None) -> Json:
    """How much signal a step's rollouts hold."""
    if train is None:
        return {"train_reward_std": None, "groups_with_spread": None, "truncated": None}
    examples = {rollout.example for rollout in train}
    live = {rollout.example for rollout in train if rollout.advantage}
    truncated = [float(rollout.completion.stop_reason is StopReason.LENGTH) for rollout in train]
    return {"train_reward_std": _std(train), "groups_with_spread": len(live) / len(examples), "truncated": mean(truncated)}
