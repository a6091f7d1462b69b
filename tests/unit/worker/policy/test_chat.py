from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tests.models import CHATML, byte_tokenizer
from worker.policy.chat import ChatTokenizer, NoChatTemplate


def directory(path: Path, *, template: str | None = CHATML, **config: object) -> Path:
    """A tokenizer, and what the model's configuration says of it."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(path)
    (path / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    return path


def test_a_tokenizer_without_a_chat_template_is_a_clear_failure(tmp_path: Path) -> None:
    with pytest.raises(NoChatTemplate, match="plain has no chat template"):
        ChatTokenizer(directory(tmp_path / "plain", template=None))


@pytest.mark.parametrize(("configured", "expected"), [(None, {258}), (256, {256, 258}), ([256, 257], {256, 257, 258})])
def test_tokens_that_end_a_completion_come_from_tokenizer_and_configuration(
    tmp_path: Path, configured: object, expected: set[int]
) -> None:
    assert ChatTokenizer(directory(tmp_path, eos_token_id=configured)).stop_ids == expected


@pytest.mark.parametrize("named", ["TokenizersBackend", "PreTrainedTokenizerFast", "Qwen2Tokenizer", None])
def test_a_tokenizer_reads_as_the_class_that_its_directory_names(tmp_path: Path, named: str | None) -> None:
    path = directory(tmp_path)
    configuration = json.loads((path / "tokenizer_config.json").read_text())
    del configuration["tokenizer_class"]
    (path / "tokenizer_config.json").write_text(json.dumps(configuration | ({"tokenizer_class": named} if named else {})))
    messages = [{"role": "user", "content": "Grüße, <|im_end|> 漢字"}]
    expected = AutoTokenizer.from_pretrained(path).apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert list(ChatTokenizer(path).prompt(messages)) == expected
