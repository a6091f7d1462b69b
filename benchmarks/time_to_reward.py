"""Seconds of training to a validation reward of 0.6 on the demo's task, beside TRL's, with three seeds.

Ours is a whole job of `rft serve`, everything that makes it durable included; the clock is its own, evaluations left out. TRL
trains with the same rows, graders, adapter, learning rate and sizes, and its adapters are validated outside its clock. Both sides
validate every second step on the same rows with the same luck. A side that has not got there after `CAP` steps counts with the
seconds that it took for those.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks import our_training, trl_training
from benchmarks.check import Check
from benchmarks.service import ROOT
from benchmarks.training_tasks import PRECISE_INSTRUCTIONS, Json
from benchmarks.trl_training import Point, Size
from core.jobs.plan import BASE_LEARNING_RATE

SEEDS = (1, 2, 3)
WANTED, CAP, FLOOR = 0.6, 30, 2.5
MULTIPLIER = 1.5
HYPERPARAMETERS = {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": MULTIPLIER, "eval_interval": 2, "eval_samples": 1}
"""The demo's, with passes enough for `CAP` steps of 4 prompts x 8 samples."""
SIZE = Size(prompts=4, samples=8, steps=CAP, eval_every=2, learning_rate=BASE_LEARNING_RATE * MULTIPLIER)


def run() -> list[Check]:
    """Seconds of each seed on both sides, and the ratio of the medians against what is asked."""
    ours: list[Point] = []
    trl: list[Point] = []
    for seed in SEEDS:
        ours.append(_until_wanted("ours", seed, _our_points(seed)))
        trl.append(_until_wanted("trl", seed, trl_training.train(PRECISE_INSTRUCTIONS, SIZE, seed)))
    ratio = statistics.median(point.seconds for point in trl) / statistics.median(point.seconds for point in ours)
    checks = [
        Check(f"seed_{seed}", mine.seconds, theirs.seconds, "s", theirs.seconds / mine.seconds)
        for seed, mine, theirs in zip(SEEDS, ours, trl, strict=True)
    ]
    return [*checks, Check("floor", ratio, FLOOR, "times", ratio / FLOOR)]


def _until_wanted(side: str, seed: int, points: Iterable[Point]) -> Point:
    for point in points:
        print(
            f"  {side} seed {seed} step {point.step}: {point.reward:.3f} after {point.seconds:.0f} s", file=sys.stderr, flush=True
        )
        if point.reward >= WANTED or point.step >= CAP:
            return point
    raise SystemExit(f"{side} ended before {CAP} steps")


def _our_points(seed: int) -> list[Point]:
    def is_enough(metrics: Json) -> bool:
        reward = metrics["full_valid_mean_reward"]
        return metrics["step"] > 0 and reward is not None and (reward >= WANTED or metrics["step"] >= CAP)

    with (
        tempfile.TemporaryDirectory(prefix="ours-", dir=ROOT / "build") as directory,
        our_training.client(Path(directory)) as openai,
    ):
        job_id = our_training.submit(openai, PRECISE_INSTRUCTIONS, seed, HYPERPARAMETERS)
        return points_of(our_training.follow(openai, job_id, is_enough))


def points_of(steps: Iterable[Json]) -> list[Point]:
    """The validations of a job's metrics, that before the first step left out."""
    points, seconds = [], 0.0
    for metrics in steps:
        if metrics["step"] == 0:
            continue
        seconds += our_training.seconds_of(metrics)
        if metrics["full_valid_mean_reward"] is not None:
            points.append(Point(metrics["step"], seconds, metrics["full_valid_mean_reward"]))
    return points
