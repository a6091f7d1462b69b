from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from llguidance import LLParserLimits
from transformers import AddedToken

from core.response_format import ResponseFormat, parse, parsed_json
from tests.models import VOCABULARY, byte_tokenizer
from worker.policy.chat import ChatTokenizer
from worker.policy.model import PolicyModel
from worker.rollout import guide as module
from worker.rollout.base import PromptGroup, SamplingParams
from worker.rollout.decode import decode
from worker.rollout.draw import Allowed, draw
from worker.rollout.guide import Guides

Json = dict[str, Any]
STOP = 258
PROMPT = (1, 2, 3)
CHOICE: Json = {"enum": ["yes", "no"]}
SCHEMAS: dict[str, Json] = {
    "enum": CHOICE,
    "const": {"type": "object", "properties": {"a": {"const": 3}}, "required": ["a"], "additionalProperties": False},
    "nested": {
        "type": "object",
        "properties": {"o": {"type": "object", "properties": {"b": {"type": "boolean"}}, "additionalProperties": False}},
        "required": ["o"],
        "additionalProperties": False,
    },
    "array": {"type": "array", "items": {"enum": [1, 2]}, "minItems": 2, "maxItems": 3},
    "number": {"type": "integer", "minimum": -5, "maximum": 5},
    "pattern": {"type": "string", "pattern": "^[a-c]{2,4}$"},
    "refs": {"$defs": {"d": {"type": "string", "maxLength": 2}}, "type": "array", "items": {"$ref": "#/$defs/d"}, "maxItems": 2},
    "either": {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
}


def wanted(schema: Json) -> ResponseFormat:
    found = parse({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}, "response_format")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def guides() -> Guides:
    return Guides(byte_tokenizer(), VOCABULARY, {STOP})


@pytest.fixture(scope="module")
def chat(tiny_directory: Path) -> ChatTokenizer:
    return ChatTokenizer(tiny_directory)


def texts(tiny: PolicyModel, chat: ChatTokenizer, guides: Guides, schema: Json, **params: Any) -> list[str]:
    """What eight rows answer, stop token cut off."""
    rows: list[list[int]] = [[] for _ in range(8)]
    sampling = SamplingParams(**{"max_tokens": 80, "response_format": wanted(schema), **params})
    for drawn in decode(tiny.weights, [PromptGroup(PROMPT, tuple(range(8)))], sampling, chat.stop_ids, guides):
        for row, token in zip(drawn.rows, drawn.tokens, strict=True):
            rows[row].append(token)
    assert all(tokens[-1] == STOP for tokens in rows if len(tokens) < sampling.max_tokens)
    return [chat.text(tokens) for tokens in rows]


@pytest.mark.parametrize(
    "params", [{}, {"temperature": 0}, {"temperature": 2.0, "top_p": 0.3}], ids=["drawn", "greedy", "nucleus"]
)
@pytest.mark.parametrize("name", SCHEMAS)
def test_completions_are_valid(tiny: PolicyModel, chat: ChatTokenizer, guides: Guides, name: str, params: Json) -> None:
    for text in texts(tiny, chat, guides, SCHEMAS[name], **params):
        jsonschema.validate(json.loads(text), SCHEMAS[name])


def test_rows_choose_by_their_own_luck(tiny: PolicyModel, chat: ChatTokenizer, guides: Guides) -> None:
    assert set(texts(tiny, chat, guides, CHOICE, temperature=2.0)) == {'"yes"', '"no"'}


def test_the_same_seeds_give_the_same_completions(tiny: PolicyModel, chat: ChatTokenizer, guides: Guides) -> None:
    assert texts(tiny, chat, guides, {"type": "object"}) == texts(tiny, chat, guides, {"type": "object"})


def test_a_completion_cut_at_its_limit_is_the_beginning_of_a_valid_one(
    tiny: PolicyModel, chat: ChatTokenizer, guides: Guides
) -> None:
    (text,) = set(texts(tiny, chat, guides, SCHEMAS["const"], max_tokens=4, temperature=0))
    assert text.startswith("{")
    assert parsed_json(text) is None


def test_rows_without_a_format_are_drawn_as_ever(tiny: PolicyModel, guides: Guides) -> None:
    group, params = [PromptGroup(PROMPT, (1, 2))], SamplingParams(20)
    plain = [(drawn.tokens, drawn.logprobs) for drawn in decode(tiny.weights, group, params, {STOP})]
    assert [(drawn.tokens, drawn.logprobs) for drawn in decode(tiny.weights, group, params, {STOP}, guides)] == plain


def test_a_guide_that_meets_its_limit_ends_the_row(
    tiny: PolicyModel, chat: ChatTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = {"type": "string", "pattern": "^(.*[ab].{200})+c$"}
    monkeypatch.setattr(module, "parser_limits", lambda: LLParserLimits(step_lexer_fuel=500, verbose_errors=False))
    own = Guides(byte_tokenizer(), VOCABULARY, {STOP})
    sampling = SamplingParams(400, response_format=wanted(pattern))
    positions = list(decode(tiny.weights, [PromptGroup(PROMPT, (1, 2))], sampling, chat.stop_ids, own))
    assert len(positions) < 400


def test_only_allowed_tokens_are_drawn_even_where_their_mass_is_nothing() -> None:
    logits = torch.zeros(2, 300)
    logits[:, 7] = 1000.0
    allowed = Allowed(torch.tensor([1]), torch.zeros(1, 300, dtype=torch.bool))
    allowed.tokens[0, 40:42] = True
    for temperature in (0.0, 0.5, 1.0):
        for u in (0.0, 0.3, 0.999999):
            uniforms = torch.full((2,), u, dtype=torch.float64)
            tokens, logprobs = draw(logits.clone(), uniforms, temperature, 0.9, allowed)
            assert tokens[0] == 7
            assert tokens[1] in (40, 41)
            assert logprobs[1] <= -999


def test_log_probabilities_are_those_of_the_model_without_the_format() -> None:
    logits = torch.randn(1, 300, generator=torch.Generator().manual_seed(1))
    allowed = Allowed(torch.tensor([0]), torch.zeros(1, 300, dtype=torch.bool))
    allowed.tokens[0, 5] = True
    tokens, logprobs = draw(logits.clone(), torch.tensor([0.5], dtype=torch.float64), 0.7, 1.0, allowed)
    assert tokens.tolist() == [5]
    torch.testing.assert_close(logprobs[0], (logits / 0.7).log_softmax(dim=1)[0, 5])


class TestReasoning:
    """Models with `<think>` and `</think>` among their tokens."""

    @pytest.fixture
    def thinking(self) -> tuple[Guides, int, int]:
        tokenizer = byte_tokenizer()
        tokenizer.add_tokens([AddedToken("<think>", special=False), AddedToken("</think>", special=False)])
        ids = tokenizer.get_vocab()
        return Guides(tokenizer, len(tokenizer), {STOP}), ids["<think>"], ids["</think>"]

    @staticmethod
    def allows(guides: Guides, guide: module.Guide, token: int) -> bool:
        allowed = guides.allowed([guide], torch.device("cpu"))
        return allowed is None or bool(allowed.tokens[0, token])

    def test_reasoning_that_the_prompt_has_opened_is_free(self, thinking: tuple[Guides, int, int]) -> None:
        guides, opens, closes = thinking
        guide = guides.guide(wanted(CHOICE), (*PROMPT, opens, 10))
        assert self.allows(guides, guide, 65)
        guide.push(65)
        guide.push(closes)
        assert not self.allows(guides, guide, 65)

    def test_a_model_may_begin_with_reasoning(self, thinking: tuple[Guides, int, int]) -> None:
        guides, opens, _ = thinking
        guide = guides.guide(wanted(CHOICE), PROMPT)
        assert self.allows(guides, guide, opens)
        assert not self.allows(guides, guide, 65)
        guide.push(opens)
        assert self.allows(guides, guide, 65)

    def test_reasoning_that_the_prompt_has_closed_is_not_opened_again(self, thinking: tuple[Guides, int, int]) -> None:
        guides, opens, closes = thinking
        guide = guides.guide(wanted(CHOICE), (*PROMPT, opens, 10, closes, 10))
        assert not self.allows(guides, guide, opens)
