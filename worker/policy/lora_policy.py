"""The LoRA policy: base weights, an adapter, and one optimizer step at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from worker.policy.base import TrainGroup, UpdateStats
from worker.policy.export import write_merged
from worker.policy.forward import Pack, completion_logprobs, pack
from worker.policy.lora import Adapter
from worker.policy.losses import LOSSES, LossInputs, kl_to_reference
from worker.policy.model import PolicyModel, Weights

Sequences = Sequence[tuple[Sequence[int], Sequence[int]]]
"""Prompts and completions."""

MICRO_BATCH_TOKENS = 1024
"""Tokens of one forward and backward pass: bounds activations (about 1.2 MB a token for a 135M model in float32)."""
GRADIENT_CLIP = 1.0
"""Largest gradient norm of a step."""


@dataclass(frozen=True)
class UpdateConfig:
    """Constants of the update."""

    learning_rate: float
    loss: str = "grpo"
    kl_coef: float = 0.0
    clip_low: float = 0.2
    clip_high: float = 0.28
    inner_epochs: int = 1
    max_tokens: int = 256


class LoraPolicy:
    """Implements `PolicyTrainer`. `merged` is base plus adapter after every update: the weights that sampling uses."""

    def __init__(self, model: PolicyModel, adapter: Adapter, config: UpdateConfig) -> None:
        self.model = model
        self.adapter = adapter
        self.merged: Weights = model.weights.copy_linears()
        self._config = config
        self._parameters = adapter.parameters()
        for parameter in self._parameters:
            parameter.requires_grad_(True)
        self._optimizer = torch.optim.AdamW(self._parameters, lr=config.learning_rate, weight_decay=0.0, betas=(0.9, 0.99))
        adapter.merge(model.weights, self.merged)

    @classmethod
    def fresh(cls, model: PolicyModel, *, rank: int, alpha: float, seed: int, config: UpdateConfig) -> LoraPolicy:
        """A policy that equals its base model; `seed` decides the adapter's first values."""
        generator = torch.Generator().manual_seed(seed)
        return cls(model, Adapter.fresh(model.weights, rank, alpha, generator), config)

    def update(self, groups_P: Sequence[TrainGroup], temperature: float) -> UpdateStats:
        """See `PolicyTrainer.update`. Groups without a non-zero advantage carry no gradient and are not computed."""
        live = [group for group in groups_P if any(group.advantages_G)]
        totals = _Totals(
            tokens=sum(len(completion) for group in groups_P for completion in group.completions_G),
            completions=sum(len(group.completions_G) for group in groups_P),
        )
        parts = list(micro_batches(live, MICRO_BATCH_TOKENS))
        old: list[Tensor] = []
        for _ in range(self._config.inner_epochs if live else 0):
            totals.begin_pass()
            self._optimizer.zero_grad(set_to_none=True)
            for i, part in enumerate(parts):
                logprobs = self._backward(part, temperature, totals, old[i] if i < len(old) else None)
                if i == len(old):
                    old.append(logprobs)
            totals.grad_norm = float(torch.nn.utils.clip_grad_norm_(self._parameters, GRADIENT_CLIP))
            if not torch.isfinite(torch.tensor(totals.grad_norm)):
                totals.skipped = True
                break
            self._optimizer.step()
            self.adapter.merge(self.model.weights, self.merged)
        self._optimizer.zero_grad(set_to_none=True)
        return totals.stats(live=bool(live))

    def _backward(self, part: Sequence[TrainGroup], temperature: float, totals: _Totals, old: Tensor | None) -> Tensor:
        """Add the part's gradient; return its log-probabilities. `old` are those before the update, None in the first pass."""
        config, device = self._config, self.merged.embed.device
        packed = pack([(group.prompt_T, group.completions_G) for group in part], device)
        logprobs, entropy = completion_logprobs(self.merged, packed, temperature, self.adapter)
        inputs = LossInputs(
            logprobs=logprobs,
            old_logprobs=logprobs.detach() if old is None else old,
            sampler_logprobs=torch.tensor([x for group in part for row in group.logprobs_G for x in row], device=device),
            advantages=torch.tensor([advantage for group in part for advantage in group.advantages_G], device=device),
            lengths=torch.tensor([len(completion) for group in part for completion in group.completions_G], device=device),
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            step_tokens=totals.tokens,
            step_completions=totals.completions,
            max_tokens=config.max_tokens,
        )
        policy_loss, held = LOSSES[config.loss](inputs)
        loss = policy_loss
        if config.kl_coef > 0:
            kl = kl_to_reference(logprobs, self._reference(packed, temperature)).sum() / totals.tokens
            loss = policy_loss + config.kl_coef * kl
            totals.kl += float(kl.detach())
        loss.backward()
        totals.count(inputs, policy_loss.detach(), loss.detach(), entropy, held)
        return logprobs.detach()

    @torch.no_grad()
    def _reference(self, packed: Pack, temperature: float) -> Tensor:
        return completion_logprobs(self.model.weights, packed, temperature)[0]

    def save_adapter(self, directory: Path) -> None:
        """See `PolicyTrainer.save_adapter`."""
        self.adapter.write(directory, self.model.directory.name)

    def save_merged(self, directory: Path) -> None:
        """Write base plus adapter as a plain model directory."""
        write_merged(self.model, self.merged, directory)

    @torch.no_grad()
    def score(self, sequences: Sequences, temperature: float) -> list[list[float]]:
        """Log-probability of every token of some completions, each after its prompt, as sampling at the temperature gives."""
        packed = pack([(prompt, [completion]) for prompt, completion in sequences], self.merged.embed.device)
        logprobs, _ = completion_logprobs(self.merged, packed, temperature)
        return [part.tolist() for part in logprobs.split([len(completion) for _, completion in sequences])]

    def save_state(self, directory: Path) -> None:
        """See `PolicyTrainer.save_state`: the adapter as its own files, the optimizer's moments beside it."""
        self.save_adapter(directory)
        moments = self._optimizer.state_dict()["state"]
        tensors = {f"{i}.{name}": moments[i][name].contiguous() for i in moments for name in ("exp_avg", "exp_avg_sq")}
        (directory / "optimizer.safetensors").write_bytes(save(tensors))
        steps = int(moments[0]["step"]) if moments else 0
        (directory / "optimizer.json").write_text(json.dumps({"steps": steps}) + "\n")

    def load_state(self, directory: Path) -> None:
        """See `PolicyTrainer.load_state`."""
        stored = Adapter.read(directory, self.model.weights).parameters()
        with torch.no_grad():
            for parameter, value in zip(self._parameters, stored, strict=True):
                parameter.copy_(value)
        moments = load_file(directory / "optimizer.safetensors", device=str(self.merged.embed.device))
        steps = json.loads((directory / "optimizer.json").read_text())["steps"]
        state = self._optimizer.state_dict()
        state["state"] = {
            i: {"step": torch.tensor(float(steps)), **{name: moments[f"{i}.{name}"] for name in ("exp_avg", "exp_avg_sq")}}
            for i in range(len(self._parameters) if moments else 0)
        }
        self._optimizer.load_state_dict(state)
        self.adapter.merge(self.model.weights, self.merged)


