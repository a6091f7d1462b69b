"""Memory that does not suffice, for real: a process is not given any more of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from core.settings import Settings
from tests.models import tiny_model
from worker.policy.memory import is_out_of_memory
from worker.policy.model import PolicyModel
from worker.policy.trained import MICRO_BATCH_TOKENS

from .short_of_memory import ENVIRONMENT, GROUP, policy

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of the updates of `short_of_memory`, with weights whose activations take a quarter of a megabyte a token."""
    wide = tiny_model(tmp_path_factory.mktemp("wide"), intermediate_size=8_192)
    command = [sys.executable, "-m", f"{__package__}.short_of_memory", str(wide)]
    environment = {**Settings(_env_file=None).environment(), **ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=ROOT, timeout=240, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_smaller_parts_are_tried_until_they_fit(short: dict[str, Any]) -> None:
    (cut,) = short["parts"]["cuts"]
    assert cut < MICRO_BATCH_TOKENS
    assert short["parts"]["same_figures"]
    assert short["parts"]["same_bits"]


def test_later_updates_and_resumed_ones_stay_with_what_fits(tiny: PolicyModel, tmp_path: Path) -> None:
    first = policy(tiny)
    first.update([GROUP], 1.0, cuts=[300])
    first.save_state(tmp_path)
    resumed = policy(tiny)
    resumed.load_state(tmp_path)
    assert first.update([GROUP], 1.0) == resumed.update([GROUP], 1.0)
    assert first.update([GROUP], 1.0).micro_batch_tokens == (300,)


def test_single_completions_that_do_not_fit_are_a_clear_failure(short: dict[str, Any]) -> None:
    assert "153 tokens" in short["failure"]


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
