"""Randomness derived, never carried: every seed follows from the job's seed and from what it is for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np


def derive(*parts: int | str) -> int:
    """64 bits that depend on all parts: the first 8 bytes of their SHA-256."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big")


def sample_seed(job_seed: int, split: str, step: int, example: int, sample: int) -> int:
    """The seed of one completion. Validation always passes step 0: the same luck at every evaluation, so curves compare."""
    return derive(job_seed, split, step, example, sample)


def replacement_rows(job_seed: int, step: int, rows: int, used: Sequence[int]) -> list[int]:
    """The rows that a step may turn to beside its own, in an order of its own."""
    order = np.random.Generator(np.random.Philox(key=derive(job_seed, "replacement", step))).permutation(rows)
    taken = set(used)
    return [int(row) for row in order if int(row) not in taken]


def batch_of_step(job_seed: int, step: int, rows: int, batch_size: int) -> list[int]:
    """The row indexes of a step (from 1): each pass over the data is a fresh permutation, its last batch may be smaller."""
    steps_an_epoch = math.ceil(rows / batch_size)
    epoch, place = divmod(step - 1, steps_an_epoch)
    order = np.random.Generator(np.random.Philox(key=derive(job_seed, "order", epoch))).permutation(rows)
    return [int(row) for row in order[place * batch_size : (place + 1) * batch_size]]
