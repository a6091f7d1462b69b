"""What goes wrong without a crash: graders that fail, prompts that do not fit, disks that are full, files that are damaged."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors import safe_open
from sqlalchemy import select

from core.jobs import state
from core.jobs.types import JobCommand, JobStatus
from core.storage.base import ObjectKey
from core.tables import JobRow
from graders.base import GradeError
from tests.service import HAS_AN_A, Outcome, Service, kill, rows, runner_of

from .conftest import Bench, create

BROKEN = {**HAS_AN_A, "reference": "{{item.nowhere}}"}
SHORT = {"n_epochs": 1, "batch_size": 2}
FEW = {"samples_per_prompt": 4, "max_completion_tokens": 4}


def test_a_grader_that_always_fails_is_counted_and_never_a_zero(tmp_path: Path, model: Path) -> None:
    service = Service(tmp_path / "data", model)
    job = service.run(service.create(train=rows(4), valid=rows(2), grader=BROKEN, hyperparameters=SHORT, options=FEW))
    assert job.status is JobStatus.SUCCEEDED
    metrics = service.jobs.steps(job.id, after_step=1)[0]
    (errors,) = metrics["errors"]["graders"]
    assert errors["train_invalid_variable_error_count"] == 8
    assert errors["train_invalid_variable_error_mean"] == 1.0
    assert metrics["mean_unresponsive_rewards"] == 1.0
    assert metrics["train_mean_reward"] == -1.0
    assert metrics["scores"]["train_reward_mean"] is None
    assert metrics["touchstone"]["update"]["skipped"]
    assert [event.level for event in service.history(job.id)].count("warn") == 2
    (batch,) = service.rollouts(job.id, 2, "train")
    assert all(isinstance(rollout.result, GradeError) and rollout.advantage is None for rollout in batch.rollouts)
    assert not any(tensor.any() for name, tensor in last_adapter(service, job.id, tmp_path).items() if "lora_B" in name)
    service.close()


def test_a_prompt_longer_than_the_context_fails_the_job(tmp_path: Path, model: Path) -> None:
    service = Service(tmp_path / "data", model)
    long = {"messages": [{"role": "user", "content": "x" * 600}], "wanted": "a"}
    job = service.run(service.create(train=rows(3), valid=[*rows(1), long], hyperparameters=SHORT, options=FEW))
    assert job.status is JobStatus.FAILED
    assert job.error["code"] == "prompt_too_long"
    assert job.error["param"] == "validation_file"
    assert f"Example 2 of {job.validation_file} has a prompt of 619 tokens" in job.error["message"]
    last = service.history(job.id)[-1]
    assert (last.level, last.message) == ("error", job.error["message"])
    service.close()


def test_a_full_disk_pauses_the_job_and_room_lets_it_go_on(tmp_path: Path, model: Path) -> None:
    service = Service(tmp_path / "data", model)
    adapter = {"type": "lora", "rank": 256, "alpha": 256}
    job = service.create(train=rows(4), valid=rows(1), hyperparameters=SHORT, options={**FEW, "adapter": adapter})
    with service.supervisor() as supervisor:
        runner = service.wait(lambda: runner_of(supervisor))
        # An adapter of rank 256 takes 2 MB, everything else that the runner writes is smaller.
        runner.rlimit(psutil.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
        service.wait(lambda: service.jobs.get(job.id).status is JobStatus.PAUSED and service.lease_owner(job.id) is None)
        assert "error" in [event.level for event in service.history(job.id)]
        service.jobs.command(job.id, JobCommand.RESUME)
        assert service.wait_for_end(job.id).status is JobStatus.SUCCEEDED
    service.close()


def test_a_damaged_training_state_is_left_out(bench: Bench) -> None:
    service, job = bench.service, bench.job()
    with service.supervisor() as supervisor:
        service.wait_for_step(job.id, 4)
        kill(runner_of(supervisor))
        kill(supervisor)
    for key in service.state_keys(job.id):
        service.objects.delete(ObjectKey.parse(key))
    ended = service.run(job)
    assert any("damaged" in event.message for event in service.history(job.id) if event.level == "warn")
    bench.assert_same_end(ended)


def test_a_job_whose_runner_never_gets_anywhere_is_failed_in_the_end(tmp_path: Path, model: Path) -> None:
    service = Service(tmp_path / "data", model)
    job = service.create(train=rows(4), hyperparameters=SHORT, options=FEW)
    with service.supervisor() as supervisor:

        def ended() -> bool:
            if runner := runner_of(supervisor):
                kill(runner)
            return service.jobs.get(job.id).status is JobStatus.FAILED

        service.wait(ended)
    error = service.jobs.get(job.id).error
    assert (error["code"], error["message"]) == ("worker_lost", state.GAVE_UP)
    service.close()


def test_a_runner_that_hangs_is_replaced(tmp_path: Path, model: Path, undisturbed: Outcome) -> None:
    service = Service(tmp_path / "data", model, stall_seconds=3.0)
    job = create(service)
    hangs = {"RFT_FAILPOINT": "mid_update:hold:3", "RFT_FAILPOINT_FILE": str(tmp_path / "hung")}
    with service.supervisor(**hangs):
        service.wait((tmp_path / "hung").exists)
        ended = service.wait_for_end(job.id)
    Bench(service, undisturbed).assert_same_end(ended)
    assert state.WORKER_LOST in [event.message for event in service.history(job.id)]
    assert "no progress for 3 seconds" in service.log()
    service.close()


@pytest.mark.heavy
def test_a_job_planned_by_a_newer_version_waits_for_a_worker_of_that_version(bench: Bench) -> None:
    service, job = bench.service, bench.job()

    def replan(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        with service.database.begin() as session:
            row = session.scalars(select(JobRow)).one()
            row.plan = change(row.plan)

    with service.supervisor():
        service.wait_for_step(job.id, 1)
    replan(lambda plan: {**plan, "curriculum": "easy first"})
    with service.supervisor():
        service.wait(lambda: "The job was planned by a newer version" in service.log() and service.lease_owner(job.id) is None)
        waiting = service.jobs.get(job.id)
        assert (waiting.status, waiting.attempts) == (JobStatus.RUNNING, 0)
        replan(lambda plan: {name: value for name, value in plan.items() if name != "curriculum"})
        bench.assert_same_end(service.wait_for_end(job.id))


def last_adapter(service: Service, job_id: str, directory: Path) -> dict:
    manifest = service.jobs.checkpoints(job_id, after=None, limit=1).data[0].manifest_key
    path = directory / "adapter.safetensors"
    key = ObjectKey.parse(manifest.rsplit("/", 1)[0] + "/adapter_model.safetensors")
    path.write_bytes(b"".join(service.objects.stream(key)))
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
