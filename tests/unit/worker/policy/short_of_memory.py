"""Updates in a process that is not given any more memory: what became of them, as JSON.

`python -m tests.unit.worker.policy.short_of_memory MODEL`. A process of its own, whose allocator gives back what is freed:
otherwise whatever ran before leaves memory behind that no limit counts again.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from worker.policy.base import TrainGroup
from worker.policy.lora_policy import LoraPolicy
from worker.policy.memory import OutOfMemory
from worker.policy.model import PolicyModel, load_model
from worker.policy.trained import UpdateConfig

ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
GROUP = TrainGroup((1, 2, 3), ((7,) * 150,) * 6, ((-5.0,) * 150,) * 6, (1.0, -1.0, 0.5, -0.5, 2.0, -2.0))
MEBIBYTE = 1 << 20


def policy(model: PolicyModel) -> LoraPolicy:
    return LoraPolicy.fresh(model, rank=2, alpha=4.0, seed=1, config=UpdateConfig(learning_rate=0.01))


@contextmanager
def no_more_than(mebibytes: int) -> Iterator[None]:
    """Let the process grow by so much address space and no further."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + mebibytes * MEBIBYTE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def smaller_parts(model: PolicyModel) -> dict[str, Any]:
    """An update that has too little memory at first, and one that has enough and is cut at the same places."""
    short, ample = policy(model), policy(model)
    with no_more_than(125):
        stats = short.update([GROUP], 1.0)
    same = stats == ample.update([GROUP], 1.0, cuts=stats.micro_batch_tokens)
    bits = all(map(torch.equal, short.adapter.parameters(), ample.adapter.parameters()))
    return {"cuts": stats.micro_batch_tokens, "same_figures": same, "same_bits": bits}


def too_little(model: PolicyModel) -> str | None:
    """What an update says that does not fit in any way."""
    given = policy(model)
    try:
        with no_more_than(10):
            given.update([GROUP], 1.0)
    except OutOfMemory as error:
        return error.message
    return None


if __name__ == "__main__":
    torch.set_num_threads(1)
    wide = load_model(Path(sys.argv[1]))
    sys.stdout.write(json.dumps({"parts": smaller_parts(wide), "failure": too_little(wide)}))
