from __future__ import annotations

from typing import Any

import pytest

from graders.base import FailureKind, Grade, GradeError, TokenUsage
from worker.metrics import GraderName, Timing, grader_names, reported_reward, step_message, step_metrics
from worker.policy.base import UpdateStats
from worker.rollouts import Rollout

from .parts import rollout

GRADER = GraderName(None, "exact", "string_check")
UPDATE = UpdateStats(0.1, 0.1, 0.0, 5.0, 0.0, 0.0, 1.0, 24, skipped=False)
FAILED = GradeError(FailureKind.SAMPLE_PARSE, "no JSON", 0.75)
SPLITS = ("train", "valid")


def metrics(train: list[Rollout] | None, valid: list[Rollout] | None, failed_sample: str = "minus_one", **changes: Any) -> Any:
    values = {
        "step": 3,
        "total_steps": 9,
        "graders": [GRADER],
        "failed_sample": failed_sample,
        "train": train,
        "valid": valid,
        "update": UPDATE if train else None,
        "timing": Timing(1.0, 2.0, 3.0, 6.5),
    }
    return step_metrics(**{**values, **changes})


def both() -> Any:
    return metrics([rollout(1.0), rollout(0.0), rollout(FAILED)], [rollout(0.5), rollout(1.0)])


def test_the_tree_has_the_keys_that_clients_know() -> None:
    tree = both()
    assert tree.keys() - {"touchstone"} == {
        "step",
        "total_steps",
        "train_mean_reward",
        "full_valid_mean_reward",
        "full_valid_mean_parse_error",
        "mean_unresponsive_rewards",
        "reasoning_tokens_mean",
        "completion_tokens_mean",
        "valid_reasoning_tokens_mean",
        "valid_completion_tokens_mean",
        "scores",
        "usage",
        "errors",
        "timing",
        "model_graders_token_usage",
    }
    named = {"name", "type"}
    means = {f"{split}_reward_mean" for split in SPLITS}
    assert tree["scores"].keys() == means | {"graders"}
    assert tree["scores"]["graders"][0].keys() == named | means
    assert tree["usage"].keys() == {"graders", "samples"}
    assert tree["usage"]["graders"][0].keys() == named | {"model"} | {
        f"{split}_{kind}_tokens_{figure}" for split in SPLITS for kind in ("prompt", "completion") for figure in ("mean", "count")
    }
    assert tree["usage"]["samples"].keys() == {
        f"{split}_reasoning_tokens_{figure}" for split in SPLITS for figure in ("mean", "count")
    }
    assert tree["errors"].keys() == {"graders"}
    assert tree["errors"]["graders"][0].keys() == named | {
        f"{split}_{kind}_error_{figure}" for split in SPLITS for kind in FailureKind for figure in ("mean", "count")
    }
    assert tree["timing"].keys() == {"step", "graders"}
    assert tree["timing"]["step"] == {"eval": 3.0, "sampling": 1.0, "training": 2.0, "full_iteration": 6.5}
    assert tree["timing"]["graders"][0].keys() == named | {f"{split}_execution_latency_mean" for split in SPLITS}


def test_a_step_without_validation_has_the_same_keys_and_no_values() -> None:
    tree = metrics([rollout(1.0)], None)
    assert tree.keys() == both().keys()
    assert tree["full_valid_mean_reward"] is tree["full_valid_mean_parse_error"] is tree["valid_completion_tokens_mean"] is None
    assert tree["scores"]["valid_reward_mean"] is None


def test_the_step_before_training_has_no_values_of_training() -> None:
    tree = metrics(None, [rollout(1.0)])
    assert tree["train_mean_reward"] is tree["completion_tokens_mean"] is tree["scores"]["train_reward_mean"] is None
    assert tree["touchstone"]["update"] is None


@pytest.mark.parametrize(("failed_sample", "mean"), [("exclude", 0.5), ("zero", 1 / 3), ("minus_one", 0.0)])
def test_the_overall_mean_counts_failed_samples_as_the_job_says(failed_sample: str, mean: float) -> None:
    tree = metrics([rollout(1.0), rollout(0.0), rollout(FAILED)], None, failed_sample)
    assert tree["train_mean_reward"] == pytest.approx(mean)
    assert tree["scores"]["train_reward_mean"] == tree["scores"]["graders"][0]["train_reward_mean"] == 0.5


