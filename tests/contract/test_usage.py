"""What projects use, on SQLite and PostgreSQL: counted once with the step, and summed by spans of time."""

from __future__ import annotations

from typing import Any

from core.jobs.types import StepRecord
from core.settings import DEFAULT_PROJECT
from core.usage import HOUR, UsageKind, UsageStore, count

from .parts import FOREIGN_PROJECT, Parts

JUDGED = {
    "model_graders_token_usage": {"judge": {"train_prompt_tokens": 5, "eval_prompt_tokens": 2, "train_completion_tokens": 1}}
}


def record(number: int, **metrics: Any) -> StepRecord:
    tokens = {"touchstone": {"tokens": {"prompt": 10, "sampled": 40}}}
    return StepRecord(number, {"step": number, **tokens, **metrics}, "", trained_tokens=30, seconds=2.5)


def used(parts: Parts, **span: Any) -> dict[tuple[str, str], float]:
    whole = {"start": 0, "end": int(parts.clock()) + HOUR, "width": 2**31, **span}
    return {(one.model, one.kind): one.amount for one in UsageStore(parts.database).sums(**whole)}


def test_steps_count_into_the_usage_of_their_project(parts: Parts) -> None:
    _, journal = parts.running()
    for number in (1, 2):
        journal.commit_step(record(number, **JUDGED))
    assert used(parts, project_ids=[DEFAULT_PROJECT]) == {
        ("tiny", UsageKind.DEVICE_SECONDS): 5.0,
        ("tiny", UsageKind.PROMPT_TOKENS): 20,
        ("tiny", UsageKind.SAMPLED_TOKENS): 80,
        ("tiny", UsageKind.TRAINED_TOKENS): 60,
        ("tiny", UsageKind.STEPS): 2,
        ("judge", UsageKind.JUDGE_PROMPT_TOKENS): 14,
        ("judge", UsageKind.JUDGE_COMPLETION_TOKENS): 2,
    }


def test_a_step_committed_twice_counts_once(parts: Parts) -> None:
    _, journal = parts.running()
    journal.commit_step(record(1))
    journal.commit_step(record(1))
    assert used(parts)["tiny", UsageKind.STEPS] == 1


def test_the_evaluation_before_the_first_update_is_no_step(parts: Parts) -> None:
    _, journal = parts.running()
    journal.commit_step(record(0))
    assert used(parts)["tiny", UsageKind.DEVICE_SECONDS] == 2.5
    assert ("tiny", UsageKind.STEPS) not in used(parts)


def test_projects_are_kept_apart(parts: Parts) -> None:
    with parts.database.begin() as session:
        count(session, DEFAULT_PROJECT, parts.clock(), {("tiny", UsageKind.STEPS): 1})
        count(session, FOREIGN_PROJECT, parts.clock(), {("tiny", UsageKind.STEPS): 5})
    assert used(parts, project_ids=[DEFAULT_PROJECT]) == {("tiny", UsageKind.STEPS): 1}
    assert used(parts, project_ids=[]) == {}


def test_spans_are_summed_by_themselves_and_end_before_their_end(parts: Parts) -> None:
    begin = 1_750_000_000 // HOUR * HOUR
    with parts.database.begin() as session:
        for hour, amount in enumerate((1, 2, 4, 8)):
            count(session, DEFAULT_PROJECT, begin + hour * HOUR + 17.5, {("tiny", UsageKind.STEPS): amount})
    found = UsageStore(parts.database).sums(start=begin, end=begin + 3 * HOUR, width=2 * HOUR)
    assert [(one.start, one.amount) for one in found] == [(begin, 3), (begin + 2 * HOUR, 4)]
