"""What an update holds in memory: activations of its tokens, logits never, and nothing that stays."""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.models import tiny_model
from worker.policy.base import TrainGroup
from worker.policy.full_policy import FullPolicy
from worker.policy.lora_policy import LoraPolicy
from worker.policy.model import PolicyModel, load_model
from worker.policy.trained import TrainedPolicy, UpdateConfig
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.torch import TorchEngine

VOCABULARY = 4096
ADVANTAGES = (1.0, -1.0, 0.5, -0.5)
Make = Callable[..., TrainedPolicy]


class Allocations(TorchDispatchMode):
    """Hears of every tensor that torch makes: the bytes alive, the most of them, and the largest number of elements of one."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = self.largest = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {id(tensor.untyped_storage()) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, torch.Tensor)}
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and id(tensor.untyped_storage()) not in given:
                self._hear(tensor)
        return result

    def _hear(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if id(storage) in self._known:
            return
        size = storage.nbytes()

        def gone(_: Any, key: int = id(storage)) -> None:
            self.alive -= size
            del self._known[key]

        self._known[id(storage)] = weakref.ref(storage, gone)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        self.largest = max(self.largest, size // tensor.element_size())


class Mallinfo(ctypes.Structure):
    """glibc's `struct mallinfo2` (mallinfo(3))."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ["arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"]
    ]


def in_use() -> int:
    """Bytes that the C library has given out, tensors among them; unlike RSS without what it keeps back for the next."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo
    told = mallinfo2()
    return int(told.uordblks + told.hblkhd)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PolicyModel:
    """With a vocabulary beside which activations are small, as real ones have."""
    return load_model(tiny_model(tmp_path_factory.mktemp("wordy"), vocab_size=VOCABULARY))


@pytest.fixture(params=["lora", "full"])
def make(request: pytest.FixtureRequest, model: PolicyModel) -> Make:
    def policy(**config: Any) -> TrainedPolicy:
        made = UpdateConfig(**{"learning_rate": 1e-3, **config})
        return (
            LoraPolicy.fresh(model, rank=4, alpha=8.0, seed=1, config=made)
            if request.param == "lora"
            else FullPolicy(model, made)
        )

    return policy


def group(length: int, samples: int = 4) -> TrainGroup:
    completions = tuple(tuple(range(i, i + length)) for i in range(samples))
    return TrainGroup((1, 2, 3), completions, ((-8.0,) * length,) * samples, (ADVANTAGES * samples)[:samples])


def heard(policy: TrainedPolicy, groups: Sequence[TrainGroup]) -> Allocations:
    """An update's allocations, its gradients' and the optimizer's first ones aside."""
    policy.update(groups, 1.0)
    with Allocations() as allocations:
        policy.update(groups, 1.0)
    return allocations


def test_no_tensor_has_an_element_for_every_token_and_word(make: Make) -> None:
    allocations = heard(make(kl_coef=0.1), [group(200)])
    parameters = VOCABULARY * 64
    assert allocations.largest <= max(parameters, 128 * VOCABULARY) < 800 * VOCABULARY / 2


def test_memory_grows_with_the_completion_tokens_of_a_micro_batch(make: Make) -> None:
    peaks = [heard(make(), [group(length)]).peak for length in (60, 120, 180, 240)]
    growth = [after - before for before, after in pairwise(peaks)]
    assert growth[0] > 0
    assert max(growth) < 1.2 * min(growth)


def test_memory_does_not_grow_with_the_number_of_micro_batches(make: Make) -> None:
    few, many = ([group(240)] * count for count in (2, 8))
    assert heard(make(), many).peak < 1.02 * heard(make(), few).peak


def test_recomputed_layers_are_not_held(make: Make) -> None:
    held, recomputed = (heard(make(recompute=recompute), [group(240)]).peak for recompute in (False, True))
    assert recomputed < 0.8 * held


def test_an_update_leaves_nothing_behind(make: Make) -> None:
    policy = make(kl_coef=0.1, inner_epochs=2)
    policy.update([group(50)], 1.0)
    gc.collect()
    with Allocations() as allocations:
        for length in (50, 20, 70):
            policy.update([group(length)], 1.0)
        gc.collect()
        assert allocations.alive == 0


def test_memory_does_not_creep_over_steps(make: Make, tmp_path: Path) -> None:
    """Sampling and updating, prompts and lengths differing from step to step: what is in use after 200 of 300 has no slope."""
    policy = make()
    engine = TorchEngine(policy, {0})
    used = []
    for step in range(300):
        prompts = [PromptGroup(tuple(range(5 + step % 7)), tuple(range(4 * step, 4 * step + 4))) for _ in range(2)]
        sampled = engine.generate(prompts, SamplingParams(8 + step % 5))
        groups = [
            TrainGroup(
                prompt.prompt_T, tuple(c.tokens_T for c in completions), tuple(c.logprobs_T for c in completions), ADVANTAGES
            )
            for prompt, completions in zip(prompts, sampled, strict=True)
        ]
        policy.update(groups, 1.0)
        used.append(in_use())
    late = torch.tensor(used[200:], dtype=torch.float64)
    steps = torch.arange(len(late), dtype=torch.float64)
    slope = torch.linalg.lstsq(torch.stack([steps, torch.ones_like(steps)], dim=1), late[:, None]).solution[0, 0].item()
    assert slope < 1024, f"{slope:.0f} bytes a step"
