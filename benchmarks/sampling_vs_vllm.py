"""Sampling throughput of the torch engine beside vLLM's on the CPU: a batch of 64 completions of 128 tokens, 8 prompts x 8.

Both sides run in processes of their own, in turns; medians of batches compare. `vllm` is how much faster ours is, against what is
asked. `matrix_limit` is our share of the speed of the bare matrix products of the same work by torch's `@`, in our process;
`onednn` that of the same products by oneDNN with matrices laid out for it, as we sample.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.check import Check
from benchmarks.step_vs_trl import TOPICS
from benchmarks.steps import MODEL, ROOT
from worker.policy.chat import ChatTokenizer

PROMPTS, SAMPLES, TOKENS = 8, 8, 128
ROUNDS, OUR_BATCHES, PEER_BATCHES = 2, 3, 2
FLOOR, SHARE = 1.6, 0.7


def run() -> list[Check]:
    """Tokens a second of both sides and of the matrix products."""
    ours: list[float] = []
    products: list[float] = []
    onednn: list[float] = []
    vllm: list[float] = []
    for _ in range(ROUNDS):
        result = _side([sys.executable, "-m", "benchmarks.our_sampling"], OUR_BATCHES)
        ours, products = ours + result["seconds"], products + result["products"]
        onednn += result["onednn"]
        vllm += _side([vllm_python(), peers.HERE / "vllm_sampling.py"], PEER_BATCHES)["seconds"]
    our_speed, peer_speed, limit, fastest = (
        PROMPTS * SAMPLES * TOKENS / statistics.median(side) for side in (ours, vllm, products, onednn)
    )
    return [
        Check("tokens", our_speed, peer_speed, "tokens/s", our_speed / peer_speed),
        Check("vllm", our_speed / peer_speed, FLOOR, "times", our_speed / peer_speed / FLOOR),
        Check("products", our_speed, limit, "tokens/s", our_speed / limit),
        Check("onednn", our_speed, fastest, "tokens/s", our_speed / fastest),
        Check("matrix_limit", our_speed / limit, SHARE, "share", our_speed / limit / SHARE),
    ]


def vllm_python() -> Path:
    """The interpreter of the environment in which the vLLM engine is tested, made at first use."""
    subprocess.run(["make", "--quiet", "build/envs/vllm.stamp"], cwd=ROOT, check=True)
    return ROOT / "build" / "envs" / "vllm" / "bin" / "python"


def _side(command: Sequence[str | Path], batches: int) -> dict[str, Any]:
    chat = ChatTokenizer(MODEL)
    asked = "Write two short sentences about {}. Every sentence must start with the letter A."
    prompts = [chat.prompt([{"role": "user", "content": asked.format(topic)}]) for topic in TOPICS[:PROMPTS]]
    task = {
        "model": str(MODEL),
        "prompts": prompts,
        "samples": SAMPLES,
        "tokens": TOKENS,
        "batches": batches,
        "threads": os.cpu_count() or 1,
    }
    done = subprocess.run(
        command, cwd=ROOT, env=peers.environment(), input=json.dumps(task), stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"  {Path(command[-1]).stem:24} {[round(seconds, 2) for seconds in result['seconds']]}", file=sys.stderr)
    return result
