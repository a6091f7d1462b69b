"""What `auto` means, what is in range, and that nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from core.errors import Unavailable
from core.jobs.plan import BASE_LEARNING_RATE, FULL_LEARNING_RATE, Hyperparameters, Options, Plan, resolve


def plan(train_rows: int = 64, valid_rows: int = 24, options: dict[str, Any] | None = None, **hyperparameters: Any) -> Plan:
    return resolve(Hyperparameters(**hyperparameters), Options(**options or {}), train_rows=train_rows, valid_rows=valid_rows)


@pytest.mark.parametrize(
    ("rows", "size"), [(1, 1), (3, 3), (4, 4), (10, 4), (39, 4), (64, 8), (100, 12), (128, 16), (50_000, 16)]
)
def test_auto_batch_size_is_an_eighth_between_4_and_16(rows: int, size: int) -> None:
    assert plan(train_rows=rows).batch_size == size


def test_a_batch_is_never_larger_than_the_file() -> None:
    assert plan(train_rows=3, batch_size=256).batch_size == 3


@pytest.mark.parametrize(("rows", "epochs"), [(1, 10), (3, 10), (12, 10), (64, 6), (100, 5), (1000, 1), (50_000, 1)])
def test_auto_n_epochs_gives_about_48_steps_between_1_and_10_epochs(rows: int, epochs: int) -> None:
    assert plan(train_rows=rows).n_epochs == epochs


@pytest.mark.parametrize(("rows", "batch", "epochs", "steps"), [(10, 4, 2, 6), (12, 4, 2, 6), (3, 1, 1, 3), (5, 256, 7, 7)])
def test_an_epoch_has_as_many_steps_as_its_rows_fill(rows: int, batch: int, epochs: int, steps: int) -> None:
    assert plan(train_rows=rows, batch_size=batch, n_epochs=epochs).total_steps == steps


@pytest.mark.parametrize(("steps", "interval"), [(1, 1), (11, 1), (24, 2), (50, 4)])
def test_auto_eval_interval_is_a_twelfth_of_the_steps(steps: int, interval: int) -> None:
    assert plan(train_rows=1, n_epochs=steps).eval_interval == interval


@pytest.mark.parametrize(("rows", "samples"), [(0, 4), (3, 4), (8, 4), (16, 2), (24, 1), (1000, 1)])
def test_auto_eval_samples_gives_about_32_answers_between_1_and_4(rows: int, samples: int) -> None:
    assert plan(valid_rows=rows).eval_samples == samples


@pytest.mark.parametrize(("multiplier", "samples"), [("auto", 8), (0.00002, 2), (0.25, 2), (0.5, 4), (2, 16), (10, 80)])
def test_samples_per_prompt_are_eight_times_the_compute(multiplier: Any, samples: int) -> None:
    assert plan(compute_multiplier=multiplier).samples_per_prompt == samples


def test_samples_per_prompt_may_be_given() -> None:
    assert plan(compute_multiplier=10, options={"samples_per_prompt": 3}).samples_per_prompt == 3


def test_full_fine_tuning_takes_smaller_steps_by_itself() -> None:
    full = plan(options={"adapter": {"type": "full"}}, learning_rate_multiplier=2)
    assert full.is_full
    assert full.learning_rate == pytest.approx(2 * FULL_LEARNING_RATE)
    assert not plan().is_full
    assert plan().learning_rate == pytest.approx(BASE_LEARNING_RATE)
    assert FULL_LEARNING_RATE < BASE_LEARNING_RATE


def test_full_fine_tuning_comes_back_as_it_was_asked_for() -> None:
    assert plan(options={"adapter": {"type": "full"}}).options()["adapter"] == {"type": "full"}


def test_the_learning_rate_is_multiplied() -> None:
    assert plan(learning_rate_multiplier=3, options={"learning_rate": 1e-4}).learning_rate == pytest.approx(3e-4)


def test_given_numbers_are_kept() -> None:
    asked: dict[str, Any] = {
        "batch_size": 7,
        "learning_rate_multiplier": 0.5,
        "n_epochs": 3,
        "compute_multiplier": 2.0,
        "eval_interval": 5,
        "eval_samples": 9,
        "reasoning_effort": "low",
    }
    assert plan(**asked).hyperparameters() == asked


def test_three_training_and_three_validation_rows_make_a_run() -> None:
    tiny = plan(train_rows=3, valid_rows=3)
    assert (tiny.batch_size, tiny.total_steps, tiny.eval_interval, tiny.eval_samples) == (3, 10, 1, 4)


def test_one_row_and_no_validation_make_a_run() -> None:
    tiny = plan(train_rows=1, valid_rows=0)
    assert (tiny.batch_size, tiny.total_steps) == (1, 10)


def test_the_same_request_on_as_many_rows_is_the_same_plan() -> None:
    assert plan(train_rows=77, valid_rows=13) == plan(train_rows=77, valid_rows=13)


def test_a_plan_survives_json() -> None:
    resolved = plan(options={"budget_seconds": 60, "clip": {"low": 0.1, "high": 0.3}})
    assert Plan.from_json(json.loads(json.dumps(resolved.to_json()))) == resolved


def test_resolved_options_are_accepted_again_and_mean_the_same() -> None:
    first = plan(learning_rate_multiplier=2, options={"samples_per_prompt": 6, "adapter": {"rank": 4}, "loss": "dr_grpo"})
    assert plan(learning_rate_multiplier=2, options=first.options()) == first


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 1),
        ("batch_size", 256),
        ("n_epochs", 50),
        ("compute_multiplier", 0.000011),
        ("compute_multiplier", 10),
        ("learning_rate_multiplier", 1e-9),
        ("eval_interval", 1),
        ("eval_samples", 1),
        ("reasoning_effort", "high"),
    ],
)
def test_values_at_the_ends_of_their_ranges_are_accepted(name: str, value: Any) -> None:
    assert getattr(Hyperparameters(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("batch_size", 257),
        ("batch_size", 1.5),
        ("batch_size", "big"),
        ("n_epochs", 0),
        ("n_epochs", 51),
        ("compute_multiplier", 0.00001),
        ("compute_multiplier", 10.1),
        ("compute_multiplier", float("nan")),
        ("learning_rate_multiplier", 0),
        ("learning_rate_multiplier", -1),
        ("learning_rate_multiplier", float("inf")),
        ("eval_interval", 0),
        ("eval_samples", 0),
        ("eval_samples", []),
        ("reasoning_effort", "extreme"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Hyperparameters(**{name: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {name}


@pytest.mark.parametrize(
    "name", ["batch_size", "n_epochs", "learning_rate_multiplier", "compute_multiplier", "eval_interval", "eval_samples"]
)
def test_null_is_auto(name: str) -> None:
    assert getattr(Hyperparameters.model_validate({name: None}), name) == "auto"


def test_unknown_hyperparameters_are_kept() -> None:
    assert Hyperparameters.model_validate({"beta": 0.1}).model_extra == {"beta": 0.1}


@pytest.mark.parametrize(
    "options",
    [{"sample_per_prompt": 8}, {"adapter": {"type": "lora", "ranks": 8}}, {"clip": {"lower": 0.1}}],
)
def test_unknown_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Options.model_validate(options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("samples_per_prompt", 1),
        ("samples_per_prompt", 257),
        ("max_completion_tokens", 0),
        ("temperature", 0),
        ("temperature", 2.1),
        ("top_p", 0),
        ("top_p", 1.1),
        ("learning_rate", 0),
        ("learning_rate", 1.1),
        ("loss", "sft"),
        ("kl_coef", -0.1),
        ("clip", {"low": 1}),
        ("inner_epochs", 0),
        ("adapter", {"rank": 0}),
        ("adapter", {"type": "full", "rank": 4}),
        ("adapter", {"type": "other"}),
        ("overlong", "drop"),
        ("failed_sample", "ignore"),
        ("grader_error_limit", -0.1),
        ("grader_error_limit", 1.1),
        ("final_checkpoint", "first"),
        ("budget_seconds", 0),
        ("budget_seconds", float("inf")),
    ],
)
def test_options_out_of_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({name: value})


def test_by_default_no_group_is_replaced_and_no_sample_is_stale() -> None:
    assert (plan().replacement_rounds, plan().max_staleness, plan().priority) == (0, 0, 0)


def test_dynamic_sampling_has_a_budget() -> None:
    resolved = plan(options={"dynamic_sampling": {"max_rounds": 3}})
    assert resolved.replacement_rounds == 3
    assert resolved.options()["dynamic_sampling"] == {"max_rounds": 3}


@pytest.mark.parametrize(
    "options",
    [
        {"dynamic_sampling": {}},
        {"dynamic_sampling": {"max_rounds": 0}},
        {"dynamic_sampling": {"max_rounds": 17}},
        {"dynamic_sampling": {"max_rounds": 1, "max_batches": 1}},
        {"max_staleness": 2},
        {"max_staleness": -1},
        {"priority": 101},
    ],
)
def test_a_budget_or_staleness_out_of_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options(**options)


def test_a_plan_made_before_there_were_these_options_is_read() -> None:
    later = ("replacement_rounds", "max_staleness", "priority")
    kept = {name: value for name, value in plan().to_json().items() if name not in later}
    assert Plan.from_json(kept) == plan()


def test_a_plan_of_a_newer_version_is_shown_without_what_is_new_and_not_run() -> None:
    newer = {**plan().to_json(), "curriculum": "easy first"}
    assert Plan.from_json(newer) == plan()
    with pytest.raises(Unavailable, match="newer version of the service, which knows curriculum"):
        Plan.to_run(newer)
    assert Plan.to_run(plan().to_json()) == plan()
