"""Two processes under `torchrun` train as one does: data parallelism for adapters, FSDP2 for all weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from core.settings import Settings

from .several_processes import KINDS

ROOT = Path(__file__).resolve().parents[4]
PATIENCE_SECONDS = 240.0
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")


def run(*command: str) -> None:
    environment = {**Settings().environment(), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command], env=environment, cwd=ROOT, timeout=PATIENCE_SECONDS, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_make_the_updates_of_one(kind: str, tiny_directory: Path, tmp_path: Path) -> None:
    script = f"{__package__}.several_processes"
    run(script, str(tiny_directory), kind, str(tmp_path / "one"))
    run(*TORCHRUN, script, str(tiny_directory), kind, str(tmp_path / "two"))

    one, two = (json.loads((tmp_path / name / "figures.json").read_text()) for name in ("one", "two"))
    for expected, actual in zip(one["updates"], two["updates"], strict=True):
        assert actual.pop("micro_batch_tokens") == expected.pop("micro_batch_tokens")
        assert actual == pytest.approx(expected, abs=1e-5)
    assert one["goes_on"]
    assert two["goes_on"]

    weights, others = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert max((weights[name] - others[name]).abs().max().item() for name in weights) < 1e-5
