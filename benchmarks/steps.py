"""One training step of ours beside TRL's on the same work: the same model, prompts, lengths, adapter, and every group live.

Both sides run in processes of their own, in turns, so that both meet the same moods of the machine; medians of steps compare.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.check import Check

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "build" / "models" / "smollm2-135m-instruct"
ROUNDS = 2

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Work:
    """What one step does. `floor` is the ratio to TRL that is asked for."""

    messages: Sequence[Messages]
    prompts: int
    samples: int
    tokens: int
    our_steps: int
    peer_steps: int
    floor: float


def against_trl(work: Work) -> list[Check]:
    """Seconds and tokens a second of a step on both sides, and the ratio against what is asked."""
    ours: list[float] = []
    trl: list[float] = []
    for _ in range(ROUNDS):
        ours += _side([sys.executable, "-m", "benchmarks.our_steps"], work, work.our_steps)
        trl += _side([peers.interpreter("trl"), peers.HERE / "trl_steps.py"], work, work.peer_steps)
    our_step, trl_step = statistics.median(ours), statistics.median(trl)
    tokens = work.prompts * work.samples * work.tokens
    ratio = trl_step / our_step
    return [
        Check("step", our_step, trl_step, "s", ratio),
        Check("tokens", tokens / our_step, tokens / trl_step, "tokens/s", ratio),
        Check("floor", ratio, work.floor, "times", ratio / work.floor),
    ]


def _side(command: Sequence[str | Path], work: Work, steps: int) -> list[float]:
    task = {
        "model": str(MODEL),
        "messages": list(work.messages),
        "prompts": work.prompts,
        "samples": work.samples,
        "tokens": work.tokens,
        "steps": steps,
        "threads": os.cpu_count() or 1,
    }
    environment = peers.environment()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, input=json.dumps(task), stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"  {Path(command[-1]).stem:24} {[round(seconds, 2) for seconds in result['seconds']]}", file=sys.stderr)
    return list(result["seconds"])