def test_the_published_example_of_510_samples_comes_out() -> None:
    rollouts = [rollout(1.0)] * 224 + [rollout(0.0)] * 277 + [rollout(FAILED)] * 9
    assert reported_reward(rollouts, "minus_one") == pytest.approx(0.42157, abs=5e-6)
    assert metrics(rollouts, None)["scores"]["train_reward_mean"] == pytest.approx(0.44711, abs=5e-6)


def test_failures_are_counted_by_kind_and_split() -> None:
    (errors,) = both()["errors"]["graders"]
    counts = {name: value for name, value in errors.items() if name.endswith("count") and value}
    assert counts == {"train_sample_parse_error_count": 1}
    assert errors["train_sample_parse_error_mean"] == pytest.approx(1 / 3)
    assert both()["mean_unresponsive_rewards"] == pytest.approx(1 / 3)


def test_members_of_a_multi_grader_have_figures_of_their_own() -> None:
    config = {
        "type": "multi",
        "name": "all",
        "graders": {"a": {"name": "first", "type": "string_check"}, "b": {"name": "second", "type": "python"}},
    }
    names = grader_names(config)
    assert names == [
        GraderName(None, "all", "multi"),
        GraderName("a", "first", "string_check"),
        GraderName("b", "second", "python"),
    ]
    whole = GradeError(
        FailureKind.PYTHON_RUNTIME, "raised", 0.0, {"a": Grade(0.25), "b": GradeError(FailureKind.PYTHON_RUNTIME, "raised")}
    )
    tree = metrics([rollout(Grade(1.0, 0.0, {"a": Grade(0.75), "b": Grade(1.0)})), rollout(whole)], None, graders=names)
    assert [grader["train_reward_mean"] for grader in tree["scores"]["graders"]] == [1.0, 0.5, 1.0]
    assert [grader["train_python_grader_runtime_error_count"] for grader in tree["errors"]["graders"]] == [1, 0, 1]


def test_a_judges_tokens_are_counted_by_grader_and_by_model() -> None:
    config = {
        "type": "multi",
        "name": "all",
        "graders": {
            "a": {"name": "first", "type": "score_model", "model": "big"},
            "b": {"name": "second", "type": "string_check"},
        },
    }
    spent = {"big": TokenUsage(10, 4, 2)}
    graded = rollout(Grade(1.0, 0.0, {"a": Grade(0.75, 0.0, {}, spent), "b": Grade(1.0)}, spent))
    refused = GradeError(FailureKind.MODEL_REFUSAL, "no", 0.0, {}, spent)
    failed = rollout(GradeError(refused.kind, "", 0.0, {"a": refused, "b": Grade(1.0)}, spent))
    tree = metrics([graded, failed], [graded], graders=grader_names(config))
    assert [grader["model"] for grader in tree["usage"]["graders"]] == [None, "big", None]
    assert [grader["train_prompt_tokens_count"] for grader in tree["usage"]["graders"]] == [0, 20, 0]
    assert [grader["valid_completion_tokens_mean"] for grader in tree["usage"]["graders"]] == [0.0, 4.0, 0.0]
    assert tree["model_graders_token_usage"] == {
        "big": {
            "train_prompt_tokens": 20,
            "train_completion_tokens": 8,
            "train_cached_tokens": 4,
            "eval_prompt_tokens": 10,
            "eval_completion_tokens": 4,
            "eval_cached_tokens": 2,
        }
    }


def test_the_message_of_a_step_is_worded_as_clients_read_it() -> None:
    assert step_message(metrics([rollout(0.421)], [rollout(0.5)])) == (
        "Step 3/9 , train mean reward=0.42, full validation mean reward=0.50, full validation mean parse error=0.00"
    )
    assert step_message(metrics([rollout(0.421)], None)) == "Step 3/9 , train mean reward=0.42"


def test_a_prompt_counts_once_for_all_its_samples() -> None:
    tree = metrics([rollout(1.0), rollout(0.0)], None)
    assert tree["touchstone"]["tokens"] == {
        "prompt": rollout(1.0).prompt_tokens,
        "sampled": 2 * len(rollout(1.0).completion.tokens_T),
    }
