"""Memory that does not suffice, for real: the process is not given any more of it."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.models import tiny_model
from worker.policy.base import TrainGroup
from worker.policy.lora_policy import LoraPolicy
from worker.policy.memory import OutOfMemory, is_out_of_memory
from worker.policy.model import PolicyModel, load_model
from worker.policy.trained import MICRO_BATCH_TOKENS, UpdateConfig

GROUP = TrainGroup((1, 2, 3), ((7,) * 150,) * 6, ((-5.0,) * 150,) * 6, (1.0, -1.0, 0.5, -0.5, 2.0, -2.0))
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> PolicyModel:
    """Small weights whose activations take a quarter of a megabyte a token."""
    return load_model(tiny_model(tmp_path_factory.mktemp("wide"), intermediate_size=8_192))


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


def test_smaller_parts_are_tried_until_they_fit(wide: PolicyModel) -> None:
    short, ample = policy(wide), policy(wide)
    with no_more_than(125):
        stats = short.update([GROUP], 1.0)
    (cut,) = stats.micro_batch_tokens
    assert cut < MICRO_BATCH_TOKENS
    assert stats == ample.update([GROUP], 1.0, cuts=[cut])
    assert all(map(torch.equal, short.adapter.parameters(), ample.adapter.parameters()))


def test_later_updates_and_resumed_ones_stay_with_what_fits(tiny: PolicyModel, tmp_path: Path) -> None:
    first = policy(tiny)
    first.update([GROUP], 1.0, cuts=[300])
    first.save_state(tmp_path)
    resumed = policy(tiny)
    resumed.load_state(tmp_path)
    assert first.update([GROUP], 1.0) == resumed.update([GROUP], 1.0)
    assert first.update([GROUP], 1.0).micro_batch_tokens == (300,)


def test_single_completions_that_do_not_fit_are_a_clear_failure(wide: PolicyModel) -> None:
    given = policy(wide)
    with no_more_than(10), pytest.raises(OutOfMemory, match="153 tokens"):
        given.update([GROUP], 1.0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_an_error_tells_whether_memory_was_short(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
