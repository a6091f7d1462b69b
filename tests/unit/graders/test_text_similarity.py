from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders.base import FailureKind, Grade, GradeError, Sample
from graders.specs.text_similarity import TextSimilarity
from graders.text_similarity import metric, text_similarity

METRICS = ["fuzzy_match", "bleu", "gleu", "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l"]
SENTENCE = "the quick brown fox jumps over the lazy dog"


def test_fuzzy_match_of_the_documented_pair() -> None:
    assert metric("fuzzy_match")("fuzzy wuzzy was a bear", "fuzzy wuzzy had no hair") == 0.7555555555555555


@pytest.mark.parametrize("name", METRICS)
def test_equal_texts_score_one(name: str) -> None:
    assert metric(name)(SENTENCE, SENTENCE) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["bleu", "gleu", "rouge_1", "rouge_l"])
def test_a_short_answer_that_is_right_scores_one(name: str) -> None:
    assert metric(name)("blue whale", "blue whale") == pytest.approx(1.0)


@pytest.mark.parametrize("name", METRICS)
def test_texts_with_nothing_in_common_score_zero(name: str) -> None:
    assert metric(name)("aaaa bbbb cccc", "xxxx yyyy zzzz") == pytest.approx(0.0, abs=0.2 if name == "fuzzy_match" else 1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_an_empty_completion_scores_zero(name: str) -> None:
    assert metric(name)("", SENTENCE) == 0.0


@pytest.mark.parametrize(("name", "score"), [("rouge_1", 6 / 9), ("rouge_2", 4 / 7), ("rouge_3", 2 / 5), ("rouge_l", 6 / 9)])
def test_rouge_is_the_f_measure(name: str, score: float) -> None:
    assert metric(name)("the cat sat", "the cat sat on the mat") == pytest.approx(score)


@pytest.mark.parametrize("name", METRICS)
@given(text=st.text(max_size=60), reference=st.text(max_size=60))
def test_scores_lie_between_zero_and_one(name: str, text: str, reference: str) -> None:
    assert 0.0 <= metric(name)(text, reference) <= 1.0 + 1e-12


def test_renders_both_sides() -> None:
    spec = TextSimilarity(
        type="text_similarity", name="n", input="{{sample.output_text}}", reference="{{item.a}}", evaluation_metric="rouge_l"
    )
    [result] = text_similarity(spec).grade([Sample(item={"a": SENTENCE}, output_text=SENTENCE)])
    assert isinstance(result, Grade)
    assert result.score == pytest.approx(1.0)


def test_a_row_without_the_reference_is_an_error() -> None:
    spec = TextSimilarity(
        type="text_similarity", name="n", input="{{sample.output_text}}", reference="{{item.a}}", evaluation_metric="bleu"
    )
    [result] = text_similarity(spec).grade([Sample(item={}, output_text=SENTENCE)])
    assert isinstance(result, GradeError)
    assert result.kind is FailureKind.INVALID_VARIABLE