def micro_batches(groups: Sequence[TrainGroup], max_tokens: int) -> Iterator[list[TrainGroup]]:
    """Cut groups into parts of at most `max_tokens` tokens, larger groups by their completions."""
    part: list[TrainGroup] = []
    room = max_tokens
    for piece in (piece for group in groups for piece in _pieces(group, max_tokens)):
        size = len(piece.prompt_T) + sum(len(completion) for completion in piece.completions_G)
        if part and size > room:
            yield part
            part, room = [], max_tokens
        part.append(piece)
        room -= size
    if part:
        yield part


def _pieces(group: TrainGroup, max_tokens: int) -> Iterator[TrainGroup]:
    begin, size = 0, len(group.prompt_T)
    for i, completion in enumerate(group.completions_G):
        if i > begin and size + len(completion) > max_tokens:
            yield _members(group, slice(begin, i))
            begin, size = i, len(group.prompt_T)
        size += len(completion)
    yield _members(group, slice(begin, None))


def _members(group: TrainGroup, rows: slice) -> TrainGroup:
    return replace(
        group,
        completions_G=group.completions_G[rows],
        logprobs_G=group.logprobs_G[rows],
        advantages_G=group.advantages_G[rows],
    )


class _Totals:
    """What adds up over the micro-batches of an update's last pass; the ratio is that of its first."""

    def __init__(self, *, tokens: int, completions: int) -> None:
        self.tokens, self.completions = tokens, completions
        self.grad_norm = self.ratio_max = 0.0
        self.skipped = False
        self._passes = self._seen = self._clippable = 0
        self.loss = self.policy_loss = self.kl = self._entropy = self._held = 0.0

    def begin_pass(self) -> None:
        """Start counting afresh, for another pass over the same step."""
        self._passes += 1
        self._seen = self._clippable = 0
        self.loss = self.policy_loss = self.kl = self._entropy = self._held = 0.0

    @torch.no_grad()
    def count(self, inputs: LossInputs, policy_loss: Tensor, loss: Tensor, entropy: Tensor, held: Tensor) -> None:
        """Add one micro-batch."""
        self.policy_loss += float(policy_loss)
        self.loss += float(loss)
        self._entropy += float(entropy.sum())
        self._held += float(held.sum())
        self._clippable += len(held)
        self._seen += len(entropy)
        if self._passes == 1:
            self.ratio_max = max(self.ratio_max, float((inputs.old_logprobs - inputs.sampler_logprobs).abs().max()))

    def stats(self, *, live: bool) -> UpdateStats:
        """The update's figures; entropy is a mean over the tokens that were computed."""
        seen, clippable = max(self._seen, 1), max(self._clippable, 1)
        return UpdateStats(
            loss=self.loss,
            policy_loss=self.policy_loss,
            kl=self.kl,
            entropy=self._entropy / seen,
            clip_fraction=self._held / clippable,
            ratio_max=self.ratio_max,
            grad_norm=self.grad_norm,
            tokens=self.tokens,
            skipped=self.skipped or not live,
        )
