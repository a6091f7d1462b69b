"""The study behind the default recipe: validation reward against steps and seconds, ours and TRL's, over seeds.

    python -m benchmarks.quality            # what is missing, then the pictures; stop it whenever you like and go on later

Every run leaves `build/bench/quality/<name>.json`, and is not repeated while that is there; a run of ours that was stopped goes
on from its last step, one of TRL's starts afresh. Seconds are those of training alone. Learning rates are the defaults; sizes are
those of a step of 8 prompts x 8 samples. `long_*` are runs three times as long, to see whether anything degenerates.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import our_training, trl_training
from benchmarks.quality_pictures import draw
from benchmarks.service import ROOT
from benchmarks.time_to_reward import points_of
from benchmarks.training_tasks import PRECISE_INSTRUCTIONS, SUMS, Json, Task
from benchmarks.trl_training import Size
from core.jobs.plan import BASE_LEARNING_RATE

OUT = ROOT / "build" / "bench" / "quality"
PICTURES = ROOT / "docs" / "pictures"
ROWS_A_STEP, STEPS_A_PASS = 8, 8
TRL_SIZE = Size(prompts=ROWS_A_STEP, samples=8, steps=30, eval_every=2, learning_rate=BASE_LEARNING_RATE)


@dataclass(frozen=True)
class Run:
    """One training run of the study."""

    name: str
    task: Task
    side: str
    seed: int
    passes: int = 5
    eval_every: int = 2

    @property
    def file(self) -> Path:
        """What it leaves."""
        return OUT / f"{self.name}.json"


RUNS = (
    *(Run(f"ours_sums_{seed}", SUMS, "ours", seed) for seed in (1, 2, 3)),
    *(Run(f"ours_precise_{seed}", PRECISE_INSTRUCTIONS, "ours", seed) for seed in (1, 2, 3)),
    *(Run(f"trl_precise_{seed}", PRECISE_INSTRUCTIONS, "trl", seed) for seed in (1, 2)),
    Run("long_sums", SUMS, "ours", 1, passes=15, eval_every=8),
    Run("long_precise", PRECISE_INSTRUCTIONS, "ours", 1, passes=15, eval_every=8),
)


def main() -> None:
    """Run what is missing, then draw everything."""
    OUT.mkdir(parents=True, exist_ok=True)
    for run in RUNS:
        if not run.file.exists():
            print(f"{run.name} ...", file=sys.stderr, flush=True)
            result = ours(run) if run.side == "ours" else trl(run)
            run.file.write_text(json.dumps(result) + "\n")
    draw([(run, json.loads(run.file.read_text())) for run in RUNS], PICTURES)


def ours(run: Run) -> Json:
    """A job of ours; one that was begun before goes on."""
    hyperparameters = {"n_epochs": run.passes, "batch_size": ROWS_A_STEP, "eval_interval": run.eval_every, "eval_samples": 1}
    with our_training.client(OUT / "data" / run.name) as openai:
        begun = [job.id for job in openai.fine_tuning.jobs.list(limit=1)]
        job_id = begun[0] if begun else our_training.submit(openai, run.task, run.seed, hyperparameters)
        steps = our_training.follow(openai, job_id, lambda _: False)
    points = [[point.step, point.seconds, point.reward] for point in points_of(steps)]
    health = [
        {
            "step": metrics["step"],
            "length": metrics["completion_tokens_mean"],
            "entropy": metrics["touchstone"]["update"]["entropy"],
            "kl": metrics["touchstone"]["update"]["kl"],
        }
        for metrics in steps
        if metrics["touchstone"]["update"]
    ]
    return {"before": steps[0]["full_valid_mean_reward"], "points": points, "health": health}


def trl(run: Run) -> Json:
    """A run of TRL's."""
    points = [[point.step, point.seconds, point.reward] for point in trl_training.train(run.task, TRL_SIZE, run.seed)]
    return {"before": None, "points": points, "health": []}


if __name__ == "__main__":
    main()
