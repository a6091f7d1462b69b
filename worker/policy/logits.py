"""From hidden states to log-probabilities of tokens, without ever holding logits of all tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


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
        logprobs, entropy, norms = (hidden.new_empty(len(targets), dtype=precise) for _ in range(3))
        ctx.temperature = temperature
        slope = torch.empty_like(hidden) if ctx.needs_input_grad[0] and not ctx.needs_input_grad[1] else None
        for begin in range(0, len(targets), TokenLogprobs.CHUNK):
            rows = slice(begin, begin + TokenLogprobs.CHUNK)
            logits = (hidden[rows] @ head.T).to(precise).div_(temperature)
            chosen = logits.gather(1, targets[rows, None])[:, 0]
            norm = norms[rows] = logits.logsumexp(dim=1)
            logprobs[rows] = chosen - norm
            probs = (logits - norm[:, None]).exp_()
            entropy[rows] = norm - torch.linalg.vecdot(probs, logits)
            if slope is not None:
                slope[rows] = (head[targets[rows]] - probs.to(head.dtype) @ head).div_(temperature)
        if slope is not None:
            ctx.save_for_backward(slope)
        elif ctx.needs_input_grad[1]:
            ctx.save_for_backward(hidden, head, targets, norms)
        ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _entropy: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        if not ctx.needs_input_grad[1]:
            (slope,) = ctx.saved_tensors
            return (grad[:, None] * slope).to(slope.dtype), None, None, None
        return *TokenLogprobs._with_head(grad, ctx.temperature, *ctx.saved_tensors), None, None

    @staticmethod
    def _with_head(
        grad: Tensor, temperature: float, hidden: Tensor, head: Tensor, targets: Tensor, norms: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The gradients by hidden states and head: both from those of a chunk's logits, (onehot - softmax) / temperature."""
        grad_hidden, grad_head = torch.empty_like(hidden), torch.zeros_like(head)
        for begin in range(0, len(targets), TokenLogprobs.CHUNK):
            rows = slice(begin, begin + TokenLogprobs.CHUNK)
            slope = (hidden[rows] @ head.T).to(norms.dtype).div_(temperature).sub_(norms[rows, None]).exp_().neg_()
            slope[torch.arange(len(slope), device=slope.device), targets[rows]] += 1
            slope = slope.mul_(grad[rows, None] / temperature).to(head.dtype)
            grad_hidden[rows] = slope @ head
            grad_head.addmm_(slope.T, hidden[rows])
        return grad_hidden, grad_head
