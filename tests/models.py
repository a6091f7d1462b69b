"""Tiny models with random weights: every family that the torch engine computes, in seconds and under a megabyte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

# Models this small only wait for each other's threads, the more so on a machine that is busy.
torch.set_num_threads(1)

FAMILIES: dict[str, tuple[Any, Any]] = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}
VOCABULARY = 300
CONTEXT = 512
END, START, STOP = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END, START, STOP)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_model(directory: Path, **config: Any) -> Path:
    """A two-layer Llama with tied embeddings, a byte-level tokenizer and a ChatML template. Every call writes the same bytes."""
    random_model(directory, "llama", tie_word_embeddings=True, **config)
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(directory)
    return directory


def random_model(directory: Path, family: str, *, seed: int = 0, **config: Any) -> Path:
    """Weights and configuration of one family, without a tokenizer.

    Weights are larger than at the start of a training, so that attention and logits are far from uniform; norms and biases, which
    start as ones and zeros, are drawn too.
    """
    config_class, model_class = FAMILIES[family]
    values = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": None,
        "eos_token_id": 258,
        "pad_token_id": 256,
        **({"sliding_window": None} if family == "mistral" else {}),
    }
    model = model_class(config_class(**{**values, **config}))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre, width = (1.0, 0.1) if "norm" in name else (0.0, 0.15)
            parameter.copy_(centre + width * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(directory)
    return directory


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, three special tokens, and reserved ones up to `VOCABULARY`."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    reserved = [f"<|reserved_{i}|>" for i in range(VOCABULARY - len(alphabet) - len(SPECIAL))]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (*SPECIAL, *reserved)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=STOP, pad_token=END, chat_template=CHATML)
