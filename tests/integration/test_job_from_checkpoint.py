"""A job that goes on from another's checkpoint: it starts with those weights, and a disturbed one ends with the same bits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from core.jobs.types import Checkpoint, Job, JobCommand, JobStatus
from tests.models import tiny_model
from tests.service import Service, rows

HYPERPARAMETERS = {"n_epochs": 2, "batch_size": 4, "eval_interval": 2, "eval_samples": 4}
OPTIONS = {"samples_per_prompt": 8, "max_completion_tokens": 8, "learning_rate": 0.02, "final_checkpoint": "last"}


@dataclass(frozen=True)
class Runs:
    """A job, one that goes on from its end, and a twin of that one which was paused on its way."""

    service: Service
    first: Job
    start: Checkpoint
    second: Job
    paused: Job


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RFT_")]:
            patch.delenv(name)
        service = Service(tmp_path_factory.mktemp("data"), tiny_model(tmp_path_factory.mktemp("model")))
        common = {"train": rows(8), "valid": rows(4), "hyperparameters": HYPERPARAMETERS, "options": OPTIONS}
        with service.supervisor():
            first = service.wait_for_end(service.create(**common).id)
            (start, *_) = service.jobs.checkpoints(first.id, after=None, limit=1).data
            paused, second = (service.create(**common, initial_checkpoint_id=start.id) for _ in range(2))
            service.wait_for_step(paused.id, 1)
            service.jobs.command(paused.id, JobCommand.PAUSE)
            service.wait(lambda: service.lease_owner(paused.id) is None)
            service.jobs.command(paused.id, JobCommand.RESUME)
            paused, second = service.wait_for_end(paused.id), service.wait_for_end(second.id)
        yield Runs(service, first, start, second, paused)
        service.close()


def test_it_succeeds_with_a_name_of_its_own_base(runs: Runs) -> None:
    assert runs.second.status is JobStatus.SUCCEEDED, runs.service.log()[-4000:]
    assert str(runs.second.fine_tuned_model).startswith("ft:tiny:local:demo:")
    assert runs.second.fine_tuned_model != runs.first.fine_tuned_model


def test_it_begins_with_the_weights_of_the_checkpoint(runs: Runs) -> None:
    """Validation draws with luck that follows from the job's seed, which is the same here."""
    kept = [
        [rollout.completion for batch in runs.service.rollouts(job.id, step, "valid") for rollout in batch.rollouts]
        for job, step in ((runs.first, runs.start.step), (runs.second, 0), (runs.first, 0))
    ]
    assert kept[0] == kept[1]
    assert kept[1] != kept[2]


def test_it_trains_on(runs: Runs) -> None:
    assert runs.service.outcome(runs.second.id).adapter_sha256 != runs.service.outcome(runs.first.id).adapter_sha256


def test_a_paused_one_ends_with_the_same_bits(runs: Runs) -> None:
    assert runs.paused.status is JobStatus.SUCCEEDED, runs.service.log()[-4000:]
    assert runs.service.outcome(runs.paused.id) == runs.service.outcome(runs.second.id)
