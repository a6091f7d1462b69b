from __future__ import annotations

import io
import time
from typing import Any

from openai.types.fine_tuning import FineTuningJob
from rich.console import Console

from cli.watch import Watched, picture


def job(**values: Any) -> FineTuningJob:
    return FineTuningJob.construct(
        **{
            "id": "ftjob-a",
            "created_at": 0,
            "hyperparameters": {},
            "model": "tiny",
            "object": "fine_tuning.job",
            "organization_id": "org-local",
            "result_files": [],
            "seed": 1,
            "status": "running",
            "training_file": "file-a",
            **values,
        }
    )


def step(number: int, train: float | None, valid: float | None = None) -> dict[str, Any]:
    return {"step": number, "total_steps": 8, "train_mean_reward": train, "full_valid_mean_reward": valid}


def drawn(watched: Watched) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    console.print(picture(watched))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_job_that_has_not_begun_shows_its_status() -> None:
    assert "queued" in drawn(Watched(job(status="queued")))


def test_progress_counts_steps() -> None:
    assert "step 2/8" in drawn(Watched(job(), [step(0, None, 0.25), step(1, 0.5), step(2, 0.625)]))


def test_the_latest_rewards_are_shown() -> None:
    picture = drawn(Watched(job(), [step(0, None, 0.25), step(1, 0.5), step(2, 0.625, 0.75), step(3, 0.875)]))

    assert "train  0.875" in picture
    assert "valid  0.750" in picture


def test_both_curves_share_one_scale() -> None:
    picture = drawn(Watched(job(), [step(0, None, 0.0), step(1, 0.5), step(2, 1.0, 1.0)]))

    assert "▅█" in picture
    assert "▁█" in picture
    assert "from 0.000 to 1.000" in picture


def test_the_time_left_follows_from_the_services_estimate() -> None:
    picture = drawn(Watched(job(estimated_finish=int(time.time()) + 3600), [step(1, 0.5)]))

    assert "left" in picture


def test_a_job_that_does_not_run_has_no_time_left() -> None:
    assert Watched(job(status="paused", estimated_finish=int(time.time()) + 3600), [step(1, 0.5)]).time_left is None
