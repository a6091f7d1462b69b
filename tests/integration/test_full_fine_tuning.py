"""A job that trains every weight: what it leaves is a model, which others load, serve and train on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.jobs.types import Checkpoint, Job, JobStatus
from core.models import ModelRegistry
from core.storage import manifest
from core.storage.base import ObjectKey
from tests.models import tiny_model
from tests.service import Service, rows
from worker.policy.forward import completion_logprobs, hidden_states, pack
from worker.policy.model import load_model
from worker.sampler.engine import Engine

HYPERPARAMETERS = {"n_epochs": 1, "batch_size": 4, "eval_interval": 1, "eval_samples": 2}
OPTIONS = {
    "samples_per_prompt": 8,
    "max_completion_tokens": 8,
    "learning_rate": 0.0003,
    "kl_coef": 0.01,
    "adapter": {"type": "full"},
    "final_checkpoint": "last",
}


@dataclass(frozen=True)
class Runs:
    """A job, and one that goes on from its end."""

    service: Service
    job: Job
    second: Job
    end: Checkpoint


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RFT_")]:
            patch.delenv(name)
        service = Service(tmp_path_factory.mktemp("data"), tiny_model(tmp_path_factory.mktemp("model")))
        common = {"train": rows(8), "valid": rows(4), "hyperparameters": HYPERPARAMETERS, "options": OPTIONS}
        with service.supervisor():
            job = service.wait_for_end(service.create(**common).id)
            assert job.status is JobStatus.SUCCEEDED, service.log()[-4000:]
            (end, *_) = service.jobs.checkpoints(job.id, after=None, limit=1).data
            second = service.wait_for_end(service.create(**common, initial_checkpoint_id=end.id).id)
        yield Runs(service, job, second, end)
        service.close()


@pytest.fixture(scope="module")
def downloaded(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("download") / "model"
    manifest.fetch(runs.service.objects, ObjectKey.parse(runs.end.manifest_key), directory)
    return directory


def test_every_step_moves_the_weights_away_from_the_reference(runs: Runs) -> None:
    metrics = runs.service.jobs.steps(runs.job.id, after_step=1)
    assert all(step["touchstone"]["update"]["kl"] > 0 for step in metrics)


def test_the_checkpoint_is_a_model_that_transformers_loads(runs: Runs, downloaded: Path) -> None:
    tokens = AutoTokenizer.from_pretrained(downloaded)("tick tick tick")["input_ids"]
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(downloaded)(torch.tensor([tokens])).logits[0]
        weights = load_model(downloaded).weights
        ours = hidden_states(weights, pack([(tokens, ())])) @ weights.head.T
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_sampler_serves_it(runs: Runs, downloaded: Path, tmp_path: Path) -> None:
    service = runs.service
    engine = Engine(ModelRegistry.load(service.settings), service.objects, merged_directory=tmp_path)
    group = pack([((5, 6, 7), ((8, 9, 10),))])
    with torch.no_grad():
        served = completion_logprobs(engine.serve("tiny", runs.end.manifest_key).weights, group, 1.0)[0]
        base = completion_logprobs(engine.serve("tiny", None).weights, group, 1.0)[0]
        assert torch.equal(served, completion_logprobs(load_model(downloaded).weights, group, 1.0)[0])
    assert not torch.equal(served, base)


def test_another_job_goes_on_from_it(runs: Runs) -> None:
    assert runs.second.status is JobStatus.SUCCEEDED, runs.service.log()[-4000:]
    kept = [
        [rollout.completion.tokens_T for batch in runs.service.rollouts(job.id, step, "valid") for rollout in batch.rollouts]
        for job, step in ((runs.job, runs.end.step), (runs.second, 0), (runs.job, 0))
    ]
    assert kept[0] == kept[1]
    assert kept[1] != kept[2]
