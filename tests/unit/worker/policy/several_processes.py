"""One of several processes that train a policy together: started by `torchrun`, or alone, with the same result.

`python -m tests.unit.worker.policy.several_processes MODEL KIND OUT`; OUT gets the figures and the weights after three updates,
and whether a policy that was kept and loaded goes on with the same figures.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from core.settings import variable
from worker.policy.base import TrainGroup
from worker.policy.full_policy import FullPolicy
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import load_model
from worker.policy.ranks import ALONE, Ranks
from worker.policy.trained import TrainedPolicy, UpdateConfig

KINDS = ("lora", "full")


def group(prompt: int, lengths: tuple[int, ...], advantages: tuple[float, ...], seed: int) -> TrainGroup:
    generator = torch.Generator().manual_seed(seed)
    completions = tuple(tuple(torch.randint(0, 300, (length,), generator=generator).tolist()) for length in lengths)
    return TrainGroup(tuple(range(prompt)), completions, tuple((-5.7,) * length for length in lengths), advantages)


GROUPS = [
    group(5, (6, 8, 7), (1.0, -1.0, 0.5), 1),
    group(40, (12, 3), (-0.5, 0.5), 2),
    group(3, (9, 9, 2, 4), (1.5, -1.0, -1.0, 0.5), 3),
    group(7, (4, 4), (0.0, 0.0), 4),
]
STEPS = (GROUPS, GROUPS[:1], GROUPS[1:])
"""The second leaves a process without work."""


def policy(kind: str, directory: Path, ranks: Ranks) -> TrainedPolicy:
    # Two passes, clipping, a divergence, parts of different number: whatever could differ.
    config = UpdateConfig(learning_rate=1e-3, kl_coef=0.1, inner_epochs=2)
    model = load_model(directory)
    if kind == "lora":
        return LoraPolicy.fresh(model, rank=4, alpha=8.0, seed=1, config=config, ranks=ranks)
    if ranks.count == 1:
        return FullPolicy(model, config)
    from worker.policy.sharded_policy import ShardedPolicy

    return ShardedPolicy(model, config, ranks)


def descend(trained: TrainedPolicy) -> None:
    """Plain descent: the first steps of Adam go by the signs of gradients, and turn roundings near zero into steps."""
    trained._optimizer._adam = torch.optim.SGD(trained._parameters, lr=0.05)


def resumed(kind: str, directory: Path, ranks: Ranks, state: Path) -> bool:
    """Whether a policy that is loaded from its state makes the same update."""
    first, second = (policy(kind, directory, ranks) for _ in range(2))
    first.update(GROUPS, 0.9)
    first.save_state(state)
    ranks.tell()  # who leads has written
    second.load_state(state)
    return first.update(GROUPS, 0.9) == second.update(GROUPS, 0.9)


def main(directory: Path, kind: str, out: Path) -> None:
    torch.set_num_threads(1)
    ranks = Ranks.join("cpu") if variable("WORLD_SIZE") else ALONE
    trained = policy(kind, directory, ranks)
    descend(trained)
    figures = [asdict(trained.update(groups, 0.9, cuts=(60, 60))) for groups in STEPS]
    goes_on = resumed(kind, directory, ranks, out / "state")
    if ranks.leads:
        (out / "figures.json").write_text(json.dumps({"updates": figures, "goes_on": goes_on}))
        tensors = {str(i): tensor.detach().clone() for i, tensor in enumerate(trained.merged.tensors())}
        save_file(tensors, out / "weights.safetensors")
    if ranks.count > 1:
        ranks.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
