"""From hidden states to log-probabilities of tokens, without ever holding logits of all tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from worker.policy.products import product


class TokenLogprobs(torch.autograd.Function):
    """log softmax(h W^T / temperature)[target] and the entropy, in chunks of rows: [tokens, vocabulary] is never whole.

    The gradient by h is (W[target] - softmax W) / temperature times a scalar a row, so it is computed with the forward pass,
    while a chunk's logits exist, and kept as [tokens, hidden]. Where W is trained too, the logits of each chunk are computed
    again for its gradient instead. The entropy carries no gradient. Logits are in float32 at least.
    """

    CHUNK = 128

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:  # noqa: D102
        precise = torch.promote_types(hidden.dtype, torch.float32)
        logprobs, entropy = (hidden.new_empty(len(targets), dtype=precise) for _ in range(2))
        ctx.temperature = temperature
        slope = torch.empty_like(hidden) if ctx.needs_input_grad[0] and not ctx.needs_input_grad[1] else None
        # Chunks share a buffer: memory that is new to a process costs as much time as the arithmetic.
        logs_of_chunk = head.new_empty((min(len(targets), TokenLogprobs.CHUNK), len(head)), dtype=precise)
        for begin in range(0, len(targets), TokenLogprobs.CHUNK):
            rows = slice(begin, begin + TokenLogprobs.CHUNK)
            count = len(targets[rows])
            logits = product(hidden[rows] / temperature, head).to(precise)
            logs = torch.log_softmax(logits, dim=1, out=logs_of_chunk[:count])
            logprobs[rows] = logs.gather(1, targets[rows, None])[:, 0]
            probs = torch.exp(logs, out=logits)
            entropy[rows] = -logs.mul_(probs).sum(dim=1)
            if slope is not None:
                slope[rows] = (head[targets[rows]] - product(probs.to(head.dtype), head.T)).div_(temperature)
        if slope is not None:
            ctx.save_for_backward(slope)
        elif ctx.needs_input_grad[1]:
            ctx.save_for_backward(hidden, head, targets)
        ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _entropy: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        if not ctx.needs_input_grad[1]:
            (slope,) = ctx.saved_tensors
            return (grad[:, None] * slope).to(slope.dtype), None, None, None
        return *TokenLogprobs._with_head(grad, ctx.temperature, *ctx.saved_tensors), None, None

    @staticmethod
    def _with_head(grad: Tensor, temperature: float, hidden: Tensor, head: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients by hidden states and head: both from those of a chunk's logits, (onehot - softmax) / temperature."""
        grad_hidden, grad_head = torch.empty_like(hidden), torch.zeros_like(head)
        for begin in range(0, len(targets), TokenLogprobs.CHUNK):
            rows = slice(begin, begin + TokenLogprobs.CHUNK)
            slope = torch.softmax(product(hidden[rows] / temperature, head).to(grad.dtype), dim=1).neg_()
            slope[torch.arange(len(slope), device=slope.device), targets[rows]] += 1
            slope = slope.mul_(grad[rows, None] / temperature).to(head.dtype)
            grad_hidden[rows] = product(slope, head.T)
            grad_head.addmm_(slope.T, hidden[rows])
        return grad_hidden, grad_head
