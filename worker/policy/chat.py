"""Between messages and tokens: a model's tokenizer and chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from core.errors import JobFailure
from worker.rollout.guide import Guides

_GENERIC = frozenset({"TokenizersBackend", "PreTrainedTokenizerFast"})
"""Names of the class that reads all it knows from `tokenizer.json`."""


class NoChatTemplate(JobFailure):
    """The model's tokenizer cannot render messages."""

    code = "no_chat_template"


class ChatTokenizer:
    """Renders messages as the model was taught to read them, and turns sampled tokens back into text."""

    def __init__(self, directory: Path) -> None:
        self._tokenizer = _tokenizer(directory)
        if not self._tokenizer.chat_template:
            raise NoChatTemplate(f"The tokenizer of {directory.name} has no chat template, so it cannot render messages.")
        self.stop_ids = _stop_ids(directory, self._tokenizer.eos_token_id)
        """Tokens that end a completion."""

    @property
    def template(self) -> str:
        """The chat template's source."""
        return str(self._tokenizer.chat_template)

    def guides(self, vocabulary: int) -> Guides:
        """What holds completions of a model with this many logits to a format. Takes a moment to make."""
        return Guides(self._tokenizer, vocabulary, self.stop_ids)

    def prompt(self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] | None = None) -> tuple[int, ...]:
        """Tokens of the conversation up to and including the opening of the assistant's turn."""
        rendered: Any = self._tokenizer.apply_chat_template(
            [_plain(message) for message in messages],
            tools=list(tools) if tools else None,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
        )
        return tuple(rendered["input_ids"])

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens, special tokens dropped."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def transcript(self, ids: Sequence[int]) -> str:
        """The text of tokens with special tokens shown, as people read a prompt."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _tokenizer(directory: Path) -> Any:
    """The tokenizer of the class that the directory names."""
    try:
        named = json.loads((directory / "tokenizer_config.json").read_text()).get("tokenizer_class")
    except FileNotFoundError:
        named = None
    if named in _GENERIC:
        return PreTrainedTokenizerFast.from_pretrained(directory)
    # Imported where it is needed: the registry of all models' classes takes seconds, of every job's start.
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(directory)


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """Text parts joined to one string; `developer`, which templates of open models do not know, becomes `system`."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part["text"] for part in content)
    role = "system" if message["role"] == "developer" else message["role"]
    return {**message, "role": role, "content": content if content is not None else ""}


def _stop_ids(directory: Path, eos_id: int | None) -> frozenset[int]:
    ids = {eos_id}
    for name in ("generation_config.json", "config.json"):
        if (path := directory / name).exists():
            value = json.loads(path.read_text()).get("eos_token_id")
            ids |= set(value) if isinstance(value, list) else {value}
    return frozenset(token for token in ids if token is not None)
