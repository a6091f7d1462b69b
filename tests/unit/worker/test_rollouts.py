from __future__ import annotations

import io

import numpy as np
import pyarrow.parquet as pq
import pytest

from graders.base import FailureKind, Grade, GradeError, TokenUsage
from worker.rollout.base import Completion, StopReason
from worker.rollouts import SCHEMA, Batch, read, samples, write

from .parts import rollout

LOGPROBS = tuple(float(x) for x in np.float32([-1 / 3, -1e-30, -88.7]))
"""As the engine gives them: float32 values."""
SPENT = {"judge": TokenUsage(11, 7, 3), "other/judge": TokenUsage(1, 0, 0)}
ROLLOUTS = (
    rollout(Grade(1 / 3, 0.1, {"a": Grade(0.25, 0.5), "b": GradeError(FailureKind.SAMPLE_PARSE, "no JSON", 0.0)})),
    rollout(GradeError(FailureKind.OTHER, "was\x00 ist", 1e-9, {"a": Grade(-1e300, 0.0)}), sample=1, advantage=None),
    rollout(Grade(0.5, 0.1, {"a": Grade(0.5, 0.1, {}, SPENT)}, SPENT), sample=3),
    rollout(GradeError(FailureKind.MODEL_REFUSAL, "no", 0.1, {}, SPENT), sample=4),
    rollout(-2.5, sample=2, completion=Completion((5, 6, 7), LOGPROBS, StopReason.LENGTH), text=""),
    rollout(0.0, example=3, advantage=0.0),
)
BATCH = Batch("train", 4, 2, ROLLOUTS, policy_version=3)


def test_a_batch_comes_back_exactly() -> None:
    # -0.1 is no float32: what the file keeps is the nearest.
    expected = [r for r in ROLLOUTS if r.completion.logprobs_T == LOGPROBS]
    again = read(io.BytesIO(write(BATCH)))
    assert (again.split, again.step, again.index, again.policy_version) == ("train", 4, 2, 3)
    assert [r for r in again.rollouts if r.completion.logprobs_T == LOGPROBS] == expected
    for before, after in zip(BATCH.rollouts, again.rollouts, strict=True):
        assert (after.result, after.advantage, after.reward) == (before.result, before.advantage, before.reward)
        assert (after.seed, after.prompt, after.text) == (before.seed, before.prompt, before.text)
        assert after.completion.tokens_T == before.completion.tokens_T


def test_writing_what_was_read_gives_the_same_bytes() -> None:
    data = write(BATCH)
    assert write(read(io.BytesIO(data))) == data


def test_the_file_has_the_documented_columns() -> None:
    assert pq.read_schema(io.BytesIO(write(BATCH))).equals(SCHEMA)


@pytest.mark.parametrize("kind", list(FailureKind))
def test_a_failed_grade_stays_a_failed_grade(kind: FailureKind) -> None:
    batch = Batch("valid", 0, 0, (rollout(GradeError(kind, "")),))
    (again,) = read(io.BytesIO(write(batch))).rollouts
    assert again.result == GradeError(kind, "")
    assert again.reward is None


def test_groups_are_the_samples_of_one_prompt_in_order() -> None:
    assert [(example, len(members)) for example, members in BATCH.groups()] == [(0, 5), (3, 1)]


def test_samples_are_those_of_all_batches_in_order() -> None:
    assert samples([BATCH, BATCH]) == [*ROLLOUTS, *ROLLOUTS]
