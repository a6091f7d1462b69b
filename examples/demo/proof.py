"""Proof that the downloaded adapter is the served model: plain `peft` on the base must answer and score alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Proof:
    """How far plain peft and the service are apart."""

    answers: int
    same_answers: int
    largest_logprob_difference: float


def prove(base: Path, adapter: Path, served: Sequence[tuple[str, Any]]) -> Proof:
    """Compare greedy answers and their token log-probabilities. `served` holds (prompt, chat completion with logprobs)."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter)).eval()
    same, largest = 0, 0.0
    for prompt, completion in served:
        messages = [{"role": "user", "content": prompt}]
        inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        steps = completion.choices[0].logprobs.content
        with torch.no_grad():
            out = model.generate(
                **inputs, do_sample=False, max_new_tokens=len(steps), output_logits=True, return_dict_in_generate=True
            )
        tokens = out.sequences[0, inputs["input_ids"].shape[1] :]
        logprobs = torch.stack(out.logits)[:, 0].log_softmax(-1).gather(1, tokens[:, None])[:, 0].tolist()
        same += tokenizer.decode(tokens, skip_special_tokens=True) == completion.choices[0].message.content
        largest = max(largest, *(abs(ours.logprob - theirs) for ours, theirs in zip(steps, logprobs, strict=False)))
    return Proof(len(served), same, largest)
