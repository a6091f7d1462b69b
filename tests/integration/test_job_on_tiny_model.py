"""One job from its creation to its end, without HTTP: what it leaves behind, and that it learns."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM

from core.jobs import state
from core.jobs.types import Job, JobStatus
from core.storage import manifest
from core.storage.base import ObjectKey
from tests.models import tiny_model
from tests.service import Service, rows
from worker.policy.advantages import Baseline, group_advantages

STEPS = 12
SAMPLES = 16
HYPERPARAMETERS = {"n_epochs": STEPS // 2, "batch_size": 4, "eval_interval": 2, "eval_samples": 4}
OPTIONS = {"samples_per_prompt": SAMPLES, "max_completion_tokens": 12, "learning_rate": 0.02}


@dataclass(frozen=True)
class Run:
    """A job that ended, and another of the same seed."""

    service: Service
    job: Job
    twin: Job


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RFT_")]:
            patch.delenv(name)
        service = Service(tmp_path_factory.mktemp("data"), tiny_model(tmp_path_factory.mktemp("model")))
        job, twin = (
            service.create(train=rows(8), valid=rows(4), hyperparameters=HYPERPARAMETERS, options=OPTIONS) for _ in range(2)
        )
        with service.supervisor():
            job, twin = service.wait_for_end(job.id), service.wait_for_end(twin.id)
        yield Run(service, job, twin)
        service.close()


def test_the_job_succeeds_with_a_model_of_its_own(run: Run) -> None:
    assert (run.job.status, run.job.error) == (JobStatus.SUCCEEDED, None), run.service.log()[-4000:]
    assert run.job.fine_tuned_model.startswith("ft:tiny:local:demo:")
    assert run.job.trained_tokens > 0
    assert run.job.step == STEPS


def test_events_tell_the_story_word_for_word(run: Run) -> None:
    job = run.job
    story = [
        f"Created fine-tuning job: {job.id}",
        f"Validating training file: {job.training_file} and validation file: {job.validation_file}",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
    ]
    for metrics in run.service.jobs.steps(job.id, after_step=-1):
        step, valid = metrics["step"], metrics["full_valid_mean_reward"]
        if step and valid is not None:
            story.append(f"Checkpoint created at step {step}")
        message = f"Step {step}/{STEPS} "
        if step:
            message += f", train mean reward={metrics['train_mean_reward']:.2f}"
        if valid is not None:
            message += f", full validation mean reward={valid:.2f}, full validation mean parse error=0.00"
        story.append(message)
    story += [f"New fine-tuned model created: {job.fine_tuned_model}", "The job has successfully completed"]
    events = run.service.history(job.id)
    assert [event.message for event in events] == story
    assert [event.seq for event in events] == list(range(1, len(story) + 1))
    assert {event.level for event in events} == {"info"}


def test_every_step_is_committed_and_every_second_one_validated(run: Run) -> None:
    steps = run.service.jobs.steps(run.job.id, after_step=-1)
    assert [metrics["step"] for metrics in steps] == list(range(STEPS + 1))
    assert [m["step"] for m in steps if m["full_valid_mean_reward"] is not None] == list(range(0, STEPS + 1, 2))
    assert [m["step"] for m in steps if m["train_mean_reward"] is None] == [0]


def test_metrics_events_carry_the_steps_metrics(run: Run) -> None:
    events = [event.data for event in run.service.history(run.job.id) if event.type == "metrics"]
    assert events == list(run.service.jobs.steps(run.job.id, after_step=-1))


def test_the_reward_is_learned(run: Run) -> None:
    steps = run.service.jobs.steps(run.job.id, after_step=-1)
    assert steps[0]["full_valid_mean_reward"] < 0.4
    assert steps[-1]["full_valid_mean_reward"] > 0.8


def test_the_three_best_checkpoints_and_the_last_one_stay(run: Run) -> None:
    rewards = {m["step"]: m["full_valid_mean_reward"] for m in run.service.jobs.steps(run.job.id, after_step=0)}
    validated = {step: reward for step, reward in rewards.items() if reward is not None}
    best = sorted(validated, key=lambda step: (-validated[step], step))[:3]
    kept = run.service.jobs.checkpoints(run.job.id, after=None, limit=100).data
    assert {checkpoint.step for checkpoint in kept} == {*best, STEPS}
    assert {checkpoint.step: checkpoint.valid_reward for checkpoint in kept} == {step: validated[step] for step in {*best, STEPS}}


def test_what_was_replaced_leaves_no_objects(run: Run) -> None:
    kept = run.service.jobs.checkpoints(run.job.id, after=None, limit=100).data
    manifests = {checkpoint.manifest_key for checkpoint in kept} | set(run.service.state_keys(run.job.id))
    prefix = ObjectKey.of(run.job.project_id, "jobs", run.job.id)
    folders = {str(key).rsplit("/", 1)[0] for key in run.service.objects.list(prefix)}
    stored = {folder for folder in folders if "/checkpoints/" in folder or "/states/" in folder}
    assert stored == {key.rsplit("/", 1)[0] for key in manifests}


def test_a_checkpoint_is_what_peft_loads(run: Run, tmp_path: Path) -> None:
    last = run.service.jobs.checkpoints(run.job.id, after=None, limit=1).data[0]
    manifest.fetch(run.service.objects, ObjectKey.parse(last.manifest_key), tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(run.service.model)
    loaded = PeftModel.from_pretrained(base, tmp_path / "adapter")
    moved = [parameter for name, parameter in loaded.named_parameters() if "lora_B" in name]
    assert len(moved) == 2 * 7
    assert all(parameter.any() for parameter in moved)


def test_the_result_file_has_a_row_a_step(run: Run) -> None:
    (file_id,) = run.job.result_files
    file = run.service.files.get(file_id)
    assert (file.purpose, file.filename) == ("fine-tune-results", "step_metrics.csv")
    with run.service.files.open(file_id) as stream:
        table = list(csv.DictReader(stream.read().decode().splitlines()))
    assert [int(row["step"]) for row in table] == list(range(STEPS + 1))
    expected = [metrics["train_mean_reward"] for metrics in run.service.jobs.steps(run.job.id, after_step=0)]
    assert [float(row["train_mean_reward"]) for row in table[1:]] == expected


def test_rollouts_are_kept_with_their_grades(run: Run) -> None:
    metrics = run.service.jobs.steps(run.job.id, after_step=0)[0]
    (batch,) = run.service.rollouts(run.job.id, 1, "train")
    rewards = [rollout.reward for rollout in batch.rollouts]
    assert len(rewards) == 4 * SAMPLES
    assert sum(rewards) / len(rewards) == metrics["train_mean_reward"]
    assert rewards == [float("a" in rollout.text.lower()) for rollout in batch.rollouts]
    for _, members in batch.groups():
        expected = group_advantages([member.reward for member in members], Baseline.STANDARD)
        assert [member.advantage for member in members] == expected


def test_validation_draws_with_the_same_luck_at_every_step(run: Run) -> None:
    seeds = [[r.seed for b in run.service.rollouts(run.job.id, step, "valid") for r in b.rollouts] for step in (0, 2, STEPS)]
    assert seeds[0] == seeds[1] == seeds[2]
    assert len(set(seeds[0])) == len(seeds[0])


def test_the_same_seed_gives_the_same_bits(run: Run) -> None:
    assert run.service.outcome(run.job.id) == run.service.outcome(run.twin.id)


def test_the_lease_is_let_go_of(run: Run) -> None:
    assert run.service.lease_owner(run.job.id) is None
    assert state.WORKER_LOST not in [event.message for event in run.service.history(run.job.id)]
